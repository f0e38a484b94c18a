"""A kernel, nft or iptables that refuses a rule of ours: it is left out where that can be, else named with its cure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from relay.gate.backends import iptables_text
from relay.gate.backends.base import FilterError
from relay.gate.backends.iptables import Iptables
from relay.gate.backends.lacking import CAP, LOG, OPTIONAL, sentences
from relay.gate.backends.nftables import Nftables
from relay.gate.policy.ruleset import SETS, Ruleset
from relay.gate.programs import ProgramError, Programs
from tests.support.gate_memory import ScriptedPrograms

WALL = Ruleset((55435,), 8, {name: {} for name in SETS})

# Stands in for an nft that refuses rules with a word, in the words and the place that nft 1.0.6 gives.
STRICT = """#!/usr/bin/env python3
import sys
for number, line in enumerate(sys.stdin.read().splitlines(), 1):
    if "WORD" in line:
        where = f"/dev/stdin:{number}:1-{len(line)}"
        print(f"{where}: Error: Could not process rule: No such file or directory", file=sys.stderr)
        sys.exit(1)
"""


def filters(tmp_path: Path, word: str, **known: tuple[str, ...]) -> Nftables:
    program = tmp_path / "nft"
    program.write_text(STRICT.replace("WORD", word))
    program.chmod(0o755)
    return Nftables(Programs(f"{tmp_path}:/usr/bin:/bin"), **known)


@pytest.mark.parametrize("check_only", [False, True])
def test_the_refused_rule_is_named_with_what_to_do(tmp_path: Path, check_only: bool) -> None:
    with pytest.raises(FilterError, match=r"Could not process rule.* \(the line: ct state est.*modprobe -a nft_ct"):
        filters(tmp_path, "ct state").load(WALL, None, 0.0, frame=True, check_only=check_only)


@pytest.mark.parametrize(("word", "lacks"), [("log prefix", LOG), ("ct count", CAP), ("flags dynamic", CAP)])
@pytest.mark.parametrize("check_only", [False, True])
def test_what_can_be_done_without_is_left_out(tmp_path: Path, word: str, lacks: str, check_only: bool) -> None:
    nftables = filters(tmp_path, word)
    nftables.load(WALL, None, 0.0, frame=True, check_only=check_only)
    assert nftables.lacks == (lacks,)
    assert word not in nftables.text(WALL)
    assert nftables.tried(WALL) == (lacks,)


def test_what_was_left_out_is_tried_again_where_nothing_stands(tmp_path: Path) -> None:
    nftables = filters(tmp_path, "no such word", lacks=(LOG, CAP))
    assert nftables.tried(WALL) == ()
    nftables.load(WALL, None, 0.0, frame=True)
    assert nftables.lacks == ()


@pytest.mark.parametrize("backend", ["nftables", "iptables"])
def test_every_feature_that_may_be_left_out_has_its_sentence(backend: str) -> None:
    for sentence in (said := sentences(backend, OPTIONAL)):
        assert re.search(r"left out: .*\. To have it, type as root .* modprobe -a [a-zA-Z_ ]+;.*gate apply$", sentence)
    assert len(said) == len(OPTIONAL)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "iptables-restore v1.8.9 (legacy): Couldn't load match `multiport':No such file or directory\n\n"
            "Error occurred at line: 2\nTry `iptables-restore -h' or 'iptables-restore --help' for more information.",
            "Couldn't load match `multiport':No such file or directory (the line: -A NETPLAY -m multiport --dports 1). "
            "Install the package iptables again, whole, or install nftables, then try again",
        ),
        (
            "iptables-nft-restore v1.8.9 (nf_tables): \n"
            "line 2: RULE_APPEND failed (No such file or directory): rule in chain NETPLAY",
            "line 2: RULE_APPEND failed (No such file or directory): rule in chain NETPLAY (the line: -A NETPLAY -m "
            "multiport --dports 1). Nobody can be kept out without that rule, which needs the kernel modules "
            "xt_multiport: type as root",
        ),
        ("iptables-restore: line 3 failed", "iptables-restore: line 3 failed"),
        (
            "line 2: RULE_APPEND failed (Operation not permitted)",
            "permitted) (the line: -A NETPLAY -m multiport --dports 1)",
        ),
    ],
)
def test_what_iptables_refuses_is_named(said: str, told: str) -> None:
    assert told in iptables_text.refused(said, "*filter\n-A NETPLAY -m multiport --dports 1\nCOMMIT\n")


def test_a_lock_of_iptables_that_is_held_is_no_feature_that_is_missing() -> None:
    bare = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"
    held = ProgramError(["iptables-restore"], 4, "Another app is currently holding the xtables lock; still 0s")
    scripted = ScriptedPrograms({"iptables-save": bare, "ip6tables-save": bare, "iptables-restore": held})
    with pytest.raises(FilterError, match="holding the xtables lock"):
        Iptables(scripted).load(WALL, None, 0.0, frame=True, check_only=True)
    assert len([one for one in scripted.ran if "restore" in one]) == 1


@pytest.mark.parametrize("said", ["out of memory", "/dev/stdin:9999:1-2: Error: no", "x:0:1: Error: no"])
def test_a_refusal_without_a_line_of_ours_stays_as_nft_says_it(tmp_path: Path, said: str) -> None:
    program = tmp_path / "nft"
    program.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{said}' >&2\nexit 1\n")
    program.chmod(0o755)
    filters = Nftables(Programs(f"{tmp_path}:/usr/bin:/bin"))
    with pytest.raises(FilterError, match=f": {said}$"):
        filters.load(Ruleset((55435,), 8, {name: {} for name in SETS}), None, 0.0, frame=True)
