"""One direction of a netplay link, cut into its header and its commands: what is looked at, and what is skipped.

A body that nobody looks at is skipped by counting: nothing of it is kept, and a chunk that lies within it costs one
comparison. What is kept between two chunks is the beginning of a command's head and of the few bytes of its body that
are looked at: MOST_HELD bytes at most (docs/protocol.md, Netplay stream).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Container
from typing import Any, ClassVar, NamedTuple

from relay.netplay.observed import Seen

Data = bytes | bytearray | memoryview

MAGIC = b"RANP"
HEADER_SIZE = 24
HEAD_SIZE = 8
INPUT = 0x03
NETPACKET = 0x48
# Netpackets carry the id of a client between head and body, and their size does not count it.
NETPACKET_HIDDEN = 4
# RetroArch's own commands end at 0x2001. It skips what it does not know, and so does this, within reason.
MOST_COMMAND = 0xFFFF
# In one chunk; a game's smallest commands fill a chunk of 64 KiB with fewer.
MOST_COMMANDS = 4096
MOST_BODY = 64 * 1024 * 1024
LEAST_INPUT = 8
MOST_INPUT = 4096
MOST_LOOKED_AT = 184
MOST_HELD = HEAD_SIZE + MOST_LOOKED_AT
NOT_NOW = (-1, 0)
# Where a direction is not followed any more, all that comes is one body without end.
FOREVER = 1 << 62

_pair = struct.Struct(">2I").unpack_from
_words = struct.Struct(">5I").unpack_from
head_of_input = struct.Struct(">4I").unpack_from
"""Of at least HEAD_SIZE + LEAST_INPUT bytes: command, length, frame, who."""


class Rule(NamedTuple):
    """What to do with a command: sizes its body may have, how much of that is looked at, and by whom.

    look counts bytes from the beginning of the body; nameless is the same where no names may be kept. act is told the
    direction, those bytes and the size of the body.
    """

    sizes: Container[int]
    look: int
    nameless: int
    act: Callable[[Any, bytes, int], None]


class Direction:
    """The framing of one direction. A subclass says what the header, the inputs and the commands in RULES mean."""

    __slots__ = ("_begun", "_held", "_names", "_opened", "_skip", "seen")

    RULES: ClassVar[dict[int, Rule]] = {}

    def __init__(self, seen: Seen, names: bool) -> None:
        self.seen = seen
        self._names = names
        self._skip = 0
        self._held = b""
        self._opened = False
        # Whether the next chunk continues something: a header that has not come, a command cut in its head.
        self._begun = True

    # What a subclass makes of it.

    def opened(self, word3: int, word4: int, word5: int) -> None:
        """Take the words of the header that mean something here."""
        raise NotImplementedError

    def refused(self, magic: bytes) -> bool:
        """Tell whether magic, which came instead of a header's, is an answer too: the last one."""
        raise NotImplementedError

    def played(self, frame: int, who: int) -> None:
        """Take one frame's input of client who (0 is the host)."""
        raise NotImplementedError

    def newest(self) -> tuple[int, int] | None:
        """Return whose INPUT is counted, and its newest frame; None before there was one."""
        raise NotImplementedError

    def glanced(self, frame: int) -> None:
        """Take all of that client's frames since the newest one, up to this."""
        raise NotImplementedError

    def glance(self) -> tuple[int, int]:
        """Return whose INPUT may be taken at a glance from now on, and its newest frame; NOT_NOW when nobody's.

        Nearly every chunk is one whole INPUT for the next frame. Whoever feeds this may count those in without feeding
        them, and must say how far it came (`glanced`) before it feeds the next, or has anybody read what was seen.
        """
        return NOT_NOW if self._skip or self._begun else self.newest() or NOT_NOW

    # The bytes.

    def feed(self, data: Data) -> None:
        """Take the next bytes. Never raises, keeps at most MOST_HELD of them."""
        size = len(data)
        at = self._skip
        # Nearly always a chunk is one whole INPUT.
        if not at and not self._begun and size >= HEAD_SIZE + LEAST_INPUT:
            command, length, frame, who = head_of_input(data)
            if command == INPUT and length == size - HEAD_SIZE and length <= MOST_INPUT:
                self.played(frame, who)
                return
        if at < size:
            if self._begun:
                at = self._continue(data)
            most = MOST_COMMANDS
            while at < size:
                most -= 1
                if not most:
                    # Thousands of commands without a body are no game, and reading them costs the neighbours time.
                    at = size + self._stop()
                    break
                # By far the most frequent command, so it comes first and by itself.
                if size - at >= HEAD_SIZE + LEAST_INPUT:
                    command, length = _pair(data, at)
                    if command == INPUT and LEAST_INPUT <= length <= MOST_INPUT:
                        frame, who = _pair(data, at + HEAD_SIZE)
                        self.played(frame, who)
                        at += HEAD_SIZE + length
                        continue
                used = self._command(data, at)
                if not used:
                    self._held = bytes(data[at:])
                    self._begun = True
                    self._skip = 0
                    return
                at += used
        self._skip = at - size

    @property
    def still_to_come(self) -> int:
        """The bytes of a body, nearly always a savestate's, that have not come yet; 0 where it is not followed."""
        return self._skip if self._skip < FOREVER // 2 else 0

    def save(self) -> dict[str, Any]:
        """Return where it stands, as simple types."""
        return {"skip": self._skip, "held": self._held.hex(), "opened": self._opened}

    def restore(self, state: dict[str, Any]) -> None:
        """Stand where `save` stood. Raises KeyError, TypeError or ValueError for anything else."""
        skip, held, opened = int(state["skip"]), bytes.fromhex(state["held"]), bool(state["opened"])
        if not (0 <= skip <= FOREVER and len(held) < MOST_HELD):
            raise ValueError("not the state of a direction")
        self._skip, self._held, self._opened = skip, held, opened
        self._begun = bool(held) or not opened

    def stop(self) -> None:
        """Follow this direction no longer."""
        self._skip = self._stop()

    def _continue(self, data: Data) -> int:
        """Continue what earlier chunks began; return where in data, or beyond it, the next command begins."""
        known = len(self._held)
        joined = self._held + bytes(data[: MOST_HELD - known])
        used = self._command(joined, 0) if self._opened else self._header(joined)
        if not used:
            # More is needed than came, so all that came is in joined.
            self._held = joined
            return len(data)
        self._held = b""
        self._begun = False
        # What is held is never a whole command, except in a state that no `save` made.
        return (used if used > known else self._stop()) - known

    def _header(self, data: bytes) -> int:
        """Return how long the header at the beginning of data is; 0 when more is needed to say."""
        if len(data) < len(MAGIC):
            return 0
        if not data.startswith(MAGIC):
            return FOREVER if self.refused(data[: len(MAGIC)]) else self._stop()
        if len(data) < HEADER_SIZE:
            return 0
        _platform, _compression, word3, word4, word5 = _words(data, len(MAGIC))
        self._opened = True
        self.opened(word3, word4, word5)
        return HEADER_SIZE

    def _command(self, data: Data, at: int) -> int:
        """Return how long the command at a place is, once what is looked at is there; 0 when more is needed."""
        left = len(data) - at - HEAD_SIZE
        if left < 0:
            return 0
        command: int
        length: int
        command, length = _pair(data, at)
        if command > MOST_COMMAND or length > MOST_BODY:
            return self._stop()
        rule = self.RULES.get(command)
        if rule is None:
            return HEAD_SIZE + length + (NETPACKET_HIDDEN if command == NETPACKET else 0)
        if length not in rule.sizes:
            return self._stop()
        look = min(rule.look if self._names else rule.nameless, length)
        if left < look:
            return 0
        at += HEAD_SIZE
        rule.act(self, bytes(data[at : at + look]), length)
        return HEAD_SIZE + length

    def _stop(self) -> int:
        self.seen.stopped = True
        return FOREVER
