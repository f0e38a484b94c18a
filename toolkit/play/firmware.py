"""Which firmware files a core wants, by name and md5: from its .info file, and the PlayStation's from a list of ours.

None is ever fetched or shipped: they are the player's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.play.info import Firmware

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toolkit.play.info import Info

PLAYSTATION = "pcsx_rearmed"
# Good with PCSX ReARMed; any one of them is enough, and without one it has a stand-in of its own.
PLAYSTATION_FILES = (
    Firmware("scph101.bin", "PlayStation BIOS 4.4, 03/24/00 A", True, "6e3735ff4c7dc899ee98981385f6f3d0"),
    Firmware("scph7001.bin", "PlayStation BIOS 4.1, 12/16/97 A", True, "1e68c231d0896b7eadcad1d7d8e76129"),
    Firmware("scph5501.bin", "PlayStation BIOS 3.0, 11/18/96 A", True, "490f666e1afb15b7362b406ed1cea246"),
    Firmware("scph1001.bin", "PlayStation BIOS 2.0, 05/07/95 A", True, "dc2b9bf8da62ec93e868cfd29f0d067d"),
)
SAME_FOR_ALL = (
    "With PCSX ReARMed one PlayStation BIOS is enough, and none works too; but all who play together need the same "
    "one, or all none: else their games drift apart."
)


def wanted(infos: Iterable[Info], *, playstation: bool) -> list[Firmware]:
    """Return what these cores want, each path once; a required file stays required, a known md5 stays known.

    playstation: the files of our own list, too.
    """
    found: dict[str, Firmware] = {}
    listed = [each for info in infos for each in info.firmware]
    for each in [*(PLAYSTATION_FILES if playstation else ()), *listed]:
        known = found.get(each.path)
        if known is None:
            found[each.path] = each
        else:
            md5, optional = known.md5 or each.md5, known.optional and each.optional
            found[each.path] = Firmware(known.path, known.about, optional, md5)
    return list(found.values())
