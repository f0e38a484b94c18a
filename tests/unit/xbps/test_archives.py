"""Archives that store: what any unpacker reads, and the same bytes every time."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
import time

import pytest

from tests.support.templates import program
from toolkit.xbps import archives
from toolkit.xbps.archives import Member

SIZES = (0, 1, 0xFFFF, 0x10000, 128 * 1024, 128 * 1024 + 1, 300_000)


@pytest.mark.parametrize("size", SIZES)
def test_gzip_reads_what_was_stored(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    assert gzip.decompress(archives.gzip(data)) == data


@pytest.mark.parametrize("size", SIZES)
def test_zstd_reads_what_was_stored(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    done = subprocess.run(
        [program("zstd"), "--decompress", "--stdout"], input=archives.zstd(data), capture_output=True, check=True
    )
    assert done.stdout == data


def test_a_tar_does_not_know_when_or_by_whom_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    members = [Member("a/file", b"text", 0o600), Member("a/link", target="/elsewhere")]
    first = archives.tar(members)
    monkeypatch.setattr(time, "time", lambda: 1e9)
    assert archives.tar(members) == first
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        found = [(entry.name, entry.mode, entry.uname, entry.uid, entry.mtime, entry.linkname) for entry in archive]
    assert found == [("a/file", 0o600, "root", 0, 0, ""), ("a/link", 0o777, "root", 0, 0, "/elsewhere")]
