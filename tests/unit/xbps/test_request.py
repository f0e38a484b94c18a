"""What is asked of a template: defaults, and every refusal with its reason and a way out."""

from __future__ import annotations

import hashlib
import http.server
import subprocess
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.templates import program
from tests.support.xbps_sources import MITM_COMMIT, asked, tarball
from toolkit.errors import UserError
from toolkit.xbps import dist, packages, request
from toolkit.xbps.request import Asked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHA256 = "5" * 64
COMMIT = "c" * 40


def test_a_file_gives_the_version_and_the_checksum(tmp_path: Path) -> None:
    path = tarball(tmp_path, "1.2.3")
    settled = request.settle(Asked(distfile=str(path)))
    assert (settled.version, settled.commit) == ("1.2.3", "")
    assert settled.distfile.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert settled.distfile.file == "netplay-relay-${version}.tar.gz"
    assert settled.maintainer == "Orphaned <orphan@voidlinux.org>"


@pytest.mark.parametrize(
    ("project", "typed", "version"),
    [
        ("1.2b1", "", "1.2beta1"),
        ("1.2b1", "1.2beta1", "1.2beta1"),
        ("1.2beta1", "1.2beta1", "1.2beta1"),
        ("1.2a2", "1.2alpha2", "1.2alpha2"),
        ("1.2rc1", "1.2rc1", "1.2rc1"),
        ("1.2.0", "1.2", "1.2"),
    ],
)
def test_a_prerelease_has_the_version_that_xbps_sorts_below_the_release(
    tmp_path: Path, project: str, typed: str, version: str
) -> None:
    settled = request.settle(Asked(version=typed, distfile=str(tarball(tmp_path, project))))
    assert settled.version == version
    # What the template asks for is what lies there.
    assert settled.distfile.name == settled.distfile.file.replace("${version}", version)


def test_a_snapshot_of_the_relay_is_below_its_releases_and_names_its_commit(tmp_path: Path) -> None:
    settled = request.settle(Asked(commit=COMMIT, date="20261103", distfile=str(tarball(tmp_path))))
    assert (settled.version, settled.commit, settled.patched) == ("0.0.20261103", COMMIT, True)
    assert settled.distfile.file == "netplay-relay-${_commit}.tar.gz"


def test_a_snapshot_after_a_release_is_above_it(tmp_path: Path) -> None:
    wanted = Asked(commit=COMMIT, date="20261103", distfile=str(tarball(tmp_path)), after="0.1.0")
    assert request.settle(wanted).version == "0.1.0.20261103"


