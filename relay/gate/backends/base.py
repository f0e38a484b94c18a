"""What a packet filter of the host can do for the gate: one interface, and what both have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from relay.gate.policy.ruleset import SETS, TOLERANCE, Difference, Ruleset, Standing
from relay.gate.state import Applied

# A snapshot: what `restore` needs, as JSON can hold it; None: nothing of ours stood.
Snapshot = dict[str, str] | None


class FilterError(Exception):
    """The packet filter refused; str() is a sentence. What stood before stands."""


class Backend(Protocol):
    """A packet filter. Every method but `text` runs programs and raises FilterError."""

    name: str
    # Without what this host's kernel does not know.
    plain: bool
    # Left out for the same reason, of relay.gate.backends.lacking.OPTIONAL.
    lacks: tuple[str, ...]
    # What of others' was not there before a load and is there through us: to be taken away with us.
    made: list[str]

    def text(self, wall: Ruleset) -> str:
        """Return the rules without entries: what is compared to tell whether they have to be loaded again."""

    def standing(self) -> Standing | None:
        """Return what stands of ours, None when nothing does."""

    def differences(self, wall: Ruleset, standing: Standing | None, now: float) -> dict[str, Difference]:
        """Return what has to change in the sets."""

    def load(
        self, wall: Ruleset, standing: Standing | None, now: float, *, frame: bool, check_only: bool = False
    ) -> None:
        """Load the ruleset: rules and entries, or with frame False the entries alone. check_only: only try."""

    def tried(self, wall: Ruleset) -> tuple[str, ...]:
        """Return what of `lacks` is still missing: the owner may have mended that."""

    def snapshot(self) -> Snapshot:
        """Return what stands, to be restored."""

    def restore(self, snapshot: Snapshot) -> None:
        """Put back what a snapshot holds, and nothing else of ours."""

    def remove(self, created: Sequence[str] = ()) -> None:
        """Take away all that is ours, and what is there through us alone (`made`) unless others use it now."""


@dataclass(slots=True)
class Done:
    """What `enforce` found and did.

    missing: nothing of ours stood. rules: the rules had to be loaded. added, removed, refreshed: networks. standing:
    what stands now.
    """

    missing: bool = False
    rules: bool = False
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    refreshed: list[str] = field(default_factory=list)
    standing: Standing | None = None

    @property
    def changed(self) -> bool:
        """Whether anything had to change."""
        return bool(self.rules or self.added or self.removed or self.refreshed)

    def __str__(self) -> str:
        if self.missing:
            return "our rules were gone"
        what = ["rules were not ours"] if self.rules else []
        for verb, networks in (("missing", self.added), ("too many", self.removed), ("wrong", self.refreshed)):
            what += [f"{len(networks)} entries were {verb}"] if networks else []
        return ", ".join(what) or "all was as it should be"


def enforce(
    backend: Backend, wall: Ruleset, applied: Applied | None, clock: Callable[[], float], *, check_only: bool = False
) -> tuple[Done, Applied | None]:
    """Load the ruleset, changing as little as possible; return what was done and what is applied now.

    Rules count as ours when text and listing are those of the last load: nft and iptables print rules as they like, but
    the same rules alike. clock: seconds since 1970. Raises FilterError; then what stood before stands.
    """
    now = clock()
    standing = backend.standing()
    sound = standing is not None and applied is not None and _is_sound(backend, wall, standing, applied)
    changes = backend.differences(wall, standing, now)
    done = _done(changes, missing=standing is None, rules=not sound)
    done.standing = standing
    if not done.changed:
        return done, applied
    backend.load(wall, standing, now, frame=not sound, check_only=check_only)
    if check_only:
        return done, applied
    after = backend.standing()
    # Times have run on meanwhile: a slow host takes seconds for ten thousand entries, and some may have ended.
    if after is None or not after.shape or _lacks(backend.differences(wall, after, now), clock() - now):
        raise FilterError(f"{backend.name} took the rules and does not show them; another program may change them")
    done.standing = after
    text = hashlib.sha256(backend.text(wall).encode()).hexdigest()
    return done, Applied(backend.name, list(wall.ports), text, after.frame, backend.plain, now, [*backend.lacks])


def _lacks(changes: Mapping[str, Difference], passed: float) -> bool:
    """Tell whether there are other entries than there should be, passed seconds after they were loaded."""
    missing = [left for one in changes.values() for left in one.add.values()]
    return any(one.remove for one in changes.values()) or any(
        left is None or left > passed + TOLERANCE for left in missing
    )


def _is_sound(backend: Backend, wall: Ruleset, standing: Standing, applied: Applied) -> bool:
    text = hashlib.sha256(backend.text(wall).encode()).hexdigest()
    return (
        standing.shape and applied.backend == backend.name and (applied.text, applied.frame) == (text, standing.frame)
    )


def _done(changes: Mapping[str, Difference], *, missing: bool, rules: bool) -> Done:
    done = Done(missing, rules)
    for name in SETS:
        done.added += map(str, changes[name].add)
        done.removed += map(str, changes[name].remove)
        done.refreshed += map(str, changes[name].refresh)
    return done
