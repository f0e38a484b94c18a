"""RetroArch is found wherever people have it, with its own settings and cores; several are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machines import GOOD, NESTOPIA, FakeMachine
from toolkit.errors import UserError
from toolkit.join.rooms import Room
from toolkit.play import cores, folders, found, run


@pytest.fixture
def mine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path / "m")


def test_the_distributions_is_found_with_the_settings_of_the_person(mine: FakeMachine) -> None:
    program = mine.retroarch()
    (only,) = found.find(mine.machine)
    assert (only.kind, only.argv, only.config) == ("distribution", (str(program),), mine.data / "retroarch.cfg")
    assert folders.of(only).cores == mine.data / "cores"


def test_its_folders_are_those_of_its_settings_and_before_the_first_start_those_of_the_skeleton(
    mine: FakeMachine,
) -> None:
    mine.retroarch(started=False)
    skeleton = mine.folder / "etc" / "retroarch.cfg"
    skeleton.parent.mkdir()
    skeleton.write_text('libretro_directory = "/usr/lib/libretro/"\n libretro_info_path=/usr/share/libretro/info\n')
    (only,) = found.find(mine.machine)
    assert folders.of(only).cores == Path("/usr/lib/libretro/")
    assert folders.of(only).info == Path("/usr/share/libretro/info")
    mine.data.mkdir(parents=True)
    (mine.data / "more.cfg").write_text('system_directory = ":/bios"\n')
    (mine.data / "retroarch.cfg").write_text(
        '#include "more.cfg"\n# libretro_directory = "/no"\nlibretro_directory = "~/c"\n'
    )
    (only,) = found.find(mine.machine)
    assert folders.of(only).cores == mine.home / "c"
    assert folders.of(only).system == mine.bin / "bios"


def test_flatpak_appimage_steam_snap_and_macos_are_found(mine: FakeMachine) -> None:
    mine.program(mine.bin / "flatpak")
    (mine.folder / "var/lib/flatpak/app" / found.FLATPAK).mkdir(parents=True)
    image = mine.program(mine.home / "Applications" / "RetroArch-Linux-x86_64.AppImage")
    own = image.with_name(image.name + ".home")
    own.mkdir()
    mine.program(mine.home / ".steam/steam/steamapps/common/RetroArch/retroarch")
    mine.program(mine.folder / "Applications/RetroArch.app/Contents/MacOS/RetroArch")
    kinds = {each.kind: each for each in found.find(mine.machine)}
    assert set(kinds) == {"flatpak", "appimage", "steam", "macos"}
    assert kinds["flatpak"].argv == (str(mine.bin / "flatpak"), "run", found.FLATPAK)
    assert kinds["flatpak"].config == mine.home / ".var/app" / found.FLATPAK / "config/retroarch/retroarch.cfg"
    assert kinds["appimage"].config == own / ".config/retroarch/retroarch.cfg"
    assert kinds["macos"].config == mine.home / "Library/Application Support/RetroArch/config/retroarch.cfg"
    for kind, each in kinds.items():
        assert found.at(mine.machine, each.shown) == each
        assert found.at(mine.machine, kind) == each
    snap = FakeMachine(mine.folder / "b")
    snap.environment["PATH"] = str(snap.program(snap.folder / "snap/bin/retroarch").parent)
    (only,) = found.find(snap.machine)
    assert (only.kind, only.scratch) == ("snap", snap.home / "snap/retroarch/common")


@pytest.mark.parametrize("place", ["var/lib/flatpak", "home/.local/share/flatpak"])
@pytest.mark.parametrize("started", [True, False], ids=["started", "never started"])
def test_a_flatpaks_app_folder_is_looked_for_outside_of_its_sandbox(
    mine: FakeMachine, place: str, started: bool
) -> None:
    mine.program(mine.bin / "flatpak")
    files = mine.folder / place / "app" / found.FLATPAK / "current/active/files"
    data = mine.home / ".var/app" / found.FLATPAK / "config/retroarch"
    saying = data / "retroarch.cfg" if started else files / "etc/retroarch.cfg"
    for folder in (saying.parent, data / "cores", files / "share/libretro/info"):
        folder.mkdir(parents=True, exist_ok=True)
    saying.write_text('libretro_info_path = "/app/share/libretro/info"\nsystem_directory = ":/../bios"\n')
    (files / "share/libretro/info/nestopia_libretro.info").write_text(NESTOPIA + GOOD)
    mine.core("nestopia", None, data / "cores")
    (only,) = found.find(mine.machine)
    kept = folders.of(only)
    assert (kept.info, kept.cores) == (files / "share/libretro/info", data / "cores")
    assert kept.system == files / "bin/../bios"
    (core,) = cores.installed(kept.cores, kept.info)
    assert (core.info.present, core.works) == (True, cores.YES)


def test_the_home_of_a_packaged_one_is_the_one_it_is_given(mine: FakeMachine) -> None:
    image = mine.program(mine.home / "RetroArch.AppImage")
    own = image.with_name(image.name + ".home")
    snap = mine.home / "snap/retroarch/current"
    mine.environment["PATH"] = str(mine.program(mine.folder / "snap/bin/retroarch").parent)
    for home in (own, snap):
        config = home / ".config/retroarch/retroarch.cfg"
        config.parent.mkdir(parents=True)
        (home / "more.cfg").write_text('system_directory = "~/bios"\n')
        config.write_text('#include "~/more.cfg"\nlibretro_directory = "~/.config/retroarch/cores"\n')
    kinds = {each.kind: folders.of(each) for each in found.find(mine.machine)}
    assert {kind: each.cores for kind, each in kinds.items()} == {
        "appimage": own / ".config/retroarch/cores",
        "snap": snap / ".config/retroarch/cores",
    }
    assert (kinds["appimage"].system, kinds["snap"].system) == (own / "bios", snap / "bios")


def test_a_portable_one_keeps_its_settings_beside_itself(mine: FakeMachine) -> None:
    beside = mine.home / "a portable RetroArch"
    program = mine.program(beside / "retroarch")
    (beside / "retroarch.cfg").write_text('libretro_directory = ":/cores"\n')
    for typed in (str(beside), str(program)):
        only = found.at(mine.machine, typed)
        assert (only.kind, only.argv, folders.of(only).cores) == ("portable", (str(program),), beside / "cores")


def test_one_that_is_found_twice_counts_once(mine: FakeMachine) -> None:
    image = mine.program(mine.home / "RetroArch.AppImage")
    (mine.bin / "retroarch").symlink_to(image)
    assert len(found.find(mine.machine)) == 1


def test_none_and_several_are_said_with_what_to_type(mine: FakeMachine) -> None:
    with pytest.raises(UserError, match="there is no RetroArch on this machine") as caught:
        found.choose(mine.machine, None)
    assert "--retroarch PATH" in caught.value.fix
    mine.retroarch()
    image = mine.program(mine.home / "RetroArch.AppImage")
    with pytest.raises(UserError, match="there are 2 RetroArchs") as caught:
        found.choose(mine.machine, None)
    assert f"--retroarch {image}" in caught.value.fix
    assert found.choose(mine.machine, str(image)).kind == "appimage"


@pytest.mark.parametrize("typed", ["/nowhere/retroarch", "--help", ""])
def test_a_path_without_one_is_refused(mine: FakeMachine, typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mine.home)
    with pytest.raises(UserError, match="there is no RetroArch"):
        found.at(mine.machine, typed)


def test_its_version_is_asked_and_what_is_no_retroarch_says_so(mine: FakeMachine) -> None:
    mine.retroarch()
    assert run.version(found.choose(mine.machine, None)) == (1, 14, 0)
    other = mine.program(mine.home / "other", "hello")
    with pytest.raises(UserError, match="is no RetroArch, or does not run"):
        run.version(found.at(mine.machine, str(other)))
    other.write_text("#!/nowhere/at/all\n")
    with pytest.raises(UserError, match="cannot be run"):
        run.version(found.at(mine.machine, str(other)))


def test_a_retroarch_that_is_too_old_for_its_part_is_refused() -> None:
    alone, shared = Room(None, 55435, host="anna"), Room("FridayNightRoom1", 55435, alone=False)
    run.refuse_old((1, 10, 0), shared, hosting=True)
    run.refuse_old((1, 7, 1), alone, hosting=False)
    with pytest.raises(UserError, match=r"is 1\.9\.14, and only 1\.10\.0 or newer hosts"):
        run.refuse_old((1, 9, 14), alone, hosting=True)
    with pytest.raises(UserError, match=r"1\.10\.0 or newer finds a room by its id"):
        run.refuse_old((1, 9, 14), shared, hosting=False)
    with pytest.raises(UserError, match=r"is 1\.7\.0"):
        run.refuse_old((1, 7, 0), alone, hosting=False)


def test_cores_are_chosen_by_any_of_their_names_and_a_near_miss_is_pointed_out(mine: FakeMachine) -> None:
    mine.core("nestopia")
    mine.core("quicknes", NESTOPIA.replace("Nestopia", "QuickNES") + GOOD)
    (mine.data / "cores" / "notes.txt").write_text("no core")
    here = cores.installed(mine.data / "cores", mine.data / "cores")
    assert [core.name for core in here] == ["quicknes", "nestopia"]
    for typed in ("nestopia", "nestopia_libretro", "nestopia_libretro.so", "Nestopia", "/x/nestopia_libretro.dll"):
        assert cores.choose(here, typed, mine.data).name == "nestopia"
    with pytest.raises(UserError, match="'nestopa' is not in") as caught:
        cores.choose(here, "nestopa", mine.data)
    assert "Did you mean --core nestopia?" in caught.value.fix
    with pytest.raises(UserError, match="there is no core at all"):
        cores.choose([], "nestopia", mine.data)
    assert cores.installed(mine.folder / "nowhere", mine.data) == []
    best = cores.better(cores.choose(here, "nestopia", mine.data), here)
    assert best is not None
    assert best.name == "quicknes"
    assert cores.better(best, here) is None
