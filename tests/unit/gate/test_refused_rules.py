"""A kernel or nft that refuses a rule of ours: the sentence names that rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.gate.backend import FilterError
from relay.gate.nftables import Nftables
from relay.gate.programs import Programs
from relay.gate.wall import SETS, Wall

# Stands in for an nft that refuses rules with a word, in the words and the place that nft 1.0.6 gives.
STRICT = """#!/usr/bin/env python3
import sys
for number, line in enumerate(sys.stdin.read().splitlines(), 1):
    if "WORD" in line:
        where = f"/dev/stdin:{number}:1-{len(line)}"
        print(f"{where}: Error: Could not process rule: No such file or directory", file=sys.stderr)
        sys.exit(1)
"""


@pytest.mark.parametrize(("word", "line"), [("log prefix", "limit rate 6/minute"), ("ct count", "add @many4")])
@pytest.mark.parametrize("check_only", [False, True])
def test_the_refused_rule_is_named(tmp_path: Path, word: str, line: str, check_only: bool) -> None:
    program = tmp_path / "nft"
    program.write_text(STRICT.replace("WORD", word))
    program.chmod(0o755)
    filters = Nftables(Programs(f"{tmp_path}:/usr/bin:/bin"))
    wall = Wall((55435,), 8, {name: {} for name in SETS})
    with pytest.raises(FilterError, match=rf"Could not process rule.* \(the line: {line}.*{word}"):
        filters.load(wall, None, 0.0, frame=True, check_only=check_only)


@pytest.mark.parametrize("said", ["out of memory", "/dev/stdin:9999:1-2: Error: no", "x:0:1: Error: no"])
def test_a_refusal_without_a_line_of_ours_stays_as_nft_says_it(tmp_path: Path, said: str) -> None:
    program = tmp_path / "nft"
    program.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{said}' >&2\nexit 1\n")
    program.chmod(0o755)
    filters = Nftables(Programs(f"{tmp_path}:/usr/bin:/bin"))
    with pytest.raises(FilterError, match=f": {said}$"):
        filters.load(Wall((55435,), 8, {name: {} for name in SETS}), None, 0.0, frame=True)
