"""Memory for what waits: savestates on their way, and all that slow readers have not taken yet.

It lies in blocks of one memory file, outside of Python's own memory. So it has a bound, its pages go back to the kernel
soon after nobody needs them whatever the allocator does, a savestate that many are sent is there once, and the next
program is handed all of it by one descriptor, without a copy (relay/upgrade.py).
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

BLOCK = 64 * 1024
# Blocks beside those of the bound: a block that is half full is one all the same, one for each connection.
SPARE = 4096
# Blocks that are given back to the kernel in one turn of the event loop: about a millisecond (docs/security.md).
TRIMMED = 64
# Free blocks that are kept for the next one who needs some.
KEPT = 16

# Where more waits for a connection than may wait for one that stands still, so many bytes have to be taken of it in so
# many seconds: 51 KiB/s, with which a savestate of 12 MiB takes four minutes.
PACE_SECONDS = 10.0
PACE_BYTES = 512 * 1024

Data = bytes | bytearray | memoryview


class SpoolFullError(Exception):
    """There is no block left."""


class Spool:
    """The blocks. most: bytes that may be held; beyond that `relieve` is called, which takes them from somebody.

    held: bytes that are held, what several connections share counted once. fd: the memory file, to be handed over.
    Raises OSError where the kernel gives no memory file.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0
        self.relieve: Callable[[], None] = _nobody
        self.block = BLOCK
        self._map(os.memfd_create("netplay-relay-spool"), most // BLOCK + SPARE)
        # Never used, from here on; used and free again, their pages still there; free, without pages.
        self._top = 0
        self._dirty: list[int] = []
        self._clean: list[int] = []
        self._loading: dict[int, Blob] = {}
        self._claimed: set[int] = set()
        # Blocks of another program, of which some are still to be claimed.
        self._inherited = 0

    def _map(self, fd: int, blocks: int) -> None:
        self.fd = fd
        self.blocks = blocks
        os.ftruncate(fd, blocks * self.block)
        self._memory = mmap.mmap(fd, blocks * self.block)
        self.view = memoryview(self._memory)

    def close(self) -> None:
        """Give back everything; nothing of it may be used any more."""
        with contextlib.suppress(BufferError):
            self.view.release()
            self._memory.close()
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, BufferError, OSError):
            self.close()

    @property
    def resident(self) -> int:
        """How many bytes of memory its blocks take at most, those that are kept for later among them."""
        return (self._top - len(self._clean)) * self.block

    def take(self) -> int:
        """Return a free block. Raises SpoolFullError."""
        if self._dirty:
            return self._dirty.pop()
        if self._clean:
            return self._clean.pop()
        if self._top == self.blocks:
            raise SpoolFullError
        self._top += 1
        return self._top - 1

    def give_back(self, block: int) -> None:
        """Free a block."""
        self._dirty.append(block)

    @property
    def untidy(self) -> bool:
        """Whether `trim` has something to give back to the kernel."""
        return len(self._dirty) > KEPT

    def trim(self, most: int = TRIMMED) -> None:
        """Give the pages of some free blocks back to the kernel; those freed last are kept for the next."""
        some = sorted(self._dirty[: min(most, len(self._dirty) - KEPT)]) if self.untidy else []
        del self._dirty[: len(some)]
        for first, count in _runs(some):
            self._memory.madvise(mmap.MADV_REMOVE, first * self.block, count * self.block)
        self._clean += some

    # Handing over.

    def save(self) -> dict[str, Any]:
        """Return what the next program needs to find the blocks: its descriptor and their sizes."""
        return {"fd": self.fd, "block": self.block, "blocks": self.blocks, "top": self._top}

    def restore(self, data: dict[str, Any]) -> None:
        """Go on with the blocks of another program; `load` what is held, then call `restored`. ValueError, OSError."""
        fd, block, blocks, top = (int(data[name]) for name in ("fd", "block", "blocks", "top"))
        if not 0 < block <= 1 << 30 or not 0 <= top <= blocks <= 1 << 30 or block % mmap.PAGESIZE:
            raise ValueError(f"{blocks} blocks of {block} bytes")
        self.close()
        self.block = block
        os.set_inheritable(fd, False)
        self._map(fd, max(blocks, self.most // block + SPARE))
        self._top = self._inherited = top

    def claim(self, block: object) -> int:
        """Take a block that another program has held; ValueError if there is none, or somebody has it."""
        if type(block) is not int or not 0 <= block < self._top or block in self._claimed:
            raise ValueError(f"block {block!r} of {self._top}")
        self._claimed.add(block)
        return block

    def forget(self, blob: Blob) -> None:
        """Let go of a blob's bytes, of one that another program had begun: its blocks are nobody's."""
        self.held -= blob.size
        self._claimed.difference_update(blob.blocks)
        blob.blocks, blob.size = [], 0

    def restored(self) -> None:
        """Free all of another program's blocks that nobody has claimed.

        Those that were taken here, or claimed and given back, meanwhile are whose they are.
        """
        self._dirty += [block for block in range(self._inherited) if block not in self._claimed]
        self._claimed, self._loading, self._inherited = set(), {}, 0

    def load_blob(self, data: dict[str, Any]) -> Blob:
        """Return what `Blob.save` saved; the same one for everybody who holds it."""
        blob = self._loading.get(int(data["id"]))
        if blob is None:
            blob = self._loading[int(data["id"])] = Blob(self, data["source"])
            blob.blocks = [self.claim(block) for block in data["blocks"]]
            blob.size, blob.ready = int(data["size"]), bool(data["ready"])
            if not 0 <= blob.size <= len(blob.blocks) * self.block:
                raise ValueError(f"{blob.size} bytes in {len(blob.blocks)} blocks")
            self.held += blob.size
        return blob


def _nobody() -> None:
    pass


def _runs(blocks: list[int]) -> Iterator[tuple[int, int]]:
    """Return the neighbours among sorted blocks: the first, and how many."""
    at = 0
    while at < len(blocks):
        end = at + 1
        while end < len(blocks) and blocks[end] == blocks[end - 1] + 1:
            end += 1
        yield blocks[at], end - at
        at = end


class Blob:
    """Bytes that are held once, however many connections are sent them; given back when nobody refers to it any more.

    ready: it is whole. Whoever is to be sent it waits until then. source: whose address it is laid to, as limits count
    it. lost: it was taken from its owner, and nobody can be sent it.
    """

    __slots__ = ("blocks", "lost", "ready", "size", "source", "spool")

    def __init__(self, spool: Spool, source: str = "") -> None:
        self.spool = spool
        self.source = source
        self.blocks: list[int] = []
        self.size = 0
        self.ready = False
        self.lost = False

    def __len__(self) -> int:
        return self.size

    def __bytes__(self) -> bytes:
        return b"".join(self.views(0, self.size))

    def __del__(self) -> None:
        self.lose()

    def append(self, data: Data) -> None:
        """Add bytes. What is lost takes none. Raises SpoolFullError."""
        spool, at = self.spool, 0
        while at < len(data) and not self.lost:
            used = self.size % spool.block
            if not used and self.size == len(self.blocks) * spool.block:
                self.blocks.append(spool.take())
            count = min(len(data) - at, spool.block - used)
            start = self.blocks[-1] * spool.block + used
            spool.view[start : start + count] = data[at : at + count]
            self.size += count
            spool.held += count
            at += count
            if spool.held > spool.most:
                spool.relieve()

    def put_first(self, data: bytes) -> None:
        """Write over its first bytes, which lie in one block."""
        at = self.blocks[0] * self.spool.block
        self.spool.view[at : at + len(data)] = data

    def views(self, start: int, most: int) -> list[memoryview]:
        """Return at most so many bytes from a place on, in pieces."""
        spool, found, end = self.spool, [], min(start + most, self.size)
        while start < end:
            index, used = divmod(start, spool.block)
            count = min(end - start, spool.block - used)
            at = self.blocks[index] * spool.block + used
            found.append(spool.view[at : at + count])
            start += count
        return found

    def empty(self) -> None:
        """Give its memory back, to begin anew."""
        self.spool.held -= self.size
        for block in self.blocks:
            self.spool.give_back(block)
        self.blocks, self.size, self.ready = [], 0, False

    def lose(self) -> None:
        """Give its memory back at once, for good."""
        self.empty()
        self.lost = True

    def save(self) -> dict[str, Any]:
        """Return it as plain data, without its bytes: those stay where they are."""
        return {
            "id": id(self),
            "blocks": self.blocks,
            "size": self.size,
            "ready": self.ready,
            "source": self.source,
        }


class _Own:
    """A piece of a backlog: what lies in one block, from start to end."""

    __slots__ = ("block", "end", "start")

    def __init__(self, block: int, start: int, end: int) -> None:
        self.block = block
        self.start = start
        self.end = end


class _Shared:
    """A piece of a backlog: a blob, from some place on."""

    __slots__ = ("at", "blob")

    def __init__(self, blob: Blob, at: int) -> None:
        self.blob = blob
        self.at = at


class Backlog:
    """What waits to be sent to one connection, in order. own: bytes of its alone; shared: of blobs.

    closed: it was taken away, so that nothing can be sent in its order any more.
    since: when it began to wait; taken_at and taken: when something of it was sent last, and how much since it was
    looked at last (`too_slow`), which was at looked_at. Times in seconds of whoever calls.
    """

    __slots__ = ("_pieces", "closed", "looked_at", "own", "shared", "since", "spool", "taken", "taken_at", "unacked")

    def __init__(self, spool: Spool, now: float) -> None:
        self.spool = spool
        self.own = 0
        self.shared = 0
        self.closed = False
        self.since = self.looked_at = now
        self.taken_at = float("-inf")
        self.taken = 0
        self.unacked = 0
        self._pieces: deque[_Own | _Shared] = deque()

    def __len__(self) -> int:
        return self.own + self.shared

    def __bool__(self) -> bool:
        return self.closed or bool(self._pieces)

    def __bytes__(self) -> bytes:
        parts = [b"".join(self._views_of(piece, len(self))) for piece in self._pieces]
        return b"".join(parts)

    def __del__(self) -> None:
        self.clear()

    def add(self, data: Data) -> None:
        """Let data wait. Raises SpoolFullError."""
        if self.closed:
            return
        spool, at = self.spool, 0
        last = self._pieces[-1] if self._pieces else None
        while at < len(data):
            if not isinstance(last, _Own) or last.end == spool.block:
                last = _Own(spool.take(), 0, 0)
                self._pieces.append(last)
            count = min(len(data) - at, spool.block - last.end)
            start = last.block * spool.block + last.end
            spool.view[start : start + count] = data[at : at + count]
            last.end += count
            # Piece by piece: there may be no block for the next.
            self.own += count
            spool.held += count
            at += count
        if spool.held > spool.most:
            spool.relieve()

    def add_blob(self, blob: Blob) -> None:
        """Let a blob wait, which need not be whole yet."""
        if not self.closed:
            self._pieces.append(_Shared(blob, 0))
            self.shared += blob.size

    def blobs(self) -> Iterator[Blob]:
        """Return the blobs in it."""
        return (piece.blob for piece in self._pieces if isinstance(piece, _Shared))

    @property
    def blocked(self) -> bool:
        """Whether what comes next is not whole yet."""
        first = self._pieces[0] if self._pieces else None
        return isinstance(first, _Shared) and not first.blob.ready

    def views(self, most: int) -> list[memoryview]:
        """Return what is to be sent next, at most so many bytes, in pieces. They must be gone before it changes."""
        found: list[memoryview] = []
        for piece in self._pieces:
            if most <= 0 or (isinstance(piece, _Shared) and not piece.blob.ready):
                break
            some = self._views_of(piece, most)
            most -= sum(map(len, some))
            found += some
        return found

    def _views_of(self, piece: _Own | _Shared, most: int) -> list[memoryview]:
        if isinstance(piece, _Shared):
            return piece.blob.views(piece.at, most)
        start = piece.block * self.spool.block
        return [self.spool.view[start + piece.start : start + min(piece.end, piece.start + most)]]

    def sent(self, count: int, now: float) -> None:
        """Forget what was sent of it."""
        if count:
            self.taken_at = now
            self.taken += count
        while self._pieces:
            piece = self._pieces[0]
            if isinstance(piece, _Shared):
                left = piece.blob.size - piece.at
                some = min(count, left)
                piece.at += some
                self.shared -= some
                done = some == left and piece.blob.ready
            else:
                some = min(count, piece.end - piece.start)
                piece.start += some
                self.own -= some
                self.spool.held -= some
                done = piece.start == piece.end
                if done:
                    self.spool.give_back(piece.block)
            count -= some
            if not done:
                return
            self._pieces.popleft()

    def look(self, now: float) -> None:
        """Begin to look at how fast it shrinks."""
        self.taken, self.looked_at = 0, now

    def acknowledged(self, unacked: int, now: float) -> None:
        """Take how much of what was sent is not acknowledged: less than before means that something was taken.

        The kernel tells that a socket can be written to when a third of its buffer is empty, which may be seconds.
        """
        if unacked < self.unacked:
            self.taken_at = now
        self.unacked = unacked

    def too_slow(self, now: float) -> bool:
        """Tell whether it shrinks more slowly than it has to. What is not whole yet is nobody's fault."""
        if self.blocked:
            self.look(now)
        if now - self.looked_at < PACE_SECONDS:
            return False
        slow = self.taken < PACE_BYTES
        self.look(now)
        return slow

    def measure(self) -> None:
        """Count anew what is shared: a blob of it is whole now, or lost."""
        self.shared = sum(piece.blob.size - piece.at for piece in self._pieces if isinstance(piece, _Shared))

    def clear(self) -> None:
        """Give all of it back at once."""
        while self._pieces:
            piece = self._pieces.popleft()
            if isinstance(piece, _Own):
                self.spool.held -= piece.end - piece.start
                self.spool.give_back(piece.block)
        self.own = self.shared = 0

    def close(self) -> None:
        """Give all of it back at once; what is added from now on is not kept."""
        self.clear()
        self.closed = True

    def save(self) -> list[Any]:
        """Return it as plain data, without its bytes: those stay where they are."""
        return [
            [piece.block, piece.start, piece.end]
            if isinstance(piece, _Own)
            else {"blob": piece.blob.save(), "at": piece.at}
            for piece in self._pieces
        ]

    @classmethod
    def load(cls, spool: Spool, data: list[Any], now: float) -> Backlog:
        """Return what `save` saved, in the program that has taken the blocks over. ValueError, KeyError, TypeError."""
        backlog = cls(spool, now)
        for entry in data:
            if isinstance(entry, dict):
                blob, at = spool.load_blob(entry["blob"]), int(entry["at"])
                if not 0 <= at <= blob.size:
                    raise ValueError(f"byte {at} of {blob.size}")
                backlog._pieces.append(_Shared(blob, at))
                backlog.shared += blob.size - at
                continue
            block, start, end = entry
            if not 0 <= start < end <= spool.block:
                raise ValueError(f"bytes {start} to {end} of a block")
            backlog._pieces.append(_Own(spool.claim(block), start, end))
            backlog.own += end - start
            spool.held += end - start
        return backlog
