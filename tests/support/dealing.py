"""In which order tests are dealt out to the processes of a run, and which of them stay together."""

from __future__ import annotations

from itertools import chain, zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What takes longest of all.
FIRST = (
    *(
        "test_fresh_machines.py",
        "test_scenarios.py",
        "test_gate_lab.py",
        "test_doctor_cures.py",
        "test_roles.py",
        "test_roles_runit.py",
        "test_xbps_build.py",
    ),
    *("test_gate_legacy.py", "test_gate_firewalls.py", "test_collection.py", "test_deploy.py"),
)
# Files whose tests share nothing, and take long enough to be dealt out one by one.
APART = (
    "e2e/test_coreless.py",
    "integration/test_scenarios.py",
    "unit/gate/test_real_filters.py",
)


def scope(nodeid: str) -> str:
    """Return what a test stays together with: the others of its file, which share a lab, or itself alone."""
    file = nodeid.partition("::")[0]
    return nodeid if file.endswith(APART) else file


def ordered(tests: Iterable[tuple[str, frozenset[str]]]) -> list[int]:
    """Return the places of tests, given as (node id, names of their marks), in the order to begin them in.

    Lab tests keep the cores busy and games mostly wait for the next frame, so they take turns; the long ones come
    first, so that no process is left with one when the others have finished.
    """
    scopes: dict[str, list[int]] = {}
    kinds: dict[str, str] = {}
    for place, (nodeid, marks) in enumerate(tests):
        key = scope(nodeid)
        scopes.setdefault(key, []).append(place)
        kind = next((kind for kind in ("retroarch", "lab") if kind in marks), "")
        kinds[key] = max(kinds.get(key, ""), kind)
    rank = {name: place for place, name in enumerate(FIRST)}
    labs = sorted(_of(kinds, "lab"), key=lambda key: rank.get(key.partition("::")[0].rpartition("/")[2], len(rank)))
    turns = (key for pair in zip_longest(labs, _of(kinds, "retroarch")) for key in pair if key)
    return [place for key in chain(turns, _of(kinds, "")) for place in scopes[key]]


def _of(kinds: dict[str, str], kind: str) -> Sequence[str]:
    return [key for key, found in kinds.items() if found == kind]
