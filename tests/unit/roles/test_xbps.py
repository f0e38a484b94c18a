"""How far a package is on a Void host, from folders that the test makes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.templates import plugin

XBPS = plugin("module_utils/netplay_xbps.py")
NAMES = ("netplay-relay", "netplay-relay-firewall")
FILES = [f"{name}-1.2.3_1.x86_64.xbps" for name in NAMES]


class Host:
    """A checkout, a repository, and what is installed: package -> (pkgver, hash of its file)."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.repository = folder / "void-packages", folder / "repository"
        self.installed: dict[str, tuple[str, str]] = {}
        self.clock = 1_000_000

    def write(self, path: Path, text: str = "") -> Path:
        """Write a file, later than every one before."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.clock += 10
        os.utime(path, (self.clock, self.clock))
        return path

    def run(self, argv: list[str]) -> str:
        if argv == ["xbps-uhelper", "arch"]:
            return "x86_64\n"
        known = self.installed.get(argv[-1], ("", ""))
        return known[["pkgver", "filename-sha256"].index(argv[2])] + "\n"

    def look(self, version: str = "1.2.3_1") -> dict[str, Any]:
        wanted = XBPS.Wanted(self.checkout, self.repository, NAMES[0], NAMES[1:], version)
        found: dict[str, Any] = XBPS.look(wanted, self.run)
        return found

    def clone(self) -> None:
        self.write(self.checkout / "xbps-src")
        self.write(self.checkout / "srcpkgs/netplay-relay/template", "version=1.2.3\n")
        self.write(self.checkout / "hostdir/sources/netplay-relay-1.2.3/netplay-relay-1.2.3.tar.gz")

    def build(self, text: str = "built", branch: str = ".") -> None:
        for file in FILES:
            self.write(self.checkout / "hostdir/binpkgs" / branch / file, f"{text} {file}")

    def publish(self) -> None:
        for path in self.look()["built"]:
            self.write(self.repository / Path(path).name, Path(path).read_text())
        self.write(self.repository / "x86_64-repodata")

    def install(self) -> None:
        for name, file in zip(NAMES, FILES, strict=True):
            self.installed[name] = (f"{name}-1.2.3_1", XBPS._sum(self.repository / file))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def stages(found: dict[str, Any]) -> tuple[bool, ...]:
    return tuple(bool(found[name]) for name in ("cloned", "bootstrapped", "built", "published", "installed"))


def test_each_step_is_seen_once_it_is_done(host: Host) -> None:
    assert stages(host.look()) == (False,) * 5
    host.clone()
    assert stages(host.look()) == (True, False, False, False, False)
    host.write(host.checkout / "masterdir-x86_64/.xbps_chroot_init")
    host.build()
    assert stages(host.look()) == (True, True, True, False, False)
    host.publish()
    assert stages(host.look()) == (True, True, True, True, False)
    host.install()
    assert stages(host.look()) == (True,) * 5


def test_a_build_that_is_older_than_its_template_or_its_source_does_not_count(host: Host) -> None:
    host.clone()
    host.build()
    host.write(host.checkout / "srcpkgs/netplay-relay/files/netplay-relay/run")
    assert host.look()["built"] == []
    host.build()
    host.write(host.checkout / "hostdir/sources/netplay-relay-1.2.3/netplay-relay-1.2.3.tar.gz", "other")
    assert host.look()["built"] == []
    host.build()
    (host.checkout / "hostdir/binpkgs" / FILES[1]).unlink()
    assert host.look()["built"] == []


def test_the_same_version_built_anew_is_neither_published_nor_installed(host: Host) -> None:
    host.clone()
    host.build()
    host.publish()
    host.install()
    host.build("anew")
    assert stages(host.look())[2:] == (True, False, True)
    host.publish()
    assert stages(host.look())[2:] == (True, True, False)


def test_an_index_older_than_a_package_does_not_know_it(host: Host) -> None:
    host.clone()
    host.build()
    host.publish()
    host.write(host.repository / FILES[0], (host.repository / FILES[0]).read_text())
    assert host.look()["published"] is False


def test_packages_of_a_branch_are_found_where_xbps_src_puts_them(host: Host) -> None:
    host.clone()
    host.build(branch="mine")
    assert [Path(path).parent.name for path in host.look()["built"]] == ["mine", "mine"]


def test_without_a_version_the_repositorys_newest_is_meant(host: Host) -> None:
    assert (host.look("")["available"], host.look("")["version"]) == (False, "")
    host.clone()
    host.build()
    host.publish()
    host.install()
    found = host.look("")
    assert (found["available"], found["version"], found["installed"], found["known"]) == (True, "1.2.3_1", True, True)
    host.write(host.repository / "netplay-relay-1.2.4_1.x86_64.xbps")
    assert (host.look("")["version"], host.look("")["installed"]) == ("1.2.4_1", False)


def test_an_xbps_that_tells_no_hash_is_taken_at_its_word(host: Host) -> None:
    host.clone()
    host.build()
    host.publish()
    host.installed = {name: (f"{name}-1.2.3_1", "") for name in NAMES}
    assert host.look()["installed"] is True
