"""A game file is looked at before RetroArch is: missing, empty, in a zip, for another core; and its CRC."""

from __future__ import annotations

import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest

from toolkit.errors import UserError
from toolkit.play import content
from toolkit.play.info import Info

if TYPE_CHECKING:
    from pathlib import Path

NES = Info("nestopia", present=True, display="Nestopia", extensions=("nes", "fds"))
ARCADE = Info("fbneo", present=True, extensions=("zip",), archives=True)
GAME = b"NES\x1a" + bytes(4000)


def packed(path: Path, **members: bytes) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_", "."), data)
    return str(path)


def test_a_plain_file_has_the_crc_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "-a game; 'odd'.NES"
    path.write_bytes(GAME)
    found = content.look(str(path), NES)
    assert (found.given, found.crc) == (str(path), f"{zlib.crc32(GAME):08X}")


def test_a_game_in_a_zip_has_the_crc_of_the_game(tmp_path: Path) -> None:
    found = content.look(packed(tmp_path / "a.zip", game_nes=GAME, readme_txt=b"x"), NES)
    assert found.crc == f"{zlib.crc32(GAME):08X}"
    assert "RetroArch takes game.nes out of a.zip" in found.remark


def test_a_zip_for_a_core_that_takes_zips_has_its_own_crc(tmp_path: Path) -> None:
    path = tmp_path / "romset.zip"
    packed(path, one_bin=GAME)
    assert content.look(str(path), ARCADE).crc == f"{zlib.crc32(path.read_bytes()):08X}"


def test_discs_and_other_archives_are_not_compared(tmp_path: Path) -> None:
    disc = tmp_path / "game.cue"
    disc.write_text("FILE")
    assert content.look(str(disc), Info("psx", extensions=("cue",), full_path=True)).crc is None
    patched = tmp_path / "hack.nes"
    patched.write_bytes(GAME)
    patched.with_suffix(".ips").write_bytes(b"PATCH")
    found = content.look(str(patched), NES)
    assert (found.crc, "hack.ips: all need the same patch" in found.remark) == (None, True)
    seven = tmp_path / "game.7z"
    seven.write_bytes(b"7z")
    assert content.look(str(seven), NES).crc is None


def test_what_is_wrong_with_a_game_is_a_sentence_with_a_next_step(tmp_path: Path) -> None:
    (tmp_path / "there.nes").write_bytes(GAME)
    (tmp_path / "empty.nes").touch()
    (tmp_path / "game.sfc").write_bytes(GAME)
    (tmp_path / "broken.zip").write_bytes(b"PK no")
    two = packed(tmp_path / "two.zip", a_nes=GAME, b_nes=GAME)
    none = packed(tmp_path / "none.zip", a_sfc=GAME)
    wrong = {
        str(tmp_path): "is a folder",
        str(tmp_path / "no" / "x.nes"): "there is not a folder",
        str(tmp_path / "there.zip"): "there is no file",
        str(tmp_path / "empty.nes"): "is empty",
        str(tmp_path / "game.sfc"): r"takes no \.sfc file",
        str(tmp_path / "broken.zip"): "is not a zip file, or is broken",
        two: "holds 2 games: a.nes, b.nes",
        none: "holds no game for Nestopia; it holds a.sfc",
    }
    for typed, said in wrong.items():
        with pytest.raises(UserError, match=said) as caught:
            content.look(typed, NES)
        assert caught.value.fix
    with pytest.raises(UserError) as caught:
        content.look(str(tmp_path / "there.zip"), NES)
    assert caught.value.fix == "There is: there.nes"


def test_a_zip_that_asks_for_a_password_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "locked.zip"
    packed(path, a_nes=GAME)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match="asks for a password"):
        content.look(str(path), NES)
