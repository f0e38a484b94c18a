"""The nftables backend: runs nft. What it is told and what it says is the business of nftables_text."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from relay.gate.backends import lacking, nftables_text
from relay.gate.backends.base import FilterError, Snapshot
from relay.gate.policy.ruleset import Difference, Ruleset, Standing, differences
from relay.gate.programs import ProgramError, Programs

# How nft begins a sentence on a line of what it was told: a name for the input, the line, columns.
_WHERE = re.compile(r"[^:\s]+:(\d+):\d+(?:-\d+)?: ")


class Nftables:
    """The table inet netplay of this host."""

    name = "nftables"

    def __init__(self, programs: Programs, *, plain: bool = False, lacks: Collection[str] = ()) -> None:
        self._programs = programs
        self.plain = plain
        self.lacks = tuple(lacks)
        self.made: list[str] = []

    def text(self, wall: Ruleset) -> str:
        """Return the rules without entries."""
        return nftables_text.frame(wall, element_counters=not self.plain, without=self.lacks)

    def standing(self) -> Standing | None:
        """Return what stands in our table. Raises FilterError."""
        listing = self._list("-j")
        try:
            return nftables_text.parse(listing) if listing is not None else None
        except (ValueError, KeyError, TypeError) as error:
            raise FilterError(f"nft printed what cannot be understood: {error}") from error

    def differences(self, wall: Ruleset, standing: Standing | None, now: float) -> dict[str, Difference]:
        """Return what has to change in the sets."""
        return differences(wall, standing.sets if standing else {}, now)

    def load(
        self, wall: Ruleset, standing: Standing | None, now: float, *, frame: bool, check_only: bool = False
    ) -> None:
        """Load the ruleset in one transaction of nft. Raises FilterError; then nothing has changed.

        What the kernel lacks and the ruleset can do without is left out; where nothing stands, all of it is tried
        again.
        """
        if standing is None:
            self.lacks = ()
        try:
            self._load(wall, standing, now, frame=frame, check_only=check_only)
        except FilterError:
            if not frame or (missing := self._missing(wall, lacking.OPTIONAL)) == self.lacks:
                raise
            self.lacks = missing
            self._load(wall, standing, now, frame=True, check_only=check_only)

    def tried(self, wall: Ruleset) -> tuple[str, ...]:
        """Return what of `lacks` is still missing. Raises FilterError."""
        return self._missing(wall, self.lacks)

    def _missing(self, wall: Ruleset, among: Collection[str]) -> tuple[str, ...]:
        """Return the optional features that the kernel refuses, each tried alone; nothing is changed.

        Raises FilterError when it refuses the rules without any of them.
        """
        self._try(wall, lacking.OPTIONAL)
        missing = []
        for feature in among:
            try:
                self._try(wall, [other for other in lacking.OPTIONAL if other != feature])
            except FilterError:
                missing.append(feature)
        return tuple(missing)

    def _try(self, wall: Ruleset, without: Collection[str]) -> None:
        self._first(
            [nftables_text.removal() + nftables_text.frame(wall, element_counters=False, without=without)],
            check_only=True,
        )

    def _load(self, wall: Ruleset, standing: Standing | None, now: float, *, frame: bool, check_only: bool) -> None:
        whole = nftables_text.elements(differences(wall, {}, now))
        scripts = []
        if standing is not None and standing.shape:
            # In place: that keeps the counters.
            changes = nftables_text.elements(self.differences(wall, standing, now))
            scripts.append((self.text(wall) if frame else "") + changes)
        if frame:
            # Sets of another kind cannot be declared again, only replaced.
            scripts.append(nftables_text.removal() + self.text(wall) + whole)
        last_resort = len(scripts)
        if frame and not self.plain:
            scripts.append(
                nftables_text.removal() + nftables_text.frame(wall, element_counters=False, without=self.lacks) + whole
            )
        taken = self._first(scripts, check_only=check_only)
        self.plain = self.plain or taken == last_resort

    def snapshot(self) -> Snapshot:
        """Return our table as nft prints it; loading that brings back rules and remaining times. Raises FilterError."""
        listing = self._list()
        return None if listing is None else {"table": listing}

    def restore(self, snapshot: Snapshot) -> None:
        """Put back a snapshot in one transaction. Raises FilterError."""
        self._first([nftables_text.removal() + (snapshot.get("table", "") if snapshot else "")])

    def remove(self, created: Sequence[str] = ()) -> None:
        """Take our table away. Raises FilterError."""
        if self._list() is not None:
            self._first([nftables_text.removal()])

    def _list(self, *options: str) -> str | None:
        """Return the listing of our table, None when there is no such table. Raises FilterError."""
        try:
            return self._programs.run(["nft", *options, "list", "table", *nftables_text.TABLE.split()])
        except ProgramError as error:
            if "No such file or directory" in error.output:
                return None
            raise FilterError(f"nft cannot list its tables: {_first_line(error)}") from error

    def _first(self, scripts: list[str], *, check_only: bool = False) -> int:
        """Load the first script that nft takes and return its place; each is all or nothing. Raises FilterError."""
        said = []
        for place, script in enumerate(scripts):
            try:
                self._programs.run(["nft", *(["-c"] if check_only else []), "-f", "-"], script)
            except ProgramError as error:
                said.append(_refused(error, script))
            else:
                return place
        raise FilterError(f"nft refused the rules, and nothing has changed: {'; '.join(dict.fromkeys(said))}")


def _first_line(error: ProgramError) -> str:
    return (error.output or str(error)).splitlines()[0]


def _refused(error: ProgramError, script: str) -> str:
    """Return what nft said, and the line of the script that it means where it names one."""
    said, lines = _first_line(error), script.splitlines()
    where = _WHERE.match(said)
    if not where or not 0 < int(where[1]) <= len(lines):
        return said
    return lacking.refusal(said[where.end() :], lines[int(where[1]) - 1].strip())
