"""Which releases of RetroArch a run had, and what it says of those that it had not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import retroarch_releases as releases
from tests.support.retroarch_settings import alone, require, write_folder
from toolkit.errors import UserError
from toolkit.lab.sources import Mirror

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS = {
    "bullseye": "1.7.3+dfsg1-1.1+b2",
    "bookworm": "1.14.0+dfsg-1",
    "trixie": "1.20.0+dfsg-2+b1",
    "sid": "1.23.1+dfsg-1",
}


@pytest.fixture(autouse=True)
def run_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a cache and notes of the test's own, and nothing in either."""
    notes = tmp_path / "notes"
    notes.mkdir()
    monkeypatch.setenv(releases.NOTES, str(notes))
    monkeypatch.setattr(releases, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(releases.os, "geteuid", lambda: 0)


def built(suite: str) -> None:
    """Pretend that a suite's root file system is there."""
    root = releases.recipe_of(suite).path()
    status = root / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.write_text(
        "Package: retroarch-assets\nStatus: install ok installed\nVersion: 9.9.9-1\n\n"
        f"Package: retroarch\nStatus: install ok installed\nVersion: {VERSIONS[suite]}\n\n"
    )
    core = root / "usr/lib/x86_64-linux-gnu/libretro/nestopia_libretro.so"
    core.parent.mkdir(parents=True)
    core.write_bytes(suite.encode())


def mirror_without(*suites: str) -> object:
    """Return a builder for whom a mirror does not have some suites."""

    def build(recipe: releases.Recipe, root: Path) -> None:
        if recipe.suite in suites:
            raise UserError(f"E: no Release file\nfor {recipe.suite}", fix="")
        root.mkdir()

    return build


def test_the_version_is_what_the_suite_served() -> None:
    built("bookworm")
    built("sid")
    release = releases.need("sid")
    assert (release.version, release.number, release.hosts) == ("1.23.1", (1, 23, 1), True)
    assert releases.report() == (
        "RetroArch releases: not built yet (bullseye), 1.14.0 (bookworm), not built yet (trixie), 1.23.1 (sid)"
    )


def test_a_suite_that_cannot_be_had_is_left_out_and_said_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    built("bookworm")
    monkeypatch.setattr(releases, "_mmdebstrap", mirror_without("sid"))
    with pytest.raises(pytest.skip.Exception, match="sid is left out: E: no Release file for sid"):
        releases.need("sid")
    assert "left out, E: no Release file for sid (sid)" in releases.report()
    # Another process of the run does not try once more.
    monkeypatch.setattr(releases, "_mmdebstrap", lambda *_: pytest.fail("it was tried again"))
    with pytest.raises(pytest.skip.Exception):
        releases.need("sid")


@pytest.mark.parametrize(
    ("ran", "good"),
    [
        (("bookworm", "trixie"), True),
        (("bookworm", "sid"), True),
        (("bullseye", "bookworm"), False),
        (("trixie", "sid"), False),
        ((), False),
    ],
)
def test_ci_has_to_run_1_14_and_a_newer_one(ran: tuple[str, ...], good: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for suite in ("bullseye", "bookworm", *ran):
        if not releases.recipe_of(suite).path().exists():
            built(suite)
    monkeypatch.setattr(releases, "_mmdebstrap", mirror_without(*releases.SUITES))
    for suite in ran:
        releases.need(suite)
    if not ran:
        with pytest.raises(pytest.skip.Exception):
            releases.need("trixie")
    assert (not releases.lacking()) == good


def test_a_run_that_asked_for_none_lacks_none() -> None:
    assert releases.lacking() == ""


def test_the_core_is_the_same_for_all_that_can_load_it(tmp_path: Path) -> None:
    require()
    for suite in releases.SUITES:
        built(suite)
    cores = {}
    for suite in releases.SUITES:
        release = releases.need(suite)
        role = release.runs(alone())
        folder = tmp_path / suite
        write_folder(folder, role, {})
        assert role.command is not None
        argv = role.command(folder, ["retroarch"])
        assert argv[-1] == "retroarch"
        assert str(release.root) in argv
        cores[suite] = (folder / "cores" / "nestopia_libretro.so").read_text()
    assert cores == {"bullseye": "bullseye", "bookworm": "bookworm", "trixie": "bookworm", "sid": "bookworm"}


def test_a_suite_is_taken_from_the_mirrors_of_this_machine_that_have_releases() -> None:
    mirrors = [
        Mirror("http://mirror.example/debian", security=False, signed_by="/key.gpg"),
        Mirror("http://mirror.example/security", security=True),
    ]
    listed = releases._sources("sid", mirrors)
    assert listed == (
        "Types: deb\nURIs: http://mirror.example/debian\nSuites: sid\nComponents: main\nSigned-By: /key.gpg\n"
    )


def test_another_recipe_is_another_root_file_system() -> None:
    paths = {releases.Recipe("sid").path(), releases.Recipe("sid", revision=2).path(), releases.Recipe("trixie").path()}
    assert len(paths) == 3
