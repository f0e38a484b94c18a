"""What is tried of a host's packet filter before anything is changed, with programs that stand in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from relay.gate.backends import lacking
from tests.support.templates import ROOT, plugin

if TYPE_CHECKING:
    from collections.abc import Callable

FILTERS = plugin("module_utils/netplay_filters.py")
RULES = json.loads((ROOT / "ansible/roles/preflight/files/rules.json").read_text(encoding="utf-8"))
NFT, IPTABLES = {"nft"}, {"iptables-legacy-restore", "ip6tables-legacy-restore"}


def tried(
    programs: set[str], setting: str = "auto", *, refuses: str = "", ipv6: bool = True, kernel: int = 0
) -> object:
    ran = []

    def run(argv: list[str], text: str) -> tuple[int, str]:
        assert argv[0] in programs
        ran.append(argv)
        for number, line in enumerate(text.splitlines(), 1):
            if refuses and refuses in line and not line.startswith("table"):
                where = f"/dev/stdin:{number}:1-9: Error" if argv[0] == "nft" else f"Error occurred at line: {number}"
                return 1, f"no such thing\n{where}: No such file or directory"
        return kernel if "list" in argv else 0, ""

    find: Callable[[str], str | None] = lambda name: name if name in programs else None  # noqa: E731 - a program
    found = FILTERS.tried(setting, RULES, find, run, ipv6=ipv6)
    assert all({"-c", "--test", "list"} & set(argv) for argv in ran), "nothing may be changed"
    return found


@pytest.mark.parametrize(
    ("programs", "setting", "backend"),
    [
        (NFT, "auto", "nftables"),
        (NFT | IPTABLES, "auto", "nftables"),
        (NFT | IPTABLES, "iptables", "iptables"),
        (IPTABLES, "auto", "iptables"),
        (IPTABLES, "nftables", ""),
        (set(), "auto", ""),
    ],
)
def test_the_filter_that_the_gate_will_use_is_tried(programs: set[str], setting: str, backend: str) -> None:
    assert tried(programs, setting) == FILTERS.Tried(backend, [])


def test_where_nft_does_not_get_an_answer_iptables_is_tried() -> None:
    assert tried(NFT | IPTABLES, kernel=1).backend == "iptables"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("programs", "word", "feature"),
    [
        (NFT, "log prefix", "log"),
        (NFT, "flags dynamic", "cap"),
        (IPTABLES, "-j LOG", "log"),
        (IPTABLES, "connlimit-mask 64", "cap"),
    ],
)
def test_what_can_be_left_out_is_named(programs: set[str], word: str, feature: str) -> None:
    found = tried(programs, refuses=word)
    assert (found.lacks, found.said) == ([feature], "")  # type: ignore[attr-defined]


@pytest.mark.parametrize(("programs", "word"), [(NFT, "ct state"), (IPTABLES, "--ctstate")])
def test_a_rule_that_is_needed_is_named_with_its_cure(programs: set[str], word: str) -> None:
    found = tried(programs, refuses=word)
    said = lacking.refusal(found.said, found.rule)  # type: ignore[attr-defined]
    assert word in found.rule  # type: ignore[attr-defined]
    assert "modprobe -a " in said


def test_a_family_that_the_kernel_does_not_have_is_not_tried() -> None:
    assert tried({"iptables-restore"}, ipv6=False) == FILTERS.Tried("iptables", [])
