"""What a client says of its core, in both orders in which RetroArch sends it.

The body of INFO was re-ordered between RetroArch 1.9.0 and 1.9.1 without a new protocol number: a client that is shown
the other order finds "different cores". So each is answered in its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.netplay import releases, wire

TEXT = 32


@dataclass(frozen=True, slots=True)
class Info:
    """Core and content as raw fields: name and version are 32 bytes, crc is 0 where there is no single content."""

    name: bytes
    version: bytes
    crc: int

    @property
    def core(self) -> bytes:
        """The name of the core for comparisons: modern RetroArch does not tell cases apart."""
        return self.name.partition(b"\0")[0].lower()

    def command(self, old: bool) -> bytes:
        """Return INFO in the order of RetroArch 1.9.0 and older, or of 1.9.1 and newer."""
        crc = wire.one.pack(self.crc)
        return wire.command(wire.INFO, self.name + self.version + crc if old else crc + self.name + self.version)


def parse(body: bytes, old: bool) -> Info:
    """Read the body of INFO in one of the two orders."""
    if old:
        return Info(body[:TEXT], body[TEXT : 2 * TEXT], wire.one.unpack_from(body, 2 * TEXT)[0])
    return Info(body[4 : 4 + TEXT], body[4 + TEXT :], wire.one.unpack_from(body)[0])


def is_old(body: bytes, modern: bool, implementation: int) -> bool:
    """Tell in which order a client's first INFO is.

    The texts say it themselves. Where a CRC happens to read like letters, the release that the header names decides.
    """
    if modern:
        return False
    old = _is_text(body[:TEXT]) and _is_text(body[TEXT : 2 * TEXT])
    new = _is_text(body[4 : 4 + TEXT]) and _is_text(body[4 + TEXT :])
    return old if old != new else implementation in _OLD_RELEASES


def swapped(body: bytes, to_old: bool) -> bytes:
    """Return the body of INFO in the other order."""
    return body[4:] + body[:4] if to_old else body[-4:] + body[:-4]


def _is_text(field: bytes) -> bool:
    text, _, rest = field.partition(b"\0")
    return 0 < len(text) < len(field) and not rest.strip(b"\0") and all(32 <= byte != 127 for byte in text)


def is_old_release(implementation: int) -> bool:
    """Tell whether a version hash is that of RetroArch 1.7.1 to 1.9.0."""
    return implementation in _OLD_RELEASES


def _old_releases() -> frozenset[int]:
    names = releases.RELEASES[5].split()
    return frozenset(releases.implementation(name, 5) for name in names[: names.index("1.9.0") + 1])


_OLD_RELEASES = _old_releases()
