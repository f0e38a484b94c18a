"""What we say of a core's .info file is what a stock RetroArch makes of it: refused, or hosted with."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import retroarch_settings, rom
from toolkit.play import info

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.namespace import PrivateNetwork

pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(60)]
HEAD = 'corename = "Nestopia"\nsupported_extensions = "nes"\n'
FILES = {
    "none at all": None,
    "empty": "",
    "states, and no word how good": HEAD + 'savestate = "true"\n',
    "no states": HEAD + 'savestate = "false"\nsavestate_features = "deterministic"\n',
    "basic": HEAD + 'savestate = "true"\nsavestate_features = "basic"\n',
    "serialized": HEAD + 'savestate = "true"\nsavestate_features = "serialized"\n',
    "serialized, and no word that there are any": HEAD + 'savestate_features = "serialized"\n',
    "null": HEAD + 'savestate = "true"\nsavestate_features = "null"\n',
    "deterministic": HEAD + 'savestate = "true"\nsavestate_features = "deterministic"\n',
    "drawn on the graphics card": HEAD + 'savestate = "true"\nhw_render = "true"\n',
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES.keys())
def test_our_verdict_is_retroarchs(text: str | None, network: PrivateNetwork, tmp_path: Path) -> None:
    retroarch_settings.require()
    own = {"netplay_nickname": "anna", "network_cmd_enable": "false", "network_remote_enable": "false"}
    config = retroarch_settings.write_folder(tmp_path / "machine", retroarch_settings.host_directly(55435), own)
    file = tmp_path / "machine" / "info" / "nestopia_libretro.info"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    core = tmp_path / "machine" / "cores" / f"{retroarch_settings.CORE}.so"
    argv = ["retroarch", "--verbose", f"--config={config}", f"--libretro={core}", "--max-frames=30", "--host"]
    inside = network.command([*argv, str(rom.write(tmp_path / "pads.nes"))])
    home = ["env", f"HOME={tmp_path}", f"XDG_CONFIG_HOME={tmp_path}"]
    done = subprocess.run([*home, *inside], capture_output=True, text=True, check=False, timeout=40)
    said = done.stdout + done.stderr
    found = re.search(r"Core does not support netplay|You have joined as player", said)
    assert found, said[-2000:]
    refused = found[0] != "You have joined as player"
    assert refused == bool(info.load("nestopia", file.parent).refused)
    if text is not None:
        assert not info.parse("nestopia", info.deterministic(text)).refused
