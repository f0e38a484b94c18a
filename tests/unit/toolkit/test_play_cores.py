"""The table of cores: what each word means, for one system or all, wide and narrow; and our own list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.machines import GOOD, NESTOPIA, SERIALIZED, FakeMachine
from toolkit import known_cores
from toolkit.play import cores
from toolkit.play.cores import MAYBE, NO, RISKY, TRAP, YES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.typed import Typing

N64 = 'display_name = "N64"\nsystemname = "Nintendo 64"\nhw_render = "true"\n'
# The cores that people are told to prefer for netplay, and systems that rollback cannot carry.
PREFERRED = ("fbneo", "quicknes", "gpsp", "tgbdual", "smsplus", "picodrive")
TOO_MUCH = ("desmume", "melonds", "citra", "mupen64plus_next", "dolphin", "ppsspp", "flycast")


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    """Be somebody with five cores, no two of which are alike."""
    machine = FakeMachine(tmp_path / "m")
    machine.retroarch()
    machine.core("quicknes", NESTOPIA + GOOD)
    machine.core("nestopia", NESTOPIA + SERIALIZED)
    machine.core("bnes", NESTOPIA + SERIALIZED)
    machine.core("emux_nes", NESTOPIA)
    machine.core("mupen64plus_next", N64 + GOOD)
    machine.core("new", None)
    monkeypatch.setenv("HOME", str(machine.home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(machine.home / ".config"))
    monkeypatch.setenv("PATH", str(machine.bin))
    return machine


def test_each_core_has_its_word(mine: FakeMachine, invoke: Typing) -> None:
    done = invoke("play.cores", "--json")
    found = json.loads(done.stdout)["installed"]
    assert {core["core"]: core["works"] for core in found} == {
        "quicknes": YES, "nestopia": TRAP, "bnes": NO, "emux_nes": MAYBE, "mupen64plus_next": RISKY, "new": NO,
    }  # fmt: skip
    order = [core["core"] for core in found if core["system"] == "NES"]
    assert order == ["quicknes", "nestopia", "emux_nes", "bnes"]


def test_the_table_explains_its_words_and_the_trap(mine: FakeMachine, invoke: Typing) -> None:
    said = invoke("play.cores").stdout
    for part in (
        "quicknes *",
        "serialized",
        "untold",
        "Nintendo 64",
        "refuse netplay with it",
        "no .info file for new",
    ):
        assert part in said
    assert "Bypass Core Info Savestate Features ON" in said
    assert 'libretro_info_path = "THE COPY"' in said


def test_one_system_is_named_by_its_name_or_a_kind_of_file(mine: FakeMachine, invoke: Typing) -> None:
    for typed in ("nes", "FDS"):
        said = invoke("play.cores", "--system", typed).stdout
        assert "quicknes" in said
        assert "mupen64plus_next" not in said
    done = invoke("play.cores", "--system", "Arcade")
    assert done.code == 2
    assert "there are cores for: NES, Nintendo 64" in done.stderr
    assert "Netplay prefers: fbneo" in done.stderr


def test_forty_columns_hold_the_whole_table(mine: FakeMachine, invoke: Typing) -> None:
    said = invoke("play.cores", COLUMNS="40").stdout
    table = said[: said.index("\nyes ")].splitlines()
    assert max(map(len, table)) <= 40
    for core in ("quicknes *", "nestopia", "emux_nes"):
        assert any(core in line for line in table)


def test_of_a_core_that_links_machines_it_is_told_that_somebody_must_host(mine: FakeMachine, invoke: Typing) -> None:
    for name in ("gpsp", "DoubleCherryGB", "melondsds"):
        mine.core(name, NESTOPIA + GOOD)
    found = {core["core"]: core for core in json.loads(invoke("play.cores", "--json").stdout)["installed"]}
    for name, core in found.items():
        links = name in ("gpsp", "DoubleCherryGB", "melondsds")
        assert core["links_by_host"] == links
        assert ("to link, somebody must host: games without a host do not carry its packets" in core["why"]) == links


def test_without_any_core_the_next_step_is_named(mine: FakeMachine, invoke: Typing) -> None:
    for path in (mine.data / "cores").glob("*.so"):
        path.unlink()
    done = invoke("play.cores")
    assert done.code == 2
    assert "Core Downloader" in done.stderr


def test_the_list_of_our_own_has_a_reason_for_each_entry() -> None:
    for name in PREFERRED:
        assert known_cores.CORES[name].advice == known_cores.PREFER
    for name in TOO_MUCH:
        assert known_cores.CORES[name].advice == known_cores.LEAVE
    for name, entry in known_cores.CORES.items():
        assert entry.advice in known_cores.RANK
        assert len(entry.reason) > 20, name
    assert cores.ORDER.keys() == {YES, TRAP, MAYBE, RISKY, NO}
