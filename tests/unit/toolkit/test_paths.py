"""Paths that this account cannot look at, or that name a home that is not there, end in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.machines import FakeMachine
from toolkit.console import ROOT
from toolkit.errors import UserError
from toolkit.play import bios, content, flow, found
from toolkit.play.info import Firmware, Info

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.typed import Typing

NES = Info("nestopia", present=True, extensions=("nes",))
LOCKED = "locked"


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that may not be entered: for root, as whom the tests may run, the system does not refuse it."""
    folder = tmp_path / LOCKED
    folder.mkdir()
    real = Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> object:
        if LOCKED in path.parts[:-1]:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat)
    return folder


@pytest.fixture
def mine(tmp_path: Path) -> FakeMachine:
    machine = FakeMachine(tmp_path / "m")
    machine.retroarch()
    machine.core("nestopia")
    return machine


LOOKS: dict[str, Callable[[FakeMachine, str], object]] = {
    "content": lambda _, path: content.look(f"{path}.nes", NES),
    "bios": lambda _, path: bios.scan(Path(path)),
    "retroarch": lambda mine, path: found.at(mine.machine, path),
    "app": lambda mine, path: found.at(mine.machine, f"{path}.app"),
    "core": lambda mine, path: flow.look(
        mine.machine, flow.Request(f"{path}_libretro.so", str(mine.game()), hosting=True)
    ),
}


@pytest.mark.parametrize("what", LOOKS)
def test_what_may_not_be_looked_at_is_said_with_where_to_look(mine: FakeMachine, locked: Path, what: str) -> None:
    with pytest.raises(UserError, match="Permission denied") as caught:
        LOOKS[what](mine, str(locked / "x"))
    assert f"ls -ld {locked}" in caught.value.fix


@pytest.mark.parametrize("typed", ["~nobody-of-that-name/x", "/" + "x" * 300])
def test_homes_that_are_not_there_and_names_too_long_are_said(mine: FakeMachine, typed: str) -> None:
    for look in (LOOKS["content"], LOOKS["retroarch"], LOOKS["core"]):
        with pytest.raises(UserError) as caught:
            look(mine, typed)
        assert caught.value.fix


def test_firmware_in_a_folder_that_may_not_be_entered_is_said(tmp_path: Path, locked: Path) -> None:
    wanted = Firmware(f"{LOCKED}/a.bin", "a", optional=False)
    with pytest.raises(UserError, match="Permission denied"):
        bios.check(tmp_path, [wanted], {})


def test_a_bundle_that_cannot_be_written_comes_after_the_findings(tmp_path: Path, invoke: Typing) -> None:
    (tmp_path / "taken").write_text("")  # no folder: this refuses root as well
    bundle = tmp_path / "taken" / "d.md"
    done = invoke("doctor", "--relay", "127.0.0.1|1", "--bundle", str(bundle))
    assert "BAD   no connection to 127.0.0.1|1" in done.stdout
    assert done.code == 2
    assert f"{bundle} cannot be written" in done.stderr.replace("\n", "")


def test_a_bundle_goes_into_the_home_that_is_typed_for_it(
    tmp_path: Path, invoke: Typing, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    invoke("doctor", "--relay", "127.0.0.1|1", "--bundle=~/d.md", HOME=str(tmp_path))
    assert (tmp_path / "d.md").is_file()
    assert list((tmp_path / "here").iterdir()) == []


def test_every_path_that_is_typed_goes_through_one_function() -> None:
    own = [path for path in (ROOT / "toolkit").rglob("*.py") if ".expanduser()" in path.read_text()]
    assert own == [ROOT / "toolkit" / "paths.py"]
