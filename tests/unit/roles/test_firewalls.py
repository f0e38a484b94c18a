"""What the filters of a host do with a port: asked of real rulesets, in a network namespace of the test's own."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.templates import apart, plugin, program

FIREWALLS = plugin("module_utils/netplay_firewalls.py")
PORT = 55435
IPTABLES = "iptables -t nat -A PREROUTING -p tcp --dport {} -j DNAT --to-destination 172.17.0.2:80"
NFT = (
    "nft add table ip house; nft add chain ip house pre '{{ type nat hook prerouting priority -100; }}';"
    " nft add rule ip house pre tcp dport {} dnat to 172.17.0.2:80"
)


def ruleset(*commands: str) -> str:
    """Return what nft lists as JSON after the commands."""
    program("nft")
    program("iptables")
    done = apart(["sh", "-ec", "\n".join(["PATH=$PATH:/usr/sbin", *commands, "nft -j list ruleset"])])
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("publishing", [IPTABLES, NFT])
@pytest.mark.parametrize(
    ("named", "found"), [("55435", [PORT]), ("55000:56000", [PORT]), ("8080", []), ("55436:55440", [])]
)
def test_a_port_that_goes_to_a_container_is_named(publishing: str, named: str, found: list[int]) -> None:
    text = ruleset(publishing.format(named if publishing == IPTABLES else named.replace(":", "-")))
    assert FIREWALLS.Ruleset(text).forwarded([PORT]) == found


def test_rules_that_forward_nothing_name_no_port() -> None:
    assert FIREWALLS.Ruleset(ruleset("iptables -P INPUT DROP")).forwarded([PORT]) == []
    assert FIREWALLS.Ruleset("").forwarded([PORT]) == []


@pytest.mark.parametrize("there", [[], ["nft"], ["iptables"], ["nft", "iptables"]])
def test_the_survey_tells_which_programs_there_are(there: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FIREWALLS.shutil, "which", lambda name: name if name in there else None)
    found = FIREWALLS.survey([PORT], lambda _: "")
    assert found == {"forwarded": [], "nft": "nft" in there, "iptables": "iptables" in there}


def test_the_survey_of_this_machine_comes_to_an_end() -> None:
    def run(argv: list[str]) -> str:
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout

    assert set(FIREWALLS.survey([PORT], run)) == {"forwarded", "nft", "iptables"}
