"""What the players' pages tell people to type is there, and the figures and files in them are the program's own."""

from __future__ import annotations

import re

import pytest

from tasks import ns
from toolkit import known_cores
from toolkit.console import ROOT
from toolkit.join import instructions
from toolkit.play import firmware, info, pictures, ways

PLAYING = (ROOT / "docs" / "playing.md").read_text()
PAGES = {name: (ROOT / "docs" / name).read_text() for name in ("playing.md", "controllers.md")}


@pytest.mark.parametrize("name", PAGES)
def test_every_task_file_and_picture_it_names_is_there(name: str) -> None:
    tasks = set(re.findall(r"invoke ((?:join|play\.)[a-z.]*)", PAGES[name]))
    assert tasks <= set(ns.task_names)
    links = re.findall(r"\]\(([^)#:]+)\)", PAGES[name])
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
    for path in re.findall(r"\b(?:tests|toolkit)/[a-z_0-9/]+\.py", PAGES[name]):
        assert (ROOT / path).exists(), path


def test_every_option_of_the_players_tasks_it_names_exists() -> None:
    options = set(re.findall(r"`(?:invoke play\.\w+ .*)?(--[a-z-]+)", PLAYING[PLAYING.index("## With a checkout") :]))
    real = {f"--{name}" for task in ("play.host", "play.join", "play.bios") for name in _options(task)}
    assert {"--nick", "--latency-frames", "--print", "--anyway"} <= options
    assert options - {"--appendconfig", "--device"} <= real


def _options(task: str) -> list[str]:
    return [argument.name.replace("_", "-").strip("-") for argument in ns[task].get_arguments()]


def test_the_pictures_are_those_that_the_command_makes_and_small() -> None:
    kept = sorted((ROOT / "docs" / "pictures").iterdir())
    assert [path.stem for path in kept] == sorted(picture.name for picture in pictures.PICTURES)
    assert sum(path.stat().st_size for path in kept) < 150_000
    for path in kept:
        assert any(f"pictures/{path.name}" in text for text in PAGES.values()), path.name


def test_the_settings_and_the_firmware_are_the_real_ones() -> None:
    for key, value in instructions.host_settings("relay.example.org", 55435).items():
        assert f'{key} = "{value}"' in PLAYING
    for each in firmware.PLAYSTATION_FILES:
        assert f"| {each.path} | {each.about.removeprefix('PlayStation BIOS ')} | {each.md5} |" in PLAYING


def test_the_frames_are_those_that_are_advised() -> None:
    rows = re.findall(r"^\| (?:up to )?(\d+) ms \| (?:1 or )?(\d+) \| (.*) \|$", PLAYING, re.MULTILINE)
    assert len(rows) == 3
    for milliseconds, late, advised in rows:
        one_way = int(milliseconds) / 1000
        wanted = ways.latency_frames(one_way)
        assert (ways.frames(one_way), advised) == (int(late), f"`--latency-frames {wanted}`" if wanted else "nothing")


def test_the_cores_it_prefers_are_those_of_the_list() -> None:
    section = PLAYING[PLAYING.index("## Which core") : PLAYING.index("### ")]
    names = {"FinalBurn Neo": "fbneo", "QuickNES": "quicknes", "Snes9x": "snes9x", "gpSP": "gpsp"}
    names |= {"TGB Dual": "tgbdual", "SMS Plus GX": "smsplus", "PicoDrive": "picodrive"}
    preferred = {name for name, entry in known_cores.CORES.items() if entry.advice == known_cores.PREFER}
    assert preferred == set(names.values())
    assert all(name in section for name in names)
    assert all(word in PLAYING for word in info.TOO_WEAK)


@pytest.mark.parametrize(
    "sentence",
    [
        "not running RetroArch, or is running an old version of RetroArch",
        "Netplay state load out of order!",
        "Failed to resolve host: ",
    ],
)
@pytest.mark.parametrize("page", ["playing.md", "troubleshooting.md"])
def test_the_tables_explain_what_older_releases_show(page: str, sentence: str) -> None:
    rows = [line for line in (ROOT / "docs" / page).read_text().splitlines() if line.startswith("|")]
    assert any(sentence in row.split("|")[1] for row in rows)
