"""What a picture of a host holds: what somebody set, and nothing that connections alone change."""

from __future__ import annotations

import pytest

from tests.support.templates import apart, program
from toolkit.testbed.look_at_host import listening, settled

SETS = """\
add table inet t
add set inet t friends { type ipv4_addr; flags timeout; counter; elements = { 10.0.0.1, 10.0.0.2, 10.0.0.3 } }
add set inet t nets { type ipv4_addr; flags interval; elements = { 10.1.0.0/16, 10.2.0.0/16 } }
add set inet t many { type ipv4_addr; size 65535; flags dynamic; }
add set inet t seen { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1h; }
add map inet t ports { type inet_service : verdict; elements = { 80 : accept } }
add chain inet t input { type filter hook input priority 0; }
add rule inet t input add @many { ip saddr ct count over 96 } drop
"""
FILLED = """\
add element inet t many { 192.0.2.1 ct count over 96, 192.0.2.2 ct count over 96, 192.0.2.3 ct count over 96 }
add element inet t seen { 192.0.2.1 }
"""


def listed(commands: str) -> str:
    """Return what nft prints for a ruleset, in a namespace of its own."""
    nft = program("nft")
    done = apart(["sh", "-ec", 'printf %s "$1" | "$0" -f - && "$0" --stateless list ruleset', nft, commands])
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def rules() -> str:
    """Return rules whose dynamic sets are empty."""
    return listed(SETS)


def test_what_packets_put_into_a_set_is_no_difference(rules: str) -> None:
    filled = listed(SETS + FILLED)
    assert filled != rules, "nothing was put into it: this proves nothing"
    assert settled(filled) == settled(rules) == rules


def test_what_somebody_put_into_a_set_stays(rules: str) -> None:
    for each in ("10.0.0.2", "10.2.0.0/16", "80 : accept", "ct count over 96"):
        assert each in settled(rules)
    assert settled(rules.replace("10.0.0.2", "10.0.0.9")) != settled(rules)


def test_how_much_waits_in_a_queue_is_no_difference_and_another_port_is() -> None:
    one = "LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\nLISTEN 0 4096 *:55435 *:*\n"
    assert listening(one.replace("LISTEN 0 4096", "LISTEN 7 4096")) == listening(one)
    assert listening(one.replace("55435", "55436")) != listening(one)
