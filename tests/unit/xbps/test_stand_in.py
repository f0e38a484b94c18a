"""The stand-in for xbps does with configuration files what xbps 0.60.7 was seen to do.

Where the real xbps is on PATH, the same is asked of it: the table is what was measured, not what the stand-in says.
"""

from __future__ import annotations

import hashlib
import os
import plistlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import xbps_harness
from toolkit.xbps import archives
from toolkit.xbps.archives import Member

if TYPE_CHECKING:
    from collections.abc import Callable

STAND_IN = Path(xbps_harness.__file__).with_name("xbps_stand_in.py")
PROGRAMS = ("xbps-install", "xbps-remove", "xbps-rindex", "xbps-query")
KINDS = ("stand-in", *(("real",) if all(map(shutil.which, PROGRAMS)) else ()))
CONF = "etc/t/a.conf"


@dataclass(frozen=True)
class Xbps:
    """Either of them, with a root of its own; programs: a folder that has xbps-install and the others."""

    programs: Path
    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def call(self, program: str, *arguments: str | Path) -> int:
        environment = {**os.environ, "XBPS_ARCH": "x86_64"}
        argv = [self.programs / program, *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, env=environment)
        return done.returncode

    def publish(self, repository: str, version: str, conf: str) -> Path:
        """Make a package t of one configuration file and a program; return its repository."""
        place = self.folder / repository
        place.mkdir(exist_ok=True)
        file = place / f"t-{version}.x86_64.xbps"
        file.write_bytes(_package(version, conf))
        self.call("xbps-rindex", "-f", "-a", file)
        return place

    def install(self, repository: Path, *words: str) -> int:
        self.root.mkdir(exist_ok=True)
        return self.call("xbps-install", "-i", "-y", "-r", self.root, "-R", repository, *words)

    def settings(self) -> dict[str, str]:
        place = self.root / "etc/t"
        return {path.name: path.read_text() for path in sorted(place.glob("*"))}


def _package(version: str, conf: str) -> bytes:
    content = {"./usr/share/t/p": f"program {version}", f"./{CONF}": conf, f"./usr/share/t/only-{version}": "x"}
    facts = {"architecture": "x86_64", "pkgname": "t", "pkgver": f"t-{version}", "version": version,
             "conf_files": [f"/{CONF}"], "short_desc": "t", "maintainer": "A <a@b.c>", "license": "MIT",
             "homepage": "https://example.org", "installed_size": 9}  # fmt: skip
    entries = [
        {"file": name[1:], "sha256": hashlib.sha256(text.encode()).hexdigest(), "size": len(text)}
        for name, text in content.items()
    ]
    folders = [{"file": name} for name in ("/etc", "/etc/t", "/usr", "/usr/share", "/usr/share/t")]
    listing = {"conf_files": [entries[1]], "files": [entries[0], entries[2]], "dirs": folders}
    members = [Member("./props.plist", plistlib.dumps(facts)), Member("./files.plist", plistlib.dumps(listing))]
    members += [Member(name, text.encode()) for name, text in content.items()]
    return archives.tar(members)


