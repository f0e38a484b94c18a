"""Root file systems: built once, whole or not at all, and free of this machine's mirror."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.labs import need_root
from tests.support.waiting import wait_for
from toolkit.errors import UserError
from toolkit.lab import rootfs, sources
from toolkit.lab.network import mounts_below
from toolkit.lab.rootfs import Recipe

ROOT = Path(__file__).parents[2]


def silent(_: str) -> None:
    """Say nothing."""


def test_what_is_in_the_cache_is_not_built_again(tmp_path: Path) -> None:
    Recipe("bookworm").path(tmp_path).mkdir()

    def build(_: Recipe, __: Path) -> None:
        pytest.fail("it was built again")

    assert rootfs.ensure("bookworm", silent, tmp_path, build) == Recipe("bookworm").path(tmp_path)


def test_two_that_need_it_at_once_do_one_build(tmp_path: Path) -> None:
    building, go_on = threading.Event(), threading.Event()
    builds: list[Path] = []
    said: list[str] = []
    results: list[Path] = []

    def build(_: Recipe, root: Path) -> None:
        builds.append(root)
        building.set()
        assert go_on.wait(10)
        root.mkdir()

    def need() -> None:
        results.append(rootfs.ensure("bookworm", said.append, tmp_path, build))

    first = threading.Thread(target=need)
    first.start()
    assert building.wait(10)
    second = threading.Thread(target=need)
    second.start()
    wait_for(lambda: "waiting for another build of a root file system" in said, 10, "the second to wait")
    go_on.set()
    first.join(10)
    second.join(10)
    assert len(builds) == 1
    assert results == [Recipe("bookworm").path(tmp_path)] * 2


def test_a_build_that_fails_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    def build(_: Recipe, root: Path) -> None:
        root.mkdir()
        (root / "half").touch()
        raise UserError("the mirror went away")

    with pytest.raises(UserError, match="the mirror went away"):
        rootfs.ensure("bookworm", silent, tmp_path, build)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_build_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "building-killed" / "root").mkdir(parents=True)
    rootfs.ensure("bookworm", silent, tmp_path, lambda _, root: root.mkdir())
    assert list(tmp_path.iterdir()) == [Recipe("bookworm").path(tmp_path)]


def test_another_recipe_has_another_place() -> None:
    recipe = Recipe("bookworm")
    others = [Recipe("trixie"), replace(recipe, packages=("systemd",)), replace(recipe, revision=recipe.revision + 1)]
    assert len({recipe.name(), *(other.name() for other in others)}) == 4


def test_the_cache_is_nobody_elses_to_look_into(tmp_path: Path) -> None:
    rootfs.ensure("bookworm", silent, tmp_path / "cache", lambda _, root: root.mkdir())
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


def test_a_release_that_cannot_be_built_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no root file system 'sarge'") as caught:
        rootfs.ensure("sarge", silent, tmp_path)
    assert "bookworm" in caught.value.fix


@pytest.mark.lab
def test_the_machines_mirror_is_not_named_in_what_was_built() -> None:
    need_root()
    built = rootfs.ensure("bookworm", silent)
    names = [mirror.uri.encode() for mirror in sources.find()]
    settings = [path for top in ("etc", "var") for path in (built / top).rglob("*") if path.is_file()]
    assert len(settings) > 300
    assert [path for path in settings if any(name in path.read_bytes() for name in names)] == []
    for unique in ("etc/machine-id", "etc/hostname", "etc/ssh/ssh_host_ed25519_key", "root/.ssh/authorized_keys"):
        assert not (built / unique).exists()


BUILD = """
import sys
from pathlib import Path
from toolkit.lab import rootfs
rootfs.ensure("bookworm", print, Path(sys.argv[1]))
"""


@pytest.mark.lab
def test_a_build_that_is_killed_half_way_leaves_no_process_and_no_mount(tmp_path: Path) -> None:
    need_root()
    with subprocess.Popen([sys.executable, "-c", BUILD, str(tmp_path)], cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        unpacking = wait_for(
            lambda: next(tmp_path.glob("building-*/root/var/lib/dpkg"), None), 60, "the build to unpack"
        )
        assert _commands_with(str(tmp_path))
        process.kill()
    wait_for(lambda: not _commands_with(str(tmp_path)), 10, "the build's programs to end")
    assert unpacking.exists()
    assert mounts_below(tmp_path) == []
    assert not Recipe("bookworm").path(tmp_path).exists()


def _commands_with(word: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_text(errors="replace")
        except OSError:  # it ended
            continue
        if word in command and path.parent.name != str(os.getpid()):
            found.append(command)
    return found
