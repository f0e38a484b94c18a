"""The settings of a RetroArch without screen, sound and outside contact, and what makes it a host or a client."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.support.needs import lack
from tests.support.nes import layout

APT = "apt-get install --no-install-recommends retroarch libretro-nestopia"
CORE = "nestopia_libretro"
CORE_FOLDERS = ("/usr/lib/*/libretro", "/usr/lib/libretro", "/usr/lib64/libretro")

SETTINGS = {
    # No devices. The null video driver paces nothing: the last of these keeps the game at its own 60 frames a second.
    "video_driver": "null",
    "audio_driver": "null",
    "audio_enable": "false",
    "midi_driver": "null",
    "input_driver": "null",
    "input_joypad_driver": "null",
    "menu_driver": "null",
    "camera_driver": "null",
    "location_driver": "null",
    "video_vsync": "false",
    "audio_sync": "false",
    "pause_nonactive": "false",
    "vrr_runloop_enable": "true",
    # No contact with anybody: no lobby, no router, no update of cores (starting netplay would), no chat program.
    "netplay_public_announce": "false",
    "netplay_nat_traversal": "false",
    "core_updater_buildbot_cores_url": "",
    "core_updater_buildbot_assets_url": "",
    "core_updater_auto_extract_archive": "false",
    "discord_allow": "false",
    "network_on_demand_thumbnails": "false",
    "cheevos_enable": "false",
    # Nothing is kept, and nothing is written into the system's folders.
    "config_save_on_exit": "false",
    "core_info_cache_enable": "false",
    "history_list_enable": "false",
    "content_runtime_log": "false",
    # How the tests watch it and press its buttons.
    "network_cmd_enable": "true",
    "network_remote_enable": "true",
    "network_remote_enable_user_p1": "true",
    "quit_press_twice": "false",
    # RetroArch compares checksums and copies the host's state over a client that differs: it would heal, and so hide,
    # the very fault that the tests look for.
    "netplay_check_frames": "0",
}
# Debian's own description says 'serialized', with which RetroArch refuses netplay; the core is deterministic indeed.
CORE_INFO = """\
display_name = "Nestopia"
corename = "Nestopia"
systemid = "nes"
supported_extensions = "nes"
savestate = "true"
savestate_features = "deterministic"
"""


@dataclass(frozen=True)
class Role:
    """What a machine does in netplay: the arguments, settings and options of the core that make it do so.

    command turns the folder of a machine and RetroArch's own command line into another that starts RetroArch there.
    ram_at_once: how many bytes of the console's RAM it can be asked for at once, a divisor of the whole. joystick: its
    buttons are pressed by a joystick, a pipe in its folder, and not by the network.
    """

    arguments: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    core_options: dict[str, str] = field(default_factory=dict)
    command: Callable[[Path, list[str]], list[str]] | None = None
    ram_at_once: int = layout.RAM_SIZE
    joystick: bool = False


def alone() -> Role:
    """No netplay."""
    return Role()


def host_directly(port: int) -> Role:
    """Host without a relay, on this TCP port."""
    return Role(("--host", "--port", str(port)))


def host_through(address: str, port: int) -> Role:
    """Host through the relay at this IPv4 address."""
    relay = {
        "netplay_use_mitm_server": "true",
        "netplay_mitm_server": "custom",
        "netplay_custom_mitm_server": f"{address}|{port}",
    }
    return Role(("--host",), relay)


def join(address: str, port: int, session: str = "") -> Role:
    """Join the game at an address: with a relay's session id, or without (a direct host, or a relay's only room)."""
    target = f"{address}|{port}|{session}" if session else f"{address}|{port}"
    return Role(("--connect", target))


def may_pause(role: Role) -> Role:
    """Let the players of a host pause the game."""
    return _with(role, netplay_allow_pausing="true")


def asking(role: Role, password: str) -> Role:
    """Have a host ask for this password."""
    return _with(role, netplay_password=password)


def with_a_menu(role: Role) -> Role:
    """Give a machine a menu, which nobody sees: it is what asks a client's player for the password."""
    return _with(role, menu_driver="rgui")


def saving_states_in(role: Role, folder: Path) -> Role:
    """Have a machine keep savestates in a folder, which it makes."""
    folder.mkdir()
    return _with(role, savestate_directory=str(folder))


def watching(role: Role) -> Role:
    """Have a client watch the game and not play."""
    return _with(role, netplay_start_as_spectator="true")


def _with(role: Role, **more: str) -> Role:
    return replace(role, settings=role.settings | more)


def four_players(role: Role) -> Role:
    """Plug in the adapter for pads 3 and 4; every machine of the game needs it."""
    pads = ("--device", "3:257", "--device", "4:257")  # 257: the core's own kind of joypad
    return replace(
        role, arguments=role.arguments + pads, core_options=role.core_options | {"nestopia_select_adapter": "ntsc"}
    )


def core_path() -> Path | None:
    """Return where the core is installed; None when it is not."""
    found = (path for folder in CORE_FOLDERS for path in Path("/").glob(f"{folder[1:]}/{CORE}.so"))
    return next(found, None)


def require() -> None:
    """Skip the test where RetroArch or its core is missing; in CI, where both must be there, fail it."""
    missing = [] if shutil.which("retroarch") else ["retroarch"]
    if core_path() is None:
        missing.append(f"{CORE}.so")
    if missing:
        lack(f"{' and '.join(missing)} missing; install with: {APT}")


def write_folder(folder: Path, role: Role, own: dict[str, str]) -> Path:
    """Fill a machine's scratch folder and return its settings file: ``own`` settings beside the role's."""
    core = core_path()
    assert core is not None, "require() comes first"
    for name in ("cores", "info"):
        (folder / name).mkdir(parents=True)
    # A folder with this core alone: RetroArch reads a description for each core that it finds beside it.
    (folder / "cores" / core.name).symlink_to(core)
    (folder / "info" / f"{CORE}.info").write_text(CORE_INFO)
    options = _write(folder / "core-options.cfg", role.core_options)
    places = {
        "libretro_directory": str(folder / "cores"),
        "libretro_info_path": str(folder / "info"),
        "core_options_path": str(options),
        "global_core_options": "true",
    }
    return _write(folder / "retroarch.cfg", SETTINGS | places | own | role.settings)


def _write(path: Path, values: dict[str, str]) -> Path:
    path.write_text("".join(f'{key} = "{value}"\n' for key, value in values.items()))
    return path
