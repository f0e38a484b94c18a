"""What xbps-src runs after it has built the relay: the tests pass with what checkdepends names, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from tests.support.needs import granted, program
from tests.support.templates import ROOT
from tests.support.xbps_sources import settled
from toolkit.xbps import render

if TYPE_CHECKING:
    from collections.abc import Iterator

# What every build root has; no unshare and no packet filter is among it.
PROGRAMS = ("cat", "env", "false", "sh", "sleep", "true")
# All of them take a minute, and run elsewhere. One of each file is enough to see what it lacks.
ONE_OF_EACH = """
def pytest_collection_modifyitems(config, items):
    first = {}
    for item in items:
        first.setdefault(item.path, item)
    left = [item for item in items if first[item.path] is not item or item.path.name == "test_coreless_property.py"]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Give the command of the check phase, as bash reads it out of the template."""
    folder = tmp_path_factory.mktemp("template")
    template = render.write(settled("netplay-relay", folder), folder / "out").folder / "template"
    shown = "printf '%s\\n' ${make_check_args} ${make_check_target} -- ${checkdepends}"
    argv = [program("bash"), "-c", f'. "$1"; {shown}', "bash", str(template)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


@pytest.fixture
def alone(command: list[str], tmp_path: Path) -> list[str]:
    """Give what a command begins with that has only the packages of checkdepends, few programs, and no rights."""
    packages, programs = tmp_path / "packages", tmp_path / "programs"
    packages.mkdir()
    programs.mkdir()
    for name in command[command.index("--") + 1 :]:
        for top in _everything_of(name.removeprefix("python3-")):
            if not (packages / top.name).exists():
                (packages / top.name).symlink_to(top)
    (packages / "one_of_each.py").write_text(ONE_OF_EACH)
    for name in PROGRAMS:
        (programs / name).symlink_to(program(name))
    environment = [f"PATH={programs}", f"PYTHONPATH={packages}", f"HOME={tmp_path}", "PYTHONDONTWRITEBYTECODE=1"]
    return [*_somebody(), program("env"), "-i", "LC_ALL=C.UTF-8", *environment, sys.executable, "-S", "-m", "pytest"]


def _somebody() -> list[str]:
    """Return what makes an ordinary user of root: another number, and no right that the number does not bring."""
    if os.geteuid() != 0:
        return []
    argv = [program("unshare"), "--user", "--map-user=1000", "--map-group=1000"]
    granted("no user namespace can be made here", [*argv, "true"])
    return argv


def _everything_of(name: str) -> Iterator[Path]:
    """Yield the files and folders of a distribution and of what it needs, as they lie in site-packages."""
    found, seen = [name], set()
    while found:
        name = re.sub(r"[-_.]+", "-", found.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        one = distribution(name)
        yield from _tops(one)
        needed = [Requirement(text) for text in one.requires or ()]
        found += [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]


def _tops(one: Distribution) -> Iterator[Path]:
    for name in {path.parts[0] for path in one.files or ()} - {"..", "__pycache__"}:
        yield Path(str(one.locate_file(name)))


def check(alone: list[str], arguments: list[str]) -> str:
    """Run pytest as told; return what it said."""
    argv = [*alone, "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_no_test_of_the_check_phase_needs_more_than_checkdepends(command: list[str], alone: list[str]) -> None:
    said = check(alone, [*command[: command.index("--")], "-p", "one_of_each", "--hypothesis-profile=glance"])
    passed, left = (int(re.search(rf"(\d+) {word}", said)[1]) for word in ("passed", "deselected"))
    assert passed > 30
    assert left > 500


def test_real_packet_filters_are_left_out_where_there_are_none(alone: list[str]) -> None:
    assert "3 skipped" in check(alone, ["tests/property/test_gate_renderings.py"])
