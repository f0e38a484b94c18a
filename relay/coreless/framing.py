"""A client's bytes cut into its header and its commands, whatever the sizes they arrive in.

Nothing is trusted: a size that RetroArch never sends for a command ends the connection before its body is awaited,
and a savestate that nobody will be sent is skipped, not stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from relay.coreless.settings import CorelessSettings
from relay.netplay import wire
from relay.protocol import tunnel as protocol
from relay.spool import Blob, Spool, SpoolFullError

# A savestate of more bytes lies in blocks of its own while it arrives.
SMALL = 64 * 1024


class BrokenError(Exception):
    """A client sent what no RetroArch sends; str() says what."""


class StateLostError(BrokenError):
    """The memory for a savestate that arrives was taken away, or there is none: nobody's mistake."""


class CorePacketError(BrokenError):
    """A client's core sends packets of its own (RetroArch 1.16 and newer), which only a host can pass on."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a client opens with. highest is 0 for RetroArch 1.9.14 and older."""

    protocol: int
    platform: int
    compression: int
    highest: int
    implementation: int


class Framer:
    """The stream of one client. feed returns whole commands, (number, bytes or a blob with their head).

    keep_states says whether the body of a LOAD_SAVESTATE is wanted; where it is not, that command is shortened to its
    first 16 bytes. So is a large one whose size in plain wanted refuses. rest is what has arrived of a command that is
    not whole, need how many bytes it must have to be looked at again; skip is how many of an unwanted body are still to
    come. state is what has arrived of a large savestate that is wanted, state_size how long it will be; source: whose
    address it is laid to. begun counts these.
    """

    __slots__ = (
        *("_settings", "_spool", "_wanted", "begun", "header", "keep_states", "need", "rest", "skip", "source"),
        *("state", "state_size"),
    )

    def __init__(
        self,
        settings: CorelessSettings,
        spool: Spool,
        source: str = "",
        wanted: Callable[[int], bool] = lambda _: True,
    ) -> None:
        self.header: Header | None = None
        self.keep_states = False
        self.rest = bytearray()
        self._settings = settings
        self.need = wire.one.size
        self.skip = 0
        self.state: Blob | None = None
        self.state_size = 0
        self.begun = 0
        self.source = source
        self._spool = spool
        self._wanted = wanted

    @property
    def appetite(self) -> int:
        """How many bytes are still to come of a savestate."""
        return self.state_size - len(self.state) if self.state is not None else self.skip

    def feed(self, data: bytes) -> list[tuple[int, bytes | Blob]]:
        """Take the next bytes. Raises BrokenError; what was whole before is lost then, with the connection."""
        if self.state is not None:
            return self._more_of_state(self.state, data)
        if self.skip:
            skipped = min(self.skip, len(data))
            self.skip -= skipped
            data = data[skipped:]
        if self.rest:
            self.rest += data
            if len(self.rest) < self.need:
                return []
            data = bytes(self.rest)
            self.rest.clear()
        at = 0
        if self.header is None:
            at = self._open(data)
            if self.header is None:
                return []
        return self._commands(data, at)

    def _more_of_state(self, state: Blob, data: bytes) -> list[tuple[int, bytes | Blob]]:
        count = min(self.state_size - len(state), len(data))
        self._keep(state, memoryview(data)[:count])
        if len(state) < self.state_size:
            return []
        self.state, state.ready = None, True
        return [(wire.LOAD_SAVESTATE, state), *self._commands(data, count)]

    def _keep(self, state: Blob, data: memoryview) -> None:
        try:
            state.append(data)
        except SpoolFullError:
            state.lose()
        if state.lost:
            raise StateLostError("no memory is left for its savestate")

    def _commands(self, data: bytes, at: int) -> list[tuple[int, bytes | Blob]]:
        found: list[tuple[int, bytes | Blob]] = []
        end = len(data)
        while end - at >= wire.HEAD:
            number, size = wire.two.unpack_from(data, at)
            if number == wire.INPUT:
                # Sixty times a second from everybody; all else is rare.
                if not wire.HEAD <= size <= self._settings.max_input_bytes:
                    raise BrokenError(f"input of {size} bytes")
            else:
                self._check(number, size)
            whole = at + wire.HEAD + size
            if number == wire.LOAD_SAVESTATE and (not self.keep_states or (whole > end and whole - at > SMALL)):
                if end - at < 2 * wire.HEAD:
                    self._wait(data, at, 2 * wire.HEAD)
                    return found
                raw_size = wire.one.unpack_from(data, at + 12)[0]
                if self.keep_states and self._wanted(raw_size):
                    self.state, self.state_size = Blob(self._spool, self.source), whole - at
                    self.begun += 1
                    self._keep(self.state, memoryview(data)[at:])
                    return found
                found.append((number, data[at : at + 2 * wire.HEAD]))
                self.skip = max(0, whole - end)
                at = min(whole, end)
                continue
            if whole > end:
                self._wait(data, at, whole - at)
                return found
            found.append((number, data[at:whole]))
            at = whole
        if at < end:
            self._wait(data, at, wire.HEAD)
        return found

    def _wait(self, data: bytes, at: int, need: int) -> None:
        self.rest += data[at:]
        self.need = need

    def _open(self, data: bytes) -> int:
        if len(data) < wire.one.size:
            if not wire.MAGIC.startswith(data[:4]) and data[:1] != b"\0":
                raise BrokenError("no header")
            self._wait(data, 0, wire.one.size)
            return 0
        modern = data[:4] == wire.MAGIC
        size = protocol.HEADER_SIZE if modern else protocol.OLD_HEADER_SIZE
        words = [wire.one.unpack_from(data, at)[0] for at in range(0, min(len(data), size) & ~3, 4)]
        if not modern and words[0] not in protocol.OLD_HASHES:
            raise BrokenError("no header")
        if len(data) < size:
            self._wait(data, 0, size)
            return 0
        if modern:
            _, platform, compression, highest, lowest, implementation = words
            self.header = Header(lowest, platform, compression, highest, implementation)
        else:
            implementation, platform, compression, _ = words
            self.header = Header(4, platform, compression, 0, implementation)
        return size

    def _check(self, number: int, size: int) -> None:
        if number == wire.NETPACKET:
            raise CorePacketError("a packet of its core")
        old = self.header is not None and self.header.protocol == 4
        sizes = _SIZES[old].get(number)
        if sizes is not None:
            good = size in sizes
        elif number == wire.LOAD_SAVESTATE:
            # A zlib stream of what cannot be compressed is a little longer than that.
            most = self._settings.max_state_bytes
            good = wire.HEAD <= size <= most + most // 1000 + 2 * wire.HEAD
        else:
            good = size <= self._settings.max_info_bytes
        if not good:
            raise BrokenError(f"command {number:#x} with {size} bytes")


_SIZES_5: dict[int, tuple[int, ...]] = {
    wire.NAK: (0,),
    wire.DISCONNECT: (0,),
    wire.NICK: (wire.NICK_SIZE,),
    wire.INFO: (wire.INFO_SIZE,),
    wire.SPECTATE: (0,),
    wire.PLAY: (4,),
    wire.REQUEST_SAVESTATE: (0,),
    wire.PAUSE: (wire.NICK_SIZE,),
    wire.RESUME: (0,),
    wire.RESET: (4,),
}
_SIZES = {False: _SIZES_5, True: _SIZES_5 | {wire.PLAY: (0, 4)}}
