"""Firmware is known by what it is and not by its name; a rename never takes a file away or puts one over another."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.machines import GOOD, NESTOPIA, FakeMachine
from toolkit.errors import UserError
from toolkit.play import bios, firmware, info
from toolkit.play.info import Firmware

if TYPE_CHECKING:
    from tests.support.typed import Typing


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


# Made up for the tests: no console ever had them.
NAMES = {"a.bin": b"first made-up firmware", "b.bin": b"second", "sub/c.rom": b"third"}
WANTED = [Firmware(path, path, optional=path != "a.bin", md5=md5(data)) for path, data in NAMES.items()]
NOTES = "|".join(f"(!) {path} (md5): {md5(data)}" for path, data in NAMES.items())
INFO = NESTOPIA + GOOD + "firmware_count = 4\n"
INFO += "".join(
    f'firmware{number}_desc = "{each.path} (made up)"\nfirmware{number}_path = "{each.path}"\n'
    f'firmware{number}_opt = "{str(each.optional).lower()}"\n'
    for number, each in enumerate(WANTED)
)
INFO += f'firmware3_path = "free.bin"\nfirmware3_opt = "true"\nnotes = "{NOTES}|Press L1 (really)"\n'


def states(folder: Path) -> dict[str, str]:
    return {each.firmware.path: each.state for each in bios.check(folder, WANTED, bios.scan(folder))}


def put(folder: Path, name: str, data: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def test_the_firmware_of_an_info_file_is_read_with_its_md5s() -> None:
    found = info.parse("demo", INFO).firmware
    assert [(each.path, each.optional, each.md5) for each in found] == [
        *((each.path, each.optional, each.md5) for each in WANTED), ("free.bin", True, ""),
    ]  # fmt: skip


def test_each_file_has_its_state(tmp_path: Path) -> None:
    assert states(tmp_path) == {"a.bin": "missing", "b.bin": "missing", "sub/c.rom": "missing"}
    put(tmp_path, "a.bin", NAMES["a.bin"])
    put(tmp_path, "B.BIN", NAMES["b.bin"])
    put(tmp_path, "c.rom", NAMES["sub/c.rom"])
    assert states(tmp_path) == {"a.bin": "ok", "b.bin": "misnamed", "sub/c.rom": "wrong folder"}
    put(tmp_path, "a.bin", NAMES["b.bin"])
    (wrong, *_) = bios.check(tmp_path, WANTED, bios.scan(tmp_path))
    assert (wrong.state, wrong.good, "it is b.bin" in wrong.said) == ("wrong", False, True)


def test_the_right_names_are_given_and_nothing_is_written_over(tmp_path: Path) -> None:
    put(tmp_path, "x", NAMES["a.bin"])
    put(tmp_path, "y", NAMES["b.bin"])
    put(tmp_path, "b.bin", b"something of the person's own")
    put(tmp_path, "deep/er/z", NAMES["sub/c.rom"])
    results = bios.check(tmp_path, WANTED, bios.scan(tmp_path))
    bios.rename(bios.renames(tmp_path, results))
    assert states(tmp_path) == {"a.bin": "ok", "b.bin": "wrong", "sub/c.rom": "ok"}
    assert (tmp_path / "b.bin").read_bytes() == b"something of the person's own"
    assert (tmp_path / "y").exists()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from([*NAMES, "x", "sub/y", "B.BIN"]), st.sampled_from([*NAMES.values(), b"?"]))))
def test_whatever_lies_there_no_content_is_lost_and_what_was_right_stays(placed: list[tuple[str, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, data in placed:
            put(folder, path, data)
        before = {digest: len(paths) for digest, paths in bios.scan(folder).items()}
        first = states(folder)
        passes = 0
        while planned := bios.renames(folder, bios.check(folder, WANTED, bios.scan(folder))):
            bios.rename(planned)
            passes += 1
            assert passes <= len(WANTED), f"{planned} after {passes} passes"
        assert {digest: len(paths) for digest, paths in bios.scan(folder).items()} == before
        after = states(folder)
        assert all(after[path] == "ok" for path, state in first.items() if state == "ok")


def test_a_folder_that_cannot_be_one_of_firmware_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for path, said in ((tmp_path / "no", "is not there"), (tmp_path / "file", "is not a folder")):
        with pytest.raises(UserError, match=said):
            bios.scan(path)
    monkeypatch.setattr(bios, "MOST_FILES", 3)
    for number in range(4):
        (tmp_path / str(number)).touch()
    with pytest.raises(UserError, match="more than 3 files"):
        bios.scan(tmp_path)


def test_the_playstations_files_are_the_four_that_pcsx_rearmed_is_known_to_take() -> None:
    assert {each.path: each.md5 for each in firmware.PLAYSTATION_FILES} == {
        "scph101.bin": "6e3735ff4c7dc899ee98981385f6f3d0",
        "scph7001.bin": "1e68c231d0896b7eadcad1d7d8e76129",
        "scph5501.bin": "490f666e1afb15b7362b406ed1cea246",
        "scph1001.bin": "dc2b9bf8da62ec93e868cfd29f0d067d",
    }
    needed = info.parse("psx", 'firmware_count = 1\nfirmware0_path = "scph5501.bin"\nfirmware0_opt = "false"\n')
    merged = {each.path: each for each in firmware.wanted([needed], playstation=True)}
    assert (len(merged), merged["scph5501.bin"].optional) == (4, False)
    assert merged["scph5501.bin"].md5 == "490f666e1afb15b7362b406ed1cea246"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    """Be somebody with one core that wants firmware, and a folder of it."""
    machine = FakeMachine(tmp_path / "m")
    machine.retroarch()
    machine.core("demo", INFO)
    (machine.home / "bios").mkdir()
    monkeypatch.setenv("HOME", str(machine.home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(machine.home / ".config"))
    monkeypatch.setenv("PATH", str(machine.bin))
    return machine


@pytest.mark.parametrize("columns", ["100", "40"])
def test_what_is_wrong_is_shown_and_put_right_with_yes(mine: FakeMachine, invoke: Typing, columns: str) -> None:
    folder = mine.home / "bios"
    put(folder, "A.BIN", NAMES["a.bin"])
    typed = ("play.bios", "--dir", str(folder), "--core", "demo")
    done = invoke(*typed, COLUMNS=columns)
    assert done.code == 1
    assert "misnamed" in done.stdout
    assert f"RetroArch looks in {mine.data / 'system'}" in done.stdout.replace("\n", "")
    assert "none of these files is fetched" in done.stdout.replace("\n", " ")
    asked = invoke(*typed, "--fix-names")
    assert (asked.code, (folder / "A.BIN").exists()) == (2, True)
    assert "--yes" in asked.stderr
    done = invoke(*typed, "--fix-names", "--yes", "--json")
    assert done.code == 0
    assert json.loads(done.stdout)["good"] is True
    assert [path.name for path in folder.iterdir()] == ["a.bin"]


def test_the_answer_no_renames_nothing(mine: FakeMachine, invoke: Typing, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = mine.home / "bios"
    put(folder, "A.BIN", NAMES["a.bin"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    done = invoke("play.bios", "--dir", str(folder), "--fix-names")
    assert "nothing was renamed" in done.stdout
    assert (folder / "A.BIN").exists()


def test_nothing_is_asked_inside_of_json(mine: FakeMachine, invoke: Typing, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = mine.home / "bios"
    put(folder, "A.BIN", NAMES["a.bin"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "y")
    done = invoke("play.bios", "--dir", str(folder), "--core", "demo", "--fix-names", "--json")
    assert (done.code, done.stdout) == (2, "")
    assert "--yes" in done.stderr
    assert (folder / "A.BIN").exists()


def test_the_playstations_files_are_checked_without_any_retroarch(mine: FakeMachine, invoke: Typing) -> None:
    (mine.bin / "retroarch").unlink()
    done = invoke("play.bios", "--dir", str(mine.home / "bios"))
    assert "scph1001.bin" in done.stdout
    assert "no single RetroArch" in done.stdout
    for words, said in (((), "there is no RetroArch"), (("--dir", "x", "--core", "demo"), "there is no RetroArch")):
        refused = invoke("play.bios", *words)
        assert (refused.code, said in refused.stderr) == (2, True)


def test_a_core_that_wants_nothing_or_is_not_there_is_a_sentence(mine: FakeMachine, invoke: Typing) -> None:
    mine.core("plain", NESTOPIA + GOOD)
    for core, said in (("plain", "wants no firmware"), ("no-such", "is not in")):
        done = invoke("play.bios", "--dir", str(mine.home / "bios"), "--core", core)
        assert (done.code, said in done.stderr) == (2, True)
