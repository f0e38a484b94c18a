"""Which firewalls of others keep a port shut: asked of real rulesets, in a network namespace of the test's own."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.templates import apart, plugin, program

FIREWALLS = plugin("module_utils/netplay_firewalls.py")
PORT = 55435
NO_RULES = Path("/nonexistent")

NFT_DROP = (
    "nft add table inet house",
    "nft add chain inet house door '{ type filter hook input priority 0; policy drop; }'",
    "nft add rule inet house door ct state established accept",
    "nft add rule inet house door tcp dport 22 accept",
)
NFT_JUMP = (
    "nft add table inet house",
    "nft add chain inet house door '{ type filter hook input priority 0; policy accept; }'",
    "nft add chain inet house cellar",
    "nft add rule inet house door jump cellar",
    "nft add rule inet house cellar counter drop",
)
BANNED = (
    "nft add table inet f2b",
    "nft add chain inet f2b in '{ type filter hook input priority -1; policy accept; }'",
    "nft add rule inet f2b in ct state invalid drop",
    "nft add rule inet f2b in ip saddr 203.0.113.9 drop",
    "nft add rule inet f2b in tcp dport 22 reject",
)
OURS = (
    "nft add table inet netplay",
    "nft add chain inet netplay input '{ type filter hook input priority -10; policy drop; }'",
)
IPTABLES_DROP = ("iptables -P INPUT DROP", "iptables -A INPUT -p tcp --dport 22 -j ACCEPT")
IPTABLES_REJECT = ("ip6tables -A INPUT -p tcp --dport 22 -j ACCEPT", "ip6tables -A INPUT -j REJECT")


def ruleset(*commands: str) -> str:
    """Return what nft lists as JSON after the commands."""
    program("nft")
    program("iptables")
    done = apart(["sh", "-ec", "\n".join(["PATH=$PATH:/usr/sbin", *commands, "nft -j list ruleset"])])
    assert done.returncode == 0, done.stderr
    return done.stdout


def shut(*commands: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = FIREWALLS.Ruleset(ruleset(*commands)).shut([PORT])
    return found


@pytest.mark.parametrize("commands", [NFT_DROP, NFT_JUMP, IPTABLES_DROP, IPTABLES_REJECT])
def test_a_filter_that_keeps_the_port_shut_is_named_with_the_command_that_opens_it(commands: tuple[str, ...]) -> None:
    """The command is tried: after it, there is nothing left to name."""
    (found,) = shut(*commands)
    assert found["port"] == PORT
    assert shut(*commands, found["command"]) == []


@pytest.mark.parametrize(
    "commands",
    [
        (),
        BANNED,
        OURS,
        (*NFT_DROP, "nft add rule inet house door tcp dport 55000-56000 accept"),
        (*NFT_DROP, "nft add rule inet house door tcp dport '{ 80, 55435 }' accept"),
        (*IPTABLES_DROP, "iptables -I INPUT -p tcp --dport 55435 -j ACCEPT"),
    ],
)
def test_a_filter_that_lets_the_port_through_is_not_named(commands: tuple[str, ...]) -> None:
    assert shut(*commands) == []


def test_a_port_that_goes_to_a_container_is_named() -> None:
    publishing = "iptables -t nat -A PREROUTING -p tcp --dport {} -j DNAT --to-destination 172.17.0.2:80"
    assert FIREWALLS.Ruleset(ruleset(publishing.format(PORT))).forwarded([PORT]) == [PORT]
    assert FIREWALLS.Ruleset(ruleset(publishing.format(8080))).forwarded([PORT]) == []


@pytest.mark.parametrize("commands", [IPTABLES_DROP, IPTABLES_REJECT])
def test_iptables_tells_the_same_where_there_is_no_nft(
    commands: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = commands[0].split()[0]
    listed = apart(["sh", "-ec", "\n".join(["PATH=$PATH:/usr/sbin", *commands, f"{name} -S INPUT"])]).stdout
    monkeypatch.setattr(FIREWALLS.shutil, "which", lambda program: program if program == name else None)
    (found,) = FIREWALLS.survey([PORT], lambda _: listed, NO_RULES)["shut"]
    assert found["command"] == f"{name} -I INPUT -p tcp --dport {PORT} -j ACCEPT"


UFW = """Status: {status}

To                         Action      From
--                         ------      ----
22/tcp                     ALLOW       Anywhere
{more}
"""


@pytest.mark.parametrize(
    ("status", "more", "commands"),
    [
        ("inactive", "", []),
        ("active", "", [f"ufw allow {PORT}/tcp comment netplay-relay"]),
        ("active", f"{PORT}/tcp                  ALLOW       Anywhere", []),
        ("active", f"{PORT}                      ALLOW       203.0.113.7", []),
        (
            "active",
            f"{PORT}/tcp                  DENY        Anywhere",
            [f"ufw allow {PORT}/tcp comment netplay-relay"],
        ),
    ],
)
def test_ufw_is_asked_by_its_own_name(
    status: str, more: str, commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FIREWALLS.shutil, "which", lambda program: program if program == "ufw" else None)
    said = UFW.format(status=status, more=more)
    found = FIREWALLS.survey([PORT], lambda argv: said if argv[0] == "ufw" else "", NO_RULES)["shut"]
    assert [note["command"] for note in found] == commands


@pytest.mark.parametrize(
    ("state", "open_already", "count"), [("running", "no", 1), ("running", "yes", 0), ("", "no", 0)]
)
def test_firewalld_is_asked_by_its_own_name(
    state: str, open_already: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FIREWALLS.shutil, "which", lambda program: program if program == "firewall-cmd" else None)

    def run(argv: list[str]) -> str:
        return state if argv[1] == "--state" else open_already

    found = FIREWALLS.survey([PORT], run, NO_RULES)["shut"]
    assert len(found) == count
    assert all(shlex.split(note["command"])[0] == "firewall-cmd" for note in found)


@pytest.mark.parametrize(("fingerprint", "word"), [("abc", "current"), ("abd", "outdated"), ("", "absent")])
def test_the_wall_in_force_is_compared_with_the_one_on_disk(fingerprint: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "netplay.nft").write_text('jump gate comment "abc"')
    assert FIREWALLS.wall_state(fingerprint, tmp_path / "netplay.nft") == word


def test_the_fingerprint_is_read_from_the_kernel() -> None:
    rule = """nft add rule inet netplay input tcp dport 55435 accept comment '"abc"'"""
    assert FIREWALLS.Ruleset(ruleset(*OURS, rule)).wall() == "abc"
    assert FIREWALLS.Ruleset(ruleset()).wall() == ""


def test_the_survey_of_this_machine_comes_to_an_end() -> None:
    def run(argv: list[str]) -> str:
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout

    assert set(FIREWALLS.survey([PORT], run, NO_RULES)) == {"shut", "forwarded", "nft", "wall"}
