"""The gate on hosts whose kernel or packet filter lacks a feature: what is left out, what is said, who gets in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gate_host import ANNA4, ANNA6, OTHER, PORT, STRANGER4, STRANGER6, GateHost
from tests.support.needs import lack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.lab

ANNA = f'[[friend]]\nname = "anna"\nip = ["{ANNA4}", "{ANNA6}"]\n'
EXTENSIONS = Path("/usr/lib/x86_64-linux-gnu/xtables")
# Stands in for a kernel without a feature: it refuses a script that names it, by the words and the place that nft gives
# then. All else is done by the real nft.
STAND_IN = f"""#!{sys.executable}
import os, pathlib, subprocess, sys
lacks = [line for line in (pathlib.Path(sys.argv[0]).parent / "lacks").read_text().splitlines() if line]
text = sys.stdin.read() if "-f" in sys.argv else ""
for number, line in enumerate(text.splitlines(), 1):
    if any(word in line for word in lacks):
        where = "/dev/stdin:%d:1-%d" % (number, len(line))
        sys.exit(where + ": Error: Could not process rule: No such file or directory")
sys.exit(subprocess.run(["/usr/sbin/nft", *sys.argv[1:]], input=text, text=True).returncode)
"""
KINDS = {
    "nftables": {"nft", "conntrack"},
    "iptables on nft": {"iptables-nft"},
    "legacy iptables with ipset": {"iptables-legacy", "ipset"},
}
# What is taken away, by kind of host: words of nft, or extensions of iptables.
MISSING = {
    "log": (["log prefix"], ["LOG"]),
    "limit": (["limit rate"], ["limit"]),
    "cap": (["ct count"], ["connlimit"]),
    "both": (["log prefix", "flags dynamic"], ["LOG", "connlimit"]),
}
NEEDED = {"ct state": (["ct state"], ["conntrack"])}


class Poor:
    """A host of which features can be taken away, and given back."""

    def __init__(self, host: GateHost, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host, self._bin, self._libraries = host, folder / "bin", folder / "xtables"
        if (self._bin / "nft").exists():
            (self._bin / "nft").unlink()
            (self._bin / "nft").write_text(STAND_IN)
            (self._bin / "nft").chmod(0o755)
        elif not EXTENSIONS.is_dir():
            lack(f"the extensions of iptables are not in {EXTENSIONS}")
        self._libraries.mkdir()
        monkeypatch.setenv("XTABLES_LIBDIR", str(self._libraries))
        self.has_not(([], []))

    def has_not(self, missing: tuple[list[str], list[str]]) -> None:
        """Take away some features, and give back all others."""
        words, extensions = missing
        (self._bin / "lacks").write_text("\n".join(words))
        for link in self._libraries.iterdir():
            link.unlink()
        for file in EXTENSIONS.glob("*.so"):
            if file.name not in [f"libxt_{name}.so" for name in extensions]:
                (self._libraries / file.name).symlink_to(file)


@pytest.fixture(params=KINDS, ids=lambda name: name.replace(" ", "-"))
def poor(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Poor]:
    with GateHost(tmp_path, KINDS[request.param]) as made:
        made.listen(PORT)
        made.listen(OTHER)
        yield Poor(made, tmp_path, monkeypatch)


def left_out(answer: dict[str, list[str]]) -> list[str]:
    return [sentence for sentence in answer["warnings"] if "left out" in sentence]


@pytest.mark.parametrize("missing", MISSING)
def test_without_an_optional_feature_the_rest_stands_and_that_is_said_everywhere(poor: Poor, missing: str) -> None:
    poor.has_not(MISSING[missing])
    count = 2 if missing == "both" else 1
    assert len(left_out(poor.host.apply(ANNA, "--check"))) == count
    assert not left_out(poor.host.gate("status")), "a check changes nothing"
    assert len(left_out(poor.host.apply(ANNA))) == count
    assert poor.host.gets_in(ANNA4)
    assert poor.host.gets_in(ANNA6)
    assert not poor.host.gets_in(STRANGER4)
    assert not poor.host.gets_in(STRANGER6)
    assert poor.host.gets_in(STRANGER4, OTHER)
    shown = poor.host.gate("status")
    assert shown["complete"]
    assert len(left_out(shown)) == count
    assert not poor.host.apply(ANNA)["changed"]
    agent = poor.host.agent()
    wait_for(lambda: agent.log.read_text().count("left out") == count, 30, "the agent's log")
    assert poor.host.gate("status")["healed"]["count"] == 0


def test_a_feature_that_is_there_again_is_used_by_the_next_push(poor: Poor) -> None:
    poor.has_not(MISSING["both"])
    poor.host.apply(ANNA)
    poor.has_not(MISSING["log"])
    (sentence,) = left_out(poor.host.apply(ANNA))
    assert "log" in sentence.lower()
    poor.has_not(([], []))
    assert not left_out(poor.host.apply(ANNA))
    rules = str(poor.host.rulesets())
    assert "netplay refused: " in rules
    assert "ct count" in rules or "connlimit" in rules
    assert "NETPLAY-TRIAL" not in rules
    assert poor.host.gate("status")["complete"]


def test_without_what_decides_nothing_is_loaded_and_the_rule_is_named(poor: Poor) -> None:
    before = poor.host.rulesets()
    poor.has_not(NEEDED["ct state"])
    for words in (["--check"], []):
        said = poor.host.apply(ANNA, *words, code=1)["error"]["message"]
        assert "(the line: " in said
        assert "ct state established" in said or "--ctstate RELATED" in said
        assert "modprobe -a nft_ct" in said or "Install the package iptables again" in said
    assert poor.host.rulesets() == before
