"""The folders of printed commands: how many stay, and which of them are never taken away."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from toolkit.play.printed import KEPT, tidy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a place with three folders more than stay, the oldest first by name and by time."""
    for age in range(KEPT + 3):
        made(tmp_path, age)
    return tmp_path


def made(place: Path, number: int) -> Path:
    folder = place / f"printed-{number:012x}"
    (folder / "info").mkdir(parents=True)
    (folder / "netplay.cfg").write_text("")
    os.utime(folder, (1000 + number, 1000 + number))
    return folder


def numbers(place: Path) -> list[int]:
    return sorted(int(folder.name.partition("-")[2], 16) for folder in place.glob("printed-*"))


def test_the_newest_stay(place: Path) -> None:
    """They would be kept for ever else, one for each room, nick and password that was ever printed."""
    tidy(place, place / f"printed-{KEPT + 2:012x}")
    assert numbers(place) == list(range(3, KEPT + 3))


def test_few_folders_all_stay(tmp_path: Path) -> None:
    """However old they are: a command may stand in a script."""
    folders = [made(tmp_path, number) for number in range(KEPT)]
    tidy(tmp_path, folders[-1])
    assert len(numbers(tmp_path)) == KEPT


def test_the_folder_that_was_just_written_stays_whatever_the_clock_says(place: Path) -> None:
    """A clock that was set back makes it the oldest."""
    tidy(place, place / f"printed-{0:012x}")
    assert numbers(place) == [0, *range(4, KEPT + 3)]


def test_a_folder_that_a_running_program_was_told_of_stays(place: Path) -> None:
    """RetroArch names it in its arguments, and may read it again with the next game."""
    argv = [sys.executable, "-c", "print(flush=True); input()", f"--appendconfig={place}/printed-{1:012x}/netplay.cfg"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()  # until then its arguments may still be this program's
        tidy(place, place / f"printed-{KEPT + 2:012x}")
        assert numbers(place) == [1, *range(3, KEPT + 3)]
        running.communicate(b"\n")
    tidy(place, place / f"printed-{KEPT + 2:012x}")
    assert numbers(place) == list(range(3, KEPT + 3))


def test_nothing_else_in_the_place_is_touched(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Folders of runs that go on stand beside them; what a link leads to is the player's."""
    elsewhere = tmp_path_factory.mktemp("mine")
    others = [place / "tmpabc", place / "printed-mine", place / f"printed-{2:012x}"]
    (elsewhere / "save").write_text("")
    others[0].mkdir()
    others[1].mkdir()
    others[2].rename(place / "moved")
    others[2].symlink_to(elsewhere)
    os.utime(others[2], (1, 1), follow_symlinks=False)
    tidy(place, place / f"printed-{KEPT + 2:012x}")
    assert all(each.exists() for each in others)
    assert (elsewhere / "save").exists()
