"""Unpacking a source: what lies below one folder comes out, whatever the Python; nothing lands anywhere else."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from pathlib import Path

import pytest

from toolkit.errors import UserError
from toolkit.xbps import wheel

OLD = "without, as before Python 3.11.4"
# Later ones cannot be made to look like it: they warn of each extraction without a filter.
PYTHONS = ["with filters", *([OLD] if sys.version_info < (3, 12) else [])]


@pytest.fixture(params=PYTHONS, autouse=True)
def filters(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test with what this Python has, and as on one whose tarfile has no filters."""
    if request.param == OLD:
        whole = tarfile.TarFile.extractall
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
        monkeypatch.setattr(
            tarfile.TarFile, "extractall", lambda self, path=".", members=None: whole(self, path, members)
        )


def tarball(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.mode, made.linkname = kind, mode, link
    made.size = 1 if kind == tarfile.REGTYPE else 0
    made.uid = made.gid = 12345
    return made


def test_files_and_folders_come_out_as_the_accounts_own(tmp_path: Path) -> None:
    content = tarball(
        member("relay-1/", tarfile.DIRTYPE, 0o755), member("relay-1/a.py"), member("relay-1/bin/run", mode=0o755)
    )
    top = wheel.unpack(content, tmp_path)
    assert top == tmp_path / "relay-1"
    assert (top / "a.py").read_bytes() == b"x"
    assert os.access(top / "bin/run", os.X_OK)
    assert not (top / "a.py").stat().st_mode & 0o111
    assert (top / "a.py").stat().st_uid == os.geteuid()


@pytest.mark.parametrize(
    "hostile",
    [
        member("../out"),
        member("relay-1/../../out"),
        member("relay-1/null", tarfile.CHRTYPE),
        member("relay-1/pipe", tarfile.FIFOTYPE),
        member("relay-1/link", tarfile.SYMTYPE, link="/etc/passwd"),
        member("relay-1/link", tarfile.LNKTYPE, link="../../../../etc/passwd"),
    ],
    ids=lambda hostile: f"{hostile.name} {hostile.type!r}",
)
def test_a_member_that_would_land_elsewhere_is_refused(tmp_path: Path, hostile: tarfile.TarInfo) -> None:
    folder = tmp_path / "below" / "source"
    folder.mkdir(parents=True)
    with pytest.raises(UserError, match="cannot be unpacked"):
        wheel.unpack(tarball(member("relay-1/a.py"), hostile), folder)
    assert not (tmp_path / "below" / "out").exists()
    assert not (tmp_path / "out").exists()
