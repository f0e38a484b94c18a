"""A relay deployed to the stand-in for Void (Debian's programs in Void's layout): the same code, under runit."""

from __future__ import annotations

import re
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.gate_lab import SOON, GateLab, a_gate_lab
from tests.support.waiting import wait_for
from toolkit.deploy import remove
from toolkit.deploy.run import Request, deploy
from toolkit.friends import commands
from toolkit.friends.edit import FriendChange
from toolkit.hosts import inventory

if TYPE_CHECKING:
    from collections.abc import Iterator

# Deploying, which the first of these tests waits for, has bounds of its own.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(300, func_only=True)]

IN, OUT = [True, True], [False, False]
SERVICES = ("netplay-relay", "netplay-relay-firewall")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GateLab]:
    """Yield a lab whose voidlike host was deployed to, and proven from inside, once."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("owner")))
        with a_gate_lab(tmp_path_factory.mktemp("runit"), "voidlike") as made:
            yield made


@pytest.fixture
def relay(lab: GateLab) -> GateLab:
    """Return it, deployed to again if a test before has removed everything."""
    return lab.there_again()


def process(relay: GateLab, service: str = "netplay-relay") -> int:
    """Return the number of a service's process, 0 while it has none."""
    return int(relay.host.run("cat", f"/run/runit/supervise.{service}/pid").strip() or 0)


def is_ready(relay: GateLab, service: str) -> bool:
    """Whether the service runs and its own check is content."""
    argv = relay.lab.inside("relay", ["sv", "-w", "1", "check", service])
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.startswith("ok: run:")


def test_who_is_added_gets_in_at_once_and_who_is_removed_does_not(
    relay: GateLab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (relay.plays("friend"), relay.plays("stranger")) == (IN, OUT)
    commands.add(relay.place, FriendChange("guest", relay.addresses("stranger")))
    assert relay.plays("stranger") == IN
    assert commands.check(relay.place, "guest")
    commands.show(relay.place, relay.status())
    assert "guest" in capsys.readouterr().out
    commands.remove(relay.place, "guest", kick=False)
    assert not commands.check(relay.place, relay.addresses("stranger")[0])
    assert (relay.plays("friend"), relay.plays("stranger"), relay.connects("stranger")) == (IN, OUT, OUT)


def test_a_look_ahead_at_a_deployed_host_finds_nothing_to_change(relay: GateLab) -> None:
    """Nor does deploying again, as another test shows after its own changes, and the default scenario."""
    assert deploy(relay.place, Request(check=True)) == 0


def test_the_services_have_the_rights_they_need_and_no_others(relay: GateLab) -> None:
    found = {}
    for service in SERVICES:
        text = relay.host.run("cat", f"/proc/{process(relay, service)}/status")
        found[service] = re.findall(r"^(?:NoNewPrivs|CapPrm|CapBnd|CapAmb):\s+(\w+)$", text, re.MULTILINE)
    nothing = "0" * 16
    # CAP_CHOWN is bit 0, CAP_NET_ADMIN 12, CAP_NET_RAW 13.
    few = f"{1 | 1 << 12 | 1 << 13:016x}"
    assert found == {
        "netplay-relay": [nothing, nothing, nothing, "1"],
        "netplay-relay-firewall": [few, few, nothing, "1"],
    }


def test_other_settings_are_taken_up_by_the_same_process_while_a_game_goes_on(relay: GateLab) -> None:
    """A port more needs no restart either: the relay opens its own sockets."""
    settings = inventory.files_of(relay.place.host).relay
    number = process(relay)
    with relay.a_game("friend") as game:
        settings.write_text(settings.read_text() + '\n[[room]]\nid = "aaaaaaaaaaaaaaaa"\nport = 55440\n')
        assert deploy(relay.place, Request()) > 0
        assert (process(relay), game.goes_on()) == (number, True)
    assert (relay.host.reaches("friend", 55440), relay.host.reaches("stranger", 55440)) == (IN, OUT)
    # runit knows nothing of it: the relay itself tells since when it is what it is.
    assert deploy(relay.place, Request()) == 0


def test_a_run_finishes_what_an_interrupted_one_left(relay: GateLab) -> None:
    relay.host.run("touch", "/etc/netplay-relay/relay.toml")
    relay.host.run("sh", "-c", "echo '# by hand' >>/etc/sv/netplay-relay/finish")
    begun, before = time.time(), process(relay)
    wait_for(lambda: time.time() > begun + 2, SOON, "the second to pass in which the file was touched")
    # What is told of it, the file, the firewall agent, the relay.
    assert deploy(relay.place, Request()) == 4
    assert process(relay) == before


def test_the_wall_stands_again_soon_after_somebody_flushed_every_rule(relay: GateLab) -> None:
    healed = relay.status()["healed"]["count"]
    relay.host.run("nft", "flush", "ruleset")
    wait_for(lambda: relay.connects("stranger") == OUT, SOON, "the wall")
    assert wait_for(lambda: relay.status()["healed"]["count"] > healed, SOON, "a note of it")
    assert relay.plays("friend") == IN


def test_a_killed_relay_is_back_and_a_stopped_keeper_leaves_the_wall(relay: GateLab) -> None:
    before = process(relay)
    relay.host.run("kill", "-KILL", str(before))
    wait_for(lambda: process(relay) not in {0, before} and is_ready(relay, "netplay-relay"), SOON, "the relay")
    relay.host.run("sv", "stop", "netplay-relay-firewall")
    assert relay.host.stands()
    relay.host.run("sv", "start", "netplay-relay-firewall")
    assert (relay.plays("friend"), relay.connects("stranger")) == (IN, OUT)


def test_after_a_reboot_the_wall_stands_before_the_relay_listens(relay: GateLab) -> None:
    relay.lab.reboot("relay")
    for service in SERVICES:
        wait_for(lambda name=service: is_ready(relay, name), SOON, service)
    assert (relay.plays("friend"), relay.connects("stranger")) == (IN, OUT)


def test_a_removal_leaves_the_host_as_it_was(relay: GateLab) -> None:
    assert remove.remove(relay.place) > 0
    assert relay.host.snapshot() == relay.before
