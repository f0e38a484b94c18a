"""The releases of RetroArch that take part, as far as a relay can tell them apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A release and its habits.

    ``highest`` is word 3 of its header: 0 up to 1.9.14. ``old_info``: INFO ends with the checksum. ``wakes``: RESUME
    ends a PAUSE. ``skips``: a command it does not know is passed over, where older releases hang up. ``may_load``: its
    player may load states while netplay goes on; all of them may reset. ``play`` is the payload of its PLAY.
    """

    release: str
    implementation: int
    highest: int = 0
    protocol: int = 5
    old_info: bool = False
    wakes: bool = True
    skips: bool = False
    may_load: bool = True
    play: bytes = bytes(4)

    @property
    def modern(self) -> bool:
        """Whether it is 1.10 or newer."""
        return self.highest > 0


def _modern(release: str, implementation: int, highest: int = 6) -> Kind:
    return Kind(release, implementation, highest, wakes=False, skips=True, may_load=False)


RA_1_22 = _modern("1.22.2", 0x455, 7)
RA_1_14 = _modern("1.14.0", 0x469)
RA_1_10 = _modern("1.10.0", 0x449)
RA_1_9_14 = Kind("1.9.14", 0x529)
RA_1_9_1 = Kind("1.9.1", 0x249)
RA_1_9_0 = Kind("1.9.0", 0x259, old_info=True, play=b"\x00\x01\x00\x00")
RA_1_7_1 = Kind("1.7.1", 0x271, old_info=True)
RA_1_7_0 = Kind("1.7.0", 0x241, protocol=4, old_info=True, play=b"")
MODERN = (RA_1_22, RA_1_14, RA_1_10)
LEGACY = (RA_1_9_14, RA_1_9_1, RA_1_9_0, RA_1_7_1)
# Protocol 4 is a game of its own: it shares a room with nothing but the very same release.
FIVE = MODERN + LEGACY
