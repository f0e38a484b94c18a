"""A savestate for those who agreed to another form of it: compressed, where who sends it does not compress, or plain.

64 MiB of it take most of a second, and every game on the relay would stand still for that long. So it is done in
slices, and whoever is to be sent it waits, with all that comes behind it.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Any

from relay.netplay import wire
from relay.spool import Blob, Spool

# Bytes, before they are compressed, of a slice: less than a millisecond.
SLICE = 32 * 1024
# The head of LOAD_SAVESTATE, with frame and size.
HEAD = 2 * wire.HEAD
# Why a conversion failed, where it is not the state's fault.
NO_MEMORY = "no memory is left for it"


@dataclass(eq=False, slots=True)
class Conversion:
    """One of them. source is the whole command, target becomes the whole command; keys are those who are sent it.

    sender is whose state it is, raw_size its size in plain, inflate the direction.
    """

    source: bytes | Blob
    target: Blob
    frame: int
    raw_size: int
    inflate: bool
    sender: int
    keys: list[int] = field(default_factory=list)
    _at: int = HEAD
    _inflater: Any = None
    _deflater: Any = None

    def step(self) -> bool:
        """Do a slice; return whether that was the last. ValueError, zlib.error: the state is none. SpoolFullError."""
        self._check()
        done = self._inflate() if self.inflate else self._deflate()
        if done:
            # What comes last may be one byte too much, too.
            self._check()
            body = len(self.target) - HEAD
            self.target.put_first(wire.load_savestate_head(self.frame, self.raw_size, body))
            self.target.ready = True
        return done

    def _check(self) -> None:
        """Raise ValueError if the memory was taken away."""
        if self.target.lost or (isinstance(self.source, Blob) and self.source.lost):
            raise ValueError(NO_MEMORY)

    def _read(self, count: int) -> bytes:
        if isinstance(self.source, Blob):
            data = b"".join(self.source.views(self._at, count))
        else:
            data = self.source[self._at : self._at + count]
        self._at += len(data)
        return data

    def _begin(self) -> None:
        self.target.append(bytes(HEAD))

    def _inflate(self) -> bool:
        if self._inflater is None:
            self._begin()
            self._inflater = zlib.decompressobj()
        data = self._inflater.unconsumed_tail or self._read(SLICE)
        left = self.raw_size + HEAD - len(self.target)
        some = self._inflater.decompress(data, min(SLICE, left))
        self.target.append(some)
        if len(some) == left:
            return True
        if not some and not self._inflater.unconsumed_tail and (not data or self._inflater.eof):
            raise ValueError(f"{len(self.target) - HEAD} bytes instead of {self.raw_size}")
        return False

    def _deflate(self) -> bool:
        if self._deflater is None:
            self._begin()
            self._deflater = zlib.compressobj(1)
        if data := self._read(SLICE):
            self.target.append(self._deflater.compress(data))
            return False
        self.target.append(self._deflater.flush())
        return True

    def save(self) -> dict[str, Any]:
        """Return it as plain data; it begins anew in the next program, for no slice of zlib's can be handed over."""
        source = self.source
        return {
            "source": source.save() if isinstance(source, Blob) else b64encode(source).decode("ascii"),
            "target": self.target.save(),
            "numbers": [self.frame, self.raw_size, self.inflate, self.sender],
            "keys": self.keys,
        }

    @classmethod
    def load(cls, data: dict[str, Any], spool: Spool) -> Conversion:
        """Return what `save` saved. KeyError, TypeError or ValueError if the data is broken."""
        source = data["source"]
        frame, raw_size, inflate, sender = data["numbers"]
        target = spool.load_blob(data["target"])
        spool.forget(target)
        found = b64decode(source) if isinstance(source, str) else spool.load_blob(source)
        return cls(found, target, frame, raw_size, inflate, sender, [int(key) for key in data["keys"]])