def test_the_release_before_a_commit_is_the_highest_tag_that_it_contains(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        argv = [program("git"), "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    git("init", "--quiet")
    commits = []
    for tag in ("v0.9.0", "v0.10.0", "vnext", "v1.0rc1", "v9.0.0"):
        git("commit", "--quiet", "--allow-empty", "--message", tag)
        git("tag", tag)
        commits.append(git("rev-parse", "HEAD"))
    assert dist.release_before(commits[3], tmp_path) == "0.10.0"
    git("tag", "--delete", "v0.9.0", "v0.10.0")
    assert dist.release_before(commits[3], tmp_path) == ""
    with pytest.raises(UserError, match="git cannot read"):
        dist.release_before(COMMIT, tmp_path)


def test_the_home_page_is_what_was_typed_and_else_a_placeholder_that_leads_nowhere(tmp_path: Path) -> None:
    source = str(tarball(tmp_path))
    typed = request.settle(Asked(distfile=source, homepage="https://git.example.net/netplay-relay/"))
    assert typed.package.homepage == "https://git.example.net/netplay-relay"
    assert request.settle(Asked(distfile=source)).package.homepage == packages.PLACEHOLDER


def test_the_tunnel_server_has_a_commit_of_its_own(tmp_path: Path) -> None:
    settled = request.settle(asked("netplay-tunnel-server", tmp_path))
    assert (settled.version, settled.commit[:7]) == ("0.0.20221101", "23ddaba")


def test_the_mitm_server_has_a_commit_that_compiles(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.tar.gz"
    path.write_bytes(b"what GitHub packs of a commit")
    settled = request.settle(Asked(package="netplay-mitm-server", distfile=str(path)))
    assert (settled.version, settled.commit) == ("0.0.20211023", "fae1270e7f0d7434471a2719df4c826f7f60e146")
    assert settled.commit not in settled.package.broken


def test_an_address_names_version_and_commit_by_the_templates_variables() -> None:
    address = "https://example.org/netplay-relay/netplay-relay-1.2.3.tar.gz"
    settled = request.settle(Asked(version="1.2.3", distfile=address, checksum=SHA256))
    assert (settled.distfile.site, settled.distfile.file) == ("${homepage}", "netplay-relay-${version}.tar.gz")
    address = f"https://files.example.net/{COMMIT}.tar.gz"
    settled = request.settle(Asked(commit=COMMIT, date="20261103", distfile=address, checksum=SHA256))
    assert (settled.distfile.site, settled.distfile.file) == ("https://files.example.net", "${_commit}.tar.gz")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"package": "retroarch"}, "no package 'retroarch'"),
        ({"version": "20261103"}, "bare date"),
        ({"version": "1.0-1"}, "contains '-'"),
        ({"version": "9.9.9"}, "the source is version 0.1.0"),
        ({"commit": "35b53b1", "date": "20211110"}, "short hash"),
        ({"commit": "HEAD", "date": "20211110"}, "not a commit"),
        ({"commit": "--upload-pack=id", "date": "20211110"}, "not a commit"),
        ({"commit": COMMIT}, "needs its commit's date"),
        ({"date": "20211110"}, "needs its commit"),
        ({"commit": COMMIT, "date": "20211131"}, "not the date"),
        ({"commit": COMMIT, "date": "20211110", "version": "1.2.3"}, "exclude each other"),
        ({"maintainer": "Anna Example"}, "not a maintainer"),
        ({"maintainer": "<anna@example.org>"}, "not a maintainer"),
        ({"maintainer": "Anna <anna@localhost>"}, "not a maintainer"),
        ({"maintainer": "Anna <1+anna@users.noreply.github.com>"}, "not a maintainer"),
        ({"maintainer": 'Anna "$(id)" <anna@example.org>'}, "not a maintainer"),
        ({"maintainer": "A" * 60 + " <anna@example.org>"}, "too long"),
        ({"checksum": "5" * 64}, "has the SHA-256"),
        ({"checksum": "abc"}, "not a SHA-256"),
        ({"distfile": "/no/such/file"}, "cannot be read"),
        ({"distfile": "https://example.org/$(id)/x"}, "not an address"),
        ({"distfile": "ftp://example.org/x"}, "not an address"),
        ({"distfile": "https://example.org/latest.tgz", "version": "1.2.3", "checksum": SHA256}, "does not name 1.2.3"),
        ({"homepage": "git@example.org:x"}, "not a home page"),
        ({"homepage": "https://example.org/${pkgname}"}, "not a home page"),
        ({"homepage": "https://" + "x" * 70}, "not a home page"),
        ({"after": "0.1.0"}, "--after is for snapshots"),
        ({"commit": COMMIT, "date": "20211110", "after": "1.0rc1"}, "not a release"),
        ({"package": "netplay-tunnel-server", "homepage": "https://example.org"}, "a home page of its own"),
        ({"package": "netplay-tunnel-server", "after": "1.0"}, "has no releases"),
        ({"package": "netplay-mitm-server", "date": "20211023"}, "needs its commit"),
        ({"package": "netplay-mitm-server", "version": "1.0.0"}, "has no releases"),
    ],
)
def test_what_xbps_would_not_take_is_refused_with_the_reason(
    tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UserError) as refused:
        request.settle(replace(asked("netplay-relay", tmp_path), **options))
    assert reason in refused.value.message
    assert refused.value.fix


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Serve a folder of one file on loopback; yield its address."""
    (tmp_path / f"{MITM_COMMIT}.tar.gz").write_bytes(b"packed")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path))

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the parent's name
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_address_without_a_checksum_is_fetched_once_for_it(site: str) -> None:
    wanted = Asked("netplay-mitm-server", MITM_COMMIT, "20211110", distfile=f"{site}/{MITM_COMMIT}.tar.gz")
    settled = request.settle(wanted)
    assert settled.distfile.sha256 == hashlib.sha256(b"packed").hexdigest()
    assert (settled.distfile.site, settled.distfile.file) == (site, "${_commit}.tar.gz")


def test_an_address_that_has_nothing_leaves_the_checksum_unknown(site: str) -> None:
    wanted = Asked("netplay-mitm-server", COMMIT, "20211110", distfile=f"{site}/{COMMIT}.tar.gz")
    with pytest.raises(UserError) as refused:
        request.settle(wanted)
    assert "its checksum is unknown" in refused.value.message
    assert "--distfile FILE" in refused.value.fix
    assert refused.value.exit_code == 3
