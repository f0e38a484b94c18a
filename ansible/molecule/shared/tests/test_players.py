"""Who gets in: real players' first words through each relay, from a friend's address and from a stranger's."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from toolkit.console import ROOT
from toolkit.testbed.hosts import FRIEND, PORT, Testbed

if TYPE_CHECKING:
    from conftest import Relay

STRANGER = "stranger"
SSH = 22
REACH = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5).close()"


def start(testbed: Testbed, who: str, *words: str) -> subprocess.Popen[str]:
    """Start Python in a client of the testbed, from the checkout."""
    argv = [*testbed.client(who).enter, sys.executable, *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)


def probe(testbed: Testbed, who: str, role: str, address: str) -> subprocess.Popen[str]:
    """Start the proof of a relay (toolkit/deploy/probe.py) in a client of the testbed."""
    return start(testbed, who, "-m", "toolkit.deploy.probe", role, address, str(PORT))


def finding(process: subprocess.Popen[str]) -> dict[str, object]:
    """Return what a probe found."""
    said, _ = process.communicate(timeout=60)
    found: dict[str, object] = json.loads(said.splitlines()[-1])
    return found


def test_a_friend_plays_through_it_on_both_families(relay: Relay, testbed: Testbed) -> None:
    for address in (relay.at.ipv4, relay.at.ipv6):
        found = finding(probe(testbed, FRIEND, "friend", address))
        assert found["good"], found["sentence"]
        # Without an id it means nobody in particular while somebody else hosts: then it is left out, and says so.
        expected = "left out" if relay.told.get("testbed_game") else "works"
        assert str(found["without_id"]).startswith(expected), found


def test_a_stranger_is_kept_out_on_both_families(relay: Relay, testbed: Testbed) -> None:
    probes = [probe(testbed, STRANGER, "stranger", address) for address in (relay.at.ipv4, relay.at.ipv6)]
    found = [finding(each) for each in probes]
    assert [each["good"] for each in found] == [True, True], found


def test_a_stranger_reaches_everything_else_as_before(relay: Relay, testbed: Testbed) -> None:
    """So it is the ruleset that keeps them out, and not a network that is broken."""
    reached = start(testbed, STRANGER, "-c", REACH, relay.at.ipv4, str(SSH))
    said, _ = reached.communicate(timeout=60)
    assert reached.returncode == 0, said
