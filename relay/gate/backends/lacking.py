"""What a kernel or a packet filter's program may lack: what the rules do without, what they cannot, in words. Pure.

Two features are optional: the log of refused connections, and the cap on connections from one address (the relay has
a limit of its own). Each other rule decides who gets in, so without it nothing is loaded.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

LOG, CAP = "log", "cap"
OPTIONAL = (LOG, CAP)

# By backend and feature: what the words of its rule need, as kernel modules.
_MODULES = {
    ("nftables", LOG): ("log", "nft_log and nft_limit"),
    ("nftables", CAP): ("ct count", "nft_connlimit"),
    ("iptables", LOG): ("LOG", "xt_LOG and xt_limit"),
    ("iptables", CAP): ("connlimit", "xt_connlimit"),
}
_WITHOUT = {
    LOG: "refused connections are not in the kernel's log",
    CAP: "only the relay limits the connections from one address",
}
# What a rule that was refused needs.
_NEEDS = (
    (re.compile(r"^-A .* -m multiport "), "xt_multiport"),
    (re.compile(r"^-A .* -m conntrack "), "xt_conntrack and nf_conntrack"),
    (re.compile(r"^-A .* -m set "), "xt_set and ip_set_hash_net"),
    (re.compile(r"^-A "), "ip_tables, iptable_filter, ip6_tables and ip6table_filter, or nft_compat"),
    (re.compile(r"^ct state "), "nft_ct and nf_conntrack"),
    (re.compile(r"^counter | counter name "), "nft_objref"),
    (re.compile(r"^(table|type filter) "), "nf_tables and nf_tables_inet"),
)
# Lines of iptables that say nothing of the reason.
_HINTS = ("Error occurred at line", "Try `")
# Of what is said and of a line that is quoted, in characters.
_MOST, _QUOTED = 400, 120
_IS_LACKING = re.compile(r"No such file or directory|not supported|No chain/target/match|does not exist|missing kernel")
_IS_PROGRAM = re.compile(r"Couldn't load (?:match|target)|unknown option|Extension \S+ .*missing")


def sentences(backend: str, lacks: Iterable[str]) -> list[str]:
    """Return what is to be said of features that were left out: for the owner, with the cure."""
    found = []
    for feature in lacks:
        if (backend, feature) in _MODULES:
            word, modules = _MODULES[backend, feature]
            found.append(
                f"{backend} on this host lacks `{word}` (kernel modules {modules}), so that rule is left out: "
                f"{_WITHOUT[feature]}. To have it, {_load(modules)}. Then type: netplay-relay gate apply"
            )
    return found


def cure(said: str, rule: str) -> str:
    """Return what to do about a rule that was refused, "" where nothing is known. said: the program's words."""
    if _IS_PROGRAM.search(said):
        return "Install the package iptables again, whole, or install nftables, then try again"
    if not _IS_LACKING.search(said):
        return ""
    modules = next((modules for pattern, modules in _NEEDS if pattern.search(rule)), "nf_tables")
    return f"Nobody can be kept out without that rule, which needs the kernel modules {modules}: {_load(modules)}"


def refusal(said: str, rule: str) -> str:
    """Return what a program said of rules, in one line, with the rule that it means ("": none) and the cure."""
    words = " ".join(one.strip() for one in said.splitlines() if one.strip() and not one.startswith(_HINTS))
    if not rule:
        return words[:_MOST]
    advice = cure(said, rule)
    return f"{words[:_MOST]} (the line: {rule[:_QUOTED]}){'. ' + advice if advice else ''}"


def _load(modules: str) -> str:
    names = re.sub(r",? (and|or) |, ", " ", modules)
    return (
        f"type as root on the host (of a container: on the machine that it runs on) modprobe -a {names}; where the "
        "kernel has none, install the distribution's whole kernel and restart the host"
    )


def choices(without: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Yield what may be left out beside `without`, the least first."""
    known = set(without)
    for count in range(len(OPTIONAL) + 1):
        yield from (some for some in itertools.combinations(OPTIONAL, count) if known <= set(some))
