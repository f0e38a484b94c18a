"""The source tarball: what is committed, and the same bytes wherever and whenever it is packed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support.templates import ROOT, program
from tests.support.xbps_sources import tarball
from toolkit.errors import UserError
from toolkit.xbps import dist

IDENTITY = ("-c", "user.name=Anna", "-c", "user.email=anna@example.org", "-c", "commit.gpgsign=false")
PYPROJECT = '[project]\nname = "netplay-relay"\nversion = "1.2.3"\n'


def git(folder: Path, *arguments: str) -> str:
    argv = [program("git"), "-C", str(folder), *IDENTITY, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a small checkout with one commit."""
    folder = tmp_path / "a checkout"
    (folder / "tests").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "tests" / "test_x.py").write_text("def test_x():\n    pass\n")
    (folder / "start").write_text("#!/bin/sh\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=First")
    return folder


def names(source: dist.Source) -> dict[str, int]:
    with tarfile.open(fileobj=io.BytesIO(source.content)) as archive:
        return {entry.name: entry.mode for entry in archive}


def test_it_holds_what_is_committed_below_one_folder(checkout: Path) -> None:
    (checkout / "stray").write_text("in no commit")
    source = dist.own(checkout)
    assert (source.name, source.version) == ("netplay-relay-1.2.3.tar.gz", "1.2.3")
    assert names(source) == {
        "netplay-relay-1.2.3/pyproject.toml": 0o644,
        "netplay-relay-1.2.3/start": 0o755,
        "netplay-relay-1.2.3/tests/test_x.py": 0o644,
    }


def test_another_clone_packed_later_gives_the_same_bytes(checkout: Path, tmp_path: Path) -> None:
    first = dist.own(checkout)
    git(tmp_path, "clone", "--quiet", str(checkout), "a clone")
    for number, path in enumerate((tmp_path / "a clone").rglob("*")):
        if ".git" not in path.parts:
            os.utime(path, (number, number))
    before = os.umask(0o077)
    try:
        second = dist.own(tmp_path / "a clone")
    finally:
        os.umask(before)
    assert second.content == first.content
    assert second.sha256 == first.sha256


def test_a_change_that_is_in_no_commit_stays_out_and_is_named(checkout: Path) -> None:
    first = dist.own(checkout)
    (checkout / "start").write_text("#!/bin/sh\nexit 1\n")
    assert dist.own(checkout).content == first.content
    assert dist.changes(checkout) == ["start"]


def test_a_snapshot_is_named_after_its_commit(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    git(checkout, "rm", "--quiet", "start")
    git(checkout, "commit", "--quiet", "--message=Second")
    source = dist.own(checkout, commit)
    assert source.name == f"netplay-relay-{commit}.tar.gz"
    assert f"netplay-relay-{commit}/start" in names(source)


def test_a_commit_that_is_not_there_is_an_error_with_a_way_out(checkout: Path) -> None:
    with pytest.raises(UserError) as refused:
        dist.own(checkout, "0" * 40)
    assert str(checkout) in refused.value.message
    assert "--distfile FILE" in refused.value.fix


def test_a_folder_without_git_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    program("git")
    with pytest.raises(UserError, match="git cannot read"):
        dist.own(tmp_path)


def test_it_is_written_whole_into_a_folder_that_is_made(checkout: Path, tmp_path: Path) -> None:
    source = dist.own(checkout)
    path = dist.write(tmp_path / "new" / "dist", source)
    assert path.read_bytes() == source.content
    assert [entry.name for entry in path.parent.iterdir()] == [source.name]


def test_a_folder_that_cannot_be_made_is_named(checkout: Path) -> None:
    with pytest.raises(UserError, match=r"start/dist cannot be written to"):
        dist.write(checkout / "start" / "dist", dist.own(checkout))


def test_a_tarball_says_which_version_it_is(tmp_path: Path) -> None:
    assert dist.read(tarball(tmp_path, "1.2.3")).version == "1.2.3"


def test_what_is_no_tarball_of_the_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a source tarball of netplay-relay"):
        dist.read(tarball(tmp_path, name="something-else"))
    (tmp_path / "text").write_text("text")
    with pytest.raises(UserError, match="not a source tarball of netplay-relay"):
        dist.read(tmp_path / "text")
    with pytest.raises(UserError, match="cannot be read"):
        dist.read(tmp_path / "missing")


def test_the_sdist_holds_all_that_is_committed(tmp_path: Path) -> None:
    """Its tests need what they test: the toolkit, the playbooks, and the links by which they are found."""
    argv = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path)]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    committed = {name for name in git(ROOT, "ls-files").splitlines() if (ROOT / name).is_file()}
    assert committed - held == set()
    assert any(name.startswith(".collections/ansible_collections/netplay/relay/roles/") for name in held)