@pytest.fixture(params=KINDS)
def xbps(request: pytest.FixtureRequest, tmp_path: Path) -> Xbps:
    if request.param == "real":
        return Xbps(Path(str(shutil.which("xbps-install"))).parent, tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    text = STAND_IN.read_text().replace("/usr/bin/python3", sys.executable, 1)
    for name in PROGRAMS:
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return Xbps(programs, tmp_path)


EDITS: dict[str, Callable[[Path], object]] = {
    "as it came": lambda place: place,
    "edited": lambda place: place.write_text("mine"),
    "empty": lambda place: place.write_text(""),
    "as the new one": lambda place: place.write_text("new"),
    "gone": lambda place: place.unlink(),
    "gone with its folder": lambda place: shutil.rmtree(place.parent),
    "a link": lambda place: (place.rename(place.with_name("b")), place.symlink_to("b")),
}
NEW = "a.conf.new-1.1_1"
NEW_SAME = "a.conf.new-1.0_1"
# What was done to the file; then what: options, the version, what its file holds; what lies in the folder afterwards.
TABLE = [
    ("as it came", "", "1.1_1", "orig", {"a.conf": "orig"}),
    ("as it came", "", "1.1_1", "new", {"a.conf": "new"}),
    ("as it came", "-f", "1.0_1", "orig", {"a.conf": "orig"}),
    ("as it came", "-f", "1.0_1", "other", {"a.conf": "other"}),
    ("as it came", "-ff", "1.0_1", "other", {"a.conf": "other"}),
    ("edited", "", "1.0_1", "orig", {"a.conf": "mine"}),
    ("edited", "", "1.1_1", "orig", {"a.conf": "mine"}),
    ("edited", "", "1.1_1", "new", {"a.conf": "mine", NEW: "new"}),
    ("edited", "-f", "1.1_1", "new", {"a.conf": "mine", NEW: "new"}),
    ("edited", "-f", "1.0_1", "orig", {"a.conf": "mine"}),
    ("edited", "-f", "1.0_1", "other", {"a.conf": "mine", NEW_SAME: "other"}),
    ("edited", "-ff", "1.0_1", "orig", {"a.conf": "orig"}),
    ("edited", "-ff", "1.0_1", "other", {"a.conf": "other"}),
    ("edited", "-ff", "1.1_1", "new", {"a.conf": "new"}),
    ("edited", "-ff", "1.1_1", "orig", {"a.conf": "orig"}),
    ("empty", "-f", "1.0_1", "orig", {"a.conf": ""}),
    ("empty", "", "1.1_1", "new", {"a.conf": "", NEW: "new"}),
    ("empty", "-ff", "1.0_1", "orig", {"a.conf": "orig"}),
    ("as the new one", "", "1.1_1", "new", {"a.conf": "new"}),
    ("as the new one", "", "1.1_1", "orig", {"a.conf": "new"}),
    ("as the new one", "-f", "1.0_1", "other", {"a.conf": "new", NEW_SAME: "other"}),
    ("gone", "", "1.0_1", "orig", {}),
    ("gone", "", "1.1_1", "orig", {"a.conf": "orig"}),
    ("gone", "-f", "1.0_1", "orig", {"a.conf": "orig"}),
    ("gone with its folder", "-f", "1.0_1", "other", {"a.conf": "other"}),
    ("a link", "-f", "1.0_1", "orig", {"a.conf": "orig", "b": "orig", NEW_SAME: "orig"}),
    ("a link", "", "1.1_1", "new", {"a.conf": "orig", "b": "orig", NEW: "new"}),
    ("a link", "-ff", "1.0_1", "other", {"a.conf": "other", "b": "orig"}),
]


@pytest.mark.parametrize(("edit", "options", "version", "conf", "after"), TABLE)
def test_configuration_files_are_kept_unless_forced_twice(
    xbps: Xbps, edit: str, options: str, version: str, conf: str, after: dict[str, str]
) -> None:
    assert xbps.install(xbps.publish("first", "1.0_1", "orig"), "t-1.0_1") == 0
    EDITS[edit](xbps.root / CONF)
    assert xbps.install(xbps.publish("second", version, conf), *options.split(), f"t-{version}") == 0
    assert xbps.settings() == after


@pytest.mark.parametrize("there", ["mine", "orig"])
def test_a_file_that_no_package_brought_is_kept(xbps: Xbps, there: str) -> None:
    (xbps.root / "etc/t").mkdir(parents=True)
    (xbps.root / CONF).write_text(there)
    assert xbps.install(xbps.publish("first", "1.0_1", "orig"), "t-1.0_1") == 0
    assert xbps.settings() == {"a.conf": there, NEW_SAME: "orig"}


@pytest.mark.parametrize(
    ("edit", "options", "conf", "mode"),
    [("as it came", "-f", "orig", 0o644), ("edited", "-f", "orig", 0o644), ("edited", "-f", "other", 0o640)],
)
def test_a_kept_file_takes_the_packages_mode_where_the_package_has_nothing_new(
    xbps: Xbps, edit: str, options: str, conf: str, mode: int
) -> None:
    xbps.install(xbps.publish("first", "1.0_1", "orig"), "t-1.0_1")
    EDITS[edit](xbps.root / CONF)
    (xbps.root / CONF).chmod(0o640)
    xbps.install(xbps.publish("second", "1.0_1", conf), options, "t-1.0_1")
    assert (xbps.root / CONF).stat().st_mode & 0o7777 == mode


@pytest.mark.parametrize(
    ("edit", "left"),
    [("as it came", []), ("edited", ["etc", "etc/t", CONF]), ("gone", []), ("empty", ["etc", "etc/t", CONF])],
)
def test_removing_leaves_a_configuration_file_that_was_changed(xbps: Xbps, edit: str, left: list[str]) -> None:
    xbps.install(xbps.publish("first", "1.0_1", "orig"), "t-1.0_1")
    EDITS[edit](xbps.root / CONF)
    assert xbps.call("xbps-remove", "-y", "-r", xbps.root, "t") == 0
    found = [path for path in xbps.root.rglob("*") if path.relative_to(xbps.root).parts[0] != "var"]
    assert sorted(str(path.relative_to(xbps.root)) for path in found) == left
    assert xbps.call("xbps-remove", "-y", "-r", xbps.root, "t") == 2


def test_what_is_not_newer_is_left_alone_unless_forced(xbps: Xbps) -> None:
    first, second = xbps.publish("first", "1.0_1", "orig"), xbps.publish("second", "1.1_1", "orig")
    program = xbps.root / "usr/share/t/p"
    for repository, words, version in (
        (first, ("t-1.0_1",), "1.0_1"),
        (second, ("t-1.1_1",), "1.1_1"),
        (first, ("t-1.0_1",), "1.1_1"),
        (first, ("-f", "t-1.0_1"), "1.0_1"),
        (second, ("t-1.1_1",), "1.1_1"),
    ):
        assert xbps.install(repository, *words) == 0
        assert program.read_text() == f"program {version}"
        # What the former version alone had is gone.
        assert [path.name for path in program.parent.glob("only-*")] == [f"only-{version}"]
    assert xbps.install(first, "t-9.9_1") == 2
