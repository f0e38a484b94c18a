"""What one client knows of each frame: the inputs that really came, and the states up to where none is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.netplay.machine import BOOT, Machine, Pad, State

if TYPE_CHECKING:
    from collections.abc import Iterable

# Where a line of states begins: what was loaded, at which frame. Two clients can be compared within one only.
Epoch = tuple[str, int, State]


class Timeline:
    """A machine's past and what it expects of the future.

    ``settled``: the frame up to which no input is missing; ``state``: the machine's there. ``heard``: what each client
    pressed, by frame and client. ``states``: every settled state, by epoch and frame.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.heard: dict[tuple[int, int], tuple[int, ...]] = {}
        self.states: dict[tuple[Epoch, int], State] = {}
        self._last: dict[int, Pad] = {}
        self.start(0)

    def start(self, frame: int) -> None:
        """Begin at a frame, freshly switched on."""
        self.inputs: dict[int, dict[int, Pad]] = {}
        self._last.clear()
        self.load(frame, BOOT, f"boot {id(self)}")

    def load(self, frame: int, state: State, why: str) -> None:
        """Be in a state at a frame, whatever was before."""
        self.settled, self.state, self.epoch = frame, state, (why, frame, state)
        self.states[self.epoch, frame] = state
        for old in [other for other in self.inputs if other < frame]:
            del self.inputs[old]

    def put(self, frame: int, client: int, pad: Pad) -> None:
        """Take a real input."""
        self.inputs.setdefault(frame, {})[client] = pad
        self.heard[frame, client] = pad[1]
        self._last[client] = pad

    def holds(self, frame: int) -> bool:
        """Whether any input of a frame is known."""
        return frame in self.inputs

    def settle(self, before: int) -> None:
        """Run what nothing is missing for, up to frame ``before``."""
        while self.settled < before:
            self.state = self.machine.step(self.state, self.inputs.pop(self.settled, {}))
            self.settled += 1
            self.states[self.epoch, self.settled] = self.state

    def guess(self, frame: int, players: Iterable[int]) -> State:
        """Return the state at a frame that is perhaps not settled: who was not heard is taken to press as before."""
        players = [player for player in players if player in self._last]
        state = self.state
        for number in range(self.settled, frame):
            known = self.inputs.get(number, {})
            state = self.machine.step(state, {player: self._last[player] for player in players} | known)
        return state
