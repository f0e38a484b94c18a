"""The tasks as they are typed: what they print, what they refuse, and how they end."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from relay import __version__
from tests.support import xbps_harness
from tests.support.templates import ROOT
from tests.support.xbps_sources import MAINTAINER, MITM_COMMIT, tarball

if TYPE_CHECKING:
    from pathlib import Path


def task(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "invoke", f"xbps.{name}", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)


def test_a_template_is_written_and_the_next_command_named(tmp_path: Path) -> None:
    out = tmp_path / "my void"
    done = task("template", "--out", str(out), "--distfile", str(tarball(tmp_path)), "--maintainer", MAINTAINER)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"netplay-relay 0.1.0: {out}/srcpkgs/netplay-relay" in done.stdout
    (line,) = (line for line in done.stdout.splitlines() if "cp -a" in line)
    assert shlex.split(line)[1:5] == ["cp", "-a", f"{out}/.", "VOID-PACKAGES/"]
    assert "note relay.toml, services and template are those of this checkout" in " ".join(done.stdout.split())
    assert task("lint", str(out)).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--version", "20261103"), "a bare date"),
        (("--version", "1.0-1"), "contains '-'"),
        (("--commit", "35b53b1", "--date", "20211110"), "a short hash"),
        (("--maintainer", "Anna"), "not a maintainer"),
        (("--package", "--help; id"), "there is no package"),
        (("--package", "netplay-mitm-server", "--commit", MITM_COMMIT), "needs its commit's date"),
    ],
)
def test_a_refusal_is_a_sentence_and_exit_code_2_and_writes_nothing(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    done = task("template", "--out", str(place / "out"), "--distfile", str(tarball(tmp_path)), *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(place.iterdir()) == []


def test_a_commit_that_does_not_compile_is_named_with_one_that_does(tmp_path: Path) -> None:
    (tmp_path / "source.tar.gz").write_bytes(b"what GitHub packs of a commit")
    newest = "35b53b1cc42a2e81a827212d59ae5d81d01fccc8"
    words = ("--package", "netplay-mitm-server", "--distfile", str(tmp_path / "source.tar.gz"))
    done = task("template", "--out", str(tmp_path / "newest"), *words, "--commit", newest, "--date", "20211110")
    assert (done.returncode, done.stderr) == (0, "")
    said = " ".join(done.stdout.split())
    assert f"{newest} does not build: no compiler takes its mitm.cpp (line 847)" in said
    typed = said.partition("One that does: ")[2].split()[:4]
    done = task("template", "--out", str(tmp_path / "other"), *words, *typed)
    assert (done.returncode, done.stderr) == (0, "")
    assert "does not build" not in " ".join(done.stdout.split())


def test_a_repository_is_made_and_how_to_install_from_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "source.tar.gz").write_bytes(xbps_harness.source_tarball())
    done = task("package", "--out", str(tmp_path / "repo"), "--distfile", str(tmp_path / "source.tar.gz"))
    assert (done.returncode, done.stderr) == (0, "")
    said = " ".join(done.stdout.split())
    # The host is another machine: there is no such folder on it yet.
    assert f"ssh HOST mkdir -p netplay-repo && scp -r {tmp_path}/repo/. HOST:netplay-repo/" in said
    assert "xbps-install --repository=$HOME/netplay-repo netplay-relay netplay-relay-firewall" in said
    assert "not signed" in said
    assert (tmp_path / "repo" / f"netplay-relay-{__version__}_1.x86_64.xbps").is_file()
    done = task("package", "--out", str(tmp_path / "repo"), "--arch", "noarch")
    assert done.returncode == 2
