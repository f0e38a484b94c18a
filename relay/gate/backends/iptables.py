"""The iptables backend: runs iptables-restore, ip6tables-restore and ipset, for hosts without nft.

What they are told and what they say is the business of relay.gate.backends.iptables_text.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from relay.gate import incompatible
from relay.gate.backends import ipset, iptables_text, lacking, netlink
from relay.gate.backends.base import FilterError, Snapshot
from relay.gate.coexist import raw_rules
from relay.gate.foreign import uplinks
from relay.gate.policy.ruleset import Difference, Ruleset, Standing, differences
from relay.gate.programs import ProgramError, Programs

VARIANTS = ("", "-nft", "-legacy")
# How iptables says that another program held its lock for too long.
_LOCKED = "xtables lock"
IPV6 = Path("/proc/net/if_inet6")
_WORDS = {4: "iptables", 6: "ip6tables"}
_FAMILIES = {4: "ip", 6: "ip6"}


def variant(programs: Programs) -> str | None:
    """Return which iptables the host has: "" (its default), "-nft", "-legacy", or None."""
    return next((name for name in VARIANTS if programs.find(f"iptables{name}-restore")), None)


class Iptables:
    """Our chains in iptables and ip6tables, and our ipsets."""

    name = "iptables"

    def __init__(self, programs: Programs, kind: str = "", *, plain: bool = False, lacks: Collection[str] = ()) -> None:
        """Use iptables{kind} and ip6tables{kind}; plain: without ipset; lacks: without these features."""
        self._programs = programs
        self._kind = kind
        self.plain = plain or not programs.find("ipset")
        self.lacks = tuple(lacks)
        self.made: list[str] = []

    @property
    def versions(self) -> list[int]:
        """The families the host has: 4, and 6 unless its kernel has no IPv6."""
        return [4, 6] if IPV6.exists() else [4]

    def text(self, wall: Ruleset) -> str:
        """Return the rules without entries."""
        bare = replace(wall, sets={name: {} for name in wall.sets})
        return "\n".join("\n".join(self._frame(bare, version)) for version in self.versions)

    def standing(self) -> Standing | None:
        """Return what stands of our chains and sets. Raises FilterError."""
        saved = {version: self._saved(version) for version in self.versions}
        sets = None if self.plain else self._sets()
        try:
            return iptables_text.parse(saved, sets, {version: uplinks.uplinks(version) for version in saved})
        except ValueError as error:
            raise FilterError(f"what stands in our chains or sets cannot be read: {error}") from error

    def differences(self, wall: Ruleset, standing: Standing | None, now: float) -> dict[str, Difference]:
        """Return what has to change in the sets."""
        wall = iptables_text.without_times(wall) if self.plain else wall
        return differences(wall, standing.sets if standing else {}, now, ipset.LONGEST)

    def load(
        self, wall: Ruleset, standing: Standing | None, now: float, *, frame: bool, check_only: bool = False
    ) -> None:
        """Load the ruleset. Raises FilterError; what stood before is put back then.

        What kernel or iptables lack and the ruleset can do without is left out; where nothing stands, all of it is
        tried.
        """
        before = None if check_only else self.snapshot()
        if standing is None:
            self.lacks = ()
            if not check_only:
                self.made = self.made or self._untouched()
        # The program ipset alone is not enough: kernel and iptables must know sets as well.
        plains, known = [True] if self.plain else [False, True], self.lacks
        refused: Exception | None = None
        for self.plain, self.lacks in itertools.product(plains, lacking.choices(known)):
            try:
                self._load(wall, now, frame=frame or refused is not None, check_only=check_only)
            except ProgramError as error:
                refused = error
                if not check_only:
                    self.restore(before)
                if error.code is None or _LOCKED in error.output:
                    break
            else:
                return
        raise FilterError(f"{refused}. Nothing has changed") from refused

    def tried(self, wall: Ruleset) -> tuple[str, ...]:
        """Return what of `lacks` is still missing; a chain that nothing jumps to shows it. Raises FilterError."""
        return tuple(feature for feature in self.lacks if not self._takes(wall, feature))

    def _takes(self, wall: Ruleset, feature: str) -> bool:
        try:
            for version in self.versions:
                self._restore(version, iptables_text.trial(wall, version, feature))
        except ProgramError:
            return False
        finally:
            with contextlib.suppress(ProgramError):
                for version in self.versions:
                    self._restore(version, iptables_text.trial_end())
        return True

    def _load(self, wall: Ruleset, now: float, *, frame: bool, check_only: bool) -> None:
        """Fill the sets, then load the rules that name them. Raises ProgramError."""
        # Rules that name a set are refused as long as there is no such set.
        tried = replace(wall, sets={name: {} for name in wall.sets}) if check_only and not self.plain else wall
        frames = {version: self._frame(tried, version, ipset=wall is tried) for version in self.versions}
        texts = {version: self._text(version, rules) for version, rules in frames.items()}
        if not self.plain and not check_only:
            self._ipset(ipset.create())
            there = ipset.parse(self._sets())
            self._ipset(ipset.elements(differences(wall, there, now, ipset.LONGEST)))
        if not frame and not self.plain and not check_only:
            return
        for version, text in texts.items():
            self._restore(version, text, "--test")
        for version, text in texts.items() if not check_only else ():
            self._restore(version, text)

    def _text(self, version: int, rules: list[str]) -> str:
        """Return what makes these our rules, whatever stands now. Raises FilterError."""
        saved = self._saved(version)
        past = iptables_text.bypassed(saved, rules, uplinks.uplinks(version))
        return iptables_text.restore(rules, iptables_text.jumps(saved), bypassed=past)

    def _frame(self, wall: Ruleset, version: int, *, ipset: bool = True) -> list[str]:
        return iptables_text.frame(wall, version, ipset=ipset and not self.plain, without=self.lacks)

    def snapshot(self) -> Snapshot:
        """Return our rules and sets as the programs print them. Raises FilterError."""
        if self.standing() is None:
            return None
        sets = "" if self.plain else self._sets()
        rules = {_WORDS[version]: "\n".join(iptables_text.rules(self._saved(version))) for version in self.versions}
        return {**rules, "ipset": sets}

    def restore(self, snapshot: Snapshot) -> None:
        """Put back a snapshot. Raises FilterError."""
        try:
            if snapshot is None:
                self._remove()
                return
            if sets := snapshot.get("ipset"):
                self._ipset(ipset.replay(sets))
            for version in self.versions:
                self._restore(version, self._text(version, snapshot.get(_WORDS[version], "").splitlines()))
        except ProgramError as error:
            raise FilterError(str(error)) from error

    def remove(self, created: Sequence[str] = ()) -> None:
        """Take away our chains and sets, and tables there through us alone (`made`). Raises FilterError."""
        try:
            self._remove()
        except ProgramError as error:
            raise FilterError(str(error)) from error
        self._forget(created)

    def is_visible(self) -> bool:
        """Tell whether there is anything to see in iptables; to ask the legacy one would load its modules."""
        return not self._is_legacy() or any(raw_rules.lists(names, "filter") for names in raw_rules.LEGACY.values())

    def _is_legacy(self) -> bool:
        return "legacy" in self._programs.answer([f"iptables{self._kind}", "-V"])

    def _untouched(self) -> list[str]:
        """Return the programs (iptables, ip6tables) whose table filter does not exist yet. Raises FilterError."""
        # Asked for one table, iptables-save prints it whether it is there or not.
        saved = {version: self._programs.answer([f"{_WORDS[version]}{self._kind}-save"]) for version in self.versions}
        return [_WORDS[version] for version, text in saved.items() if "*filter" not in text]

    def _forget(self, created: Sequence[str]) -> None:
        """Take away tables that are there through us alone; those of legacy iptables stay as long as its modules."""
        for version in self.versions if created and not self._is_legacy() else ():
            if _WORDS[version] in created and iptables_text.is_bare(self._printed(version)):
                for chain in ("INPUT", "FORWARD", "OUTPUT"):
                    self._programs.answer([f"{_WORDS[version]}{self._kind}", "-X", chain])
                netlink.drop_empty("ip" if version == 4 else "ip6", "filter")

    def _remove(self) -> None:
        for version in self.versions if self.is_visible() else ():
            saved = self._printed(version)
            if incompatible.is_meant(saved):
                listed = incompatible.listed(self._programs)
                incompatible.take_away(self._programs, listed, _FAMILIES[version], iptables_text.CHAINS)
            elif text := iptables_text.removal(iptables_text.left(saved), iptables_text.jumps(saved)):
                self._restore(version, text)
        if self._programs.find("ipset"):
            for name in re.findall(r"^create (netplay[46]) ", self._sets(), re.MULTILINE):
                self._programs.run(["ipset", "destroy", name])

    def _saved(self, version: int) -> str:
        """Return the rules of the table filter. Raises FilterError, also when iptables has no words for them."""
        saved = self._printed(version)
        if incompatible.is_meant(saved):
            program = f"{_WORDS[version]}{self._kind}"
            raise FilterError(
                f"somebody has written to the table filter by nft what {program} cannot print, so that ours cannot be "
                'seen there. Set backend = "nftables" under [gate] in relay.toml'
            )
        return saved

    def _printed(self, version: int) -> str:
        try:
            return self._programs.run([f"{_WORDS[version]}{self._kind}-save", "-c", "-t", "filter"])
        except ProgramError as error:
            raise FilterError(f"the rules cannot be listed: {error}") from error

    def _sets(self) -> str:
        """Return our sets as `ipset save` prints them; "" where the kernel has no ipset."""
        return "".join(self._programs.answer(["ipset", "save", name]) for name in ipset.SET_NAMES.values())

    def _restore(self, version: int, text: str, *options: str) -> None:
        argv = [f"{_WORDS[version]}{self._kind}-restore", "--noflush", "--wait", "5", *options]
        try:
            self._programs.run(argv, text)
        except ProgramError as error:
            raise ProgramError(error.argv, error.code, iptables_text.refused(error.output, text)) from error

    def _ipset(self, text: str) -> None:
        if text:
            self._programs.run(["ipset", "restore", "-exist"], text)
