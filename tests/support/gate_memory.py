"""A host for the gate's tests without any: a filter in memory, a clock that is told, programs that are scripted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from relay.gate.backends.base import Backend, FilterError, Snapshot
from relay.gate.files import GateFiles
from relay.gate.gate import Gate
from relay.gate.policy.ruleset import SETS, Difference, Ruleset, Standing, differences
from relay.gate.programs import ProgramError, Programs
from relay.gate.state import State

NOW = 1_800_000_000.0


class ScriptedPrograms(Programs):
    """Programs that answer from a table; what is not in it, this host does not have.

    answers: by the beginning of the words typed, the longest that fits; a str is printed, a ProgramError raised, a
    function asked with the words and the standard input.
    """

    def __init__(self, answers: dict[str, object] | None = None) -> None:
        super().__init__()
        self.answers = answers or {}
        self.ran: list[str] = []

    def find(self, name: str) -> str | None:
        """Return a path for programs that have an answer."""
        return f"/usr/sbin/{name}" if any(key.split()[0] == name for key in self.answers) else None

    def run(self, argv: Sequence[str], text: str = "", seconds: float = 1.0) -> str:
        """Answer, and keep what was asked in `ran`."""
        typed = " ".join(argv)
        self.ran.append(typed)
        keys = [key for key in self.answers if typed == key or typed.startswith(f"{key} ")]
        if not keys:
            raise ProgramError(argv, 1, "no answer")
        answer = self.answers[max(keys, key=len)]
        if isinstance(answer, ProgramError):
            raise answer
        return answer(argv, text) if callable(answer) else str(answer)


@dataclass
class MemoryBackend:
    """A packet filter that remembers.

    refuses: what it says to every load, while it says anything; seldom: not yet when it is only tried. then: what
    is called at the end of each load. missing: what its kernel does not have.
    """

    clock: Callable[[], float]
    name: str = "nftables"
    plain: bool = False
    lacks: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    made: list[str] = field(default_factory=list)
    wall: Ruleset | None = None
    rules: str = ""
    sets: dict[str, dict[object, float | None]] = field(default_factory=dict)
    refuses: str = ""
    seldom: bool = False
    loads: int = 0
    then: Callable[[], None] = lambda: None

    def text(self, wall: Ruleset) -> str:
        """Return the rules."""
        return f"{wall.ports} {wall.most} {self.lacks}"

    def standing(self) -> Standing | None:
        """Return what stands, without what has ended."""
        if not self.rules:
            return None
        now = self.clock()
        left = {
            name: {net: None if end is None else end - now for net, end in held.items() if end is None or end > now}
            for name, held in self.sets.items()
        }
        return Standing(self.rules, True, left)  # type: ignore[arg-type]

    def differences(self, wall: Ruleset, standing: Standing | None, now: float) -> dict[str, Difference]:
        """Return what has to change."""
        return differences(wall, standing.sets if standing else {}, now)

    def load(
        self, wall: Ruleset, standing: Standing | None, now: float, *, frame: bool, check_only: bool = False
    ) -> None:
        """Remember a ruleset."""
        if self.refuses and not (check_only and self.seldom):
            raise FilterError(self.refuses)
        self.lacks = self.missing if frame else self.lacks
        if not check_only:
            self.loads += 1
            self.rules = f"rules of {self.text(wall)}"
            self.sets = {name: dict(wall.sets[name]) for name in SETS}
            self.then()

    def tried(self, wall: Ruleset) -> tuple[str, ...]:
        """Tell what is still missing."""
        self.lacks = tuple(one for one in self.lacks if one in self.missing)
        return self.lacks

    def snapshot(self) -> Snapshot:
        """Return what stands."""
        if not self.rules:
            return None
        self._kept = (self.rules, {name: dict(held) for name, held in self.sets.items()})
        return {"kept": "in memory"}

    def restore(self, snapshot: Snapshot) -> None:
        """Put it back."""
        self.rules, self.sets = self._kept if snapshot else ("", {})

    def remove(self, created: Sequence[str] = ()) -> None:
        """Forget."""
        self.rules, self.sets = "", {}

    def holds(self) -> set[str]:
        """Return the networks that stand, as text."""
        standing = self.standing()
        return {str(network) for name in SETS for network in standing.sets[name]} if standing else set()


class MemoryGate(Gate):
    """A gate whose filter is in memory. now: seconds since 1970."""

    def __init__(self, folder: Path, programs: Programs | None = None) -> None:
        self.now = NOW
        super().__init__(GateFiles(folder / "etc", folder / "var"), programs or ScriptedPrograms(), lambda: self.now)
        self.places.config_dir.mkdir()
        self.filter = MemoryBackend(self.clock)

    def backend(self, setting: str, state: State) -> Backend:
        """Return the filter in memory."""
        return self.filter  # type: ignore[return-value]

    def named(self, name: str, state: State) -> Backend:
        """Return the filter in memory, whatever its name."""
        return self.filter  # type: ignore[return-value]

    def _check_ports(self, *_: object) -> None:
        """Let no ssh server of the machine that runs the tests decide."""


def friend(name: str, *lines: str) -> str:
    """Return the text of one entry of friends.toml."""
    return "\n".join(["[[friend]]", f'name = "{name}"', *lines, ""])
