"""What a RetroArch of the tests is told, and what happens where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import retroarch_settings
from tests.support.retroarch_settings import Role, four_players, host_through, join, require

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretend that the core is installed somewhere."""
    core = tmp_path / "system" / f"{retroarch_settings.CORE}.so"
    monkeypatch.setattr(retroarch_settings, "core_path", lambda: core)
    return core


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(retroarch_settings, "CORE_FOLDERS", (f"{tmp_path}/none",))


@pytest.mark.usefixtures("nothing_installed")
def test_without_retroarch_a_test_is_skipped_with_the_command_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"retroarch and nestopia_libretro\.so missing.*apt-get install"):
        require()


@pytest.mark.usefixtures("nothing_installed")
def test_without_retroarch_ci_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install"):
        require()


def settings_of(folder: Path, role: Role) -> dict[str, str]:
    lines = retroarch_settings.write_folder(folder, role, {"netplay_nickname": "anna"}).read_text().splitlines()
    return {key: value.strip('"') for key, _, value in (line.partition(" = ") for line in lines)}


@pytest.mark.usefixtures("core")
def test_no_setting_lets_retroarch_speak_to_anybody_else(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "anna", host_through("192.0.2.1", 55435))
    assert settings["netplay_public_announce"] == settings["netplay_nat_traversal"] == "false"
    assert settings["core_updater_buildbot_cores_url"] == settings["core_updater_buildbot_assets_url"] == ""
    assert (
        settings["network_on_demand_thumbnails"] == settings["discord_allow"] == settings["cheevos_enable"] == "false"
    )
    assert settings["netplay_custom_mitm_server"] == "192.0.2.1|55435"
    assert settings["netplay_nickname"] == "anna"


def test_every_file_is_in_the_machines_own_folder(tmp_path: Path, core: Path) -> None:
    folder = tmp_path / "anna"
    settings = settings_of(folder, four_players(join("192.0.2.1", 55435)))
    places = [settings[key] for key in ("libretro_directory", "libretro_info_path", "core_options_path")]
    assert all(place.startswith(f"{folder}/") for place in places)
    assert (folder / "cores" / core.name).readlink() == core
    assert (folder / "core-options.cfg").read_text() == 'nestopia_select_adapter = "ntsc"\n'


def test_a_client_names_address_port_and_session_in_one_word() -> None:
    assert join("192.0.2.1", 5000, "FridayNightRoom1").arguments == ("--connect", "192.0.2.1|5000|FridayNightRoom1")
    assert join("192.0.2.1", 5000).arguments == ("--connect", "192.0.2.1|5000")
