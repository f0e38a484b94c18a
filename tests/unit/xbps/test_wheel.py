"""An installed wheel is the same, whichever version of hatchling built it."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.support import xbps_harness
from toolkit.xbps import wheel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return wheel.build(wheel.unpack(xbps_harness.source_tarball(), folder / "source"), folder / "wheel")


def as_another_built_it(built: Path, folder: Path, generator: str, metadata: str) -> Path:
    """Write the wheel as another hatchling does: of 1.29 and 1.33 these two lines differ, and their hashes."""
    other = folder / built.name
    with zipfile.ZipFile(built) as old, zipfile.ZipFile(other, "w") as new:
        contents = {name: old.read(name).decode() for name in old.namelist()}
        info = next(name.partition("/")[0] for name in contents if ".dist-info/" in name)
        for name, word, value in (("WHEEL", "Generator", generator), ("METADATA", "Metadata-Version", metadata)):
            path = f"{info}/{name}"
            lines = contents[path].splitlines(keepends=True)
            contents[path] = "".join(f"{word}: {value}\n" if line.startswith(f"{word}:") else line for line in lines)
            digest = base64.urlsafe_b64encode(hashlib.sha256(contents[path].encode()).digest()).rstrip(b"=").decode()
            record = contents[f"{info}/RECORD"].splitlines()
            line = f"{path},sha256={digest},{len(contents[path].encode())}"
            record = [line if each.startswith(f"{path},") else each for each in record]
            contents[f"{info}/RECORD"] = "\n".join(record) + "\n"
        for name, text in contents.items():
            new.writestr(name, text)
    return other


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("generator", "metadata"), [("hatchling 1.29.0", "2.4"), ("hatchling 9.1.0rc1", "2.7")])
def test_what_is_installed_does_not_depend_on_the_version_of_hatchling(
    built: Path, tmp_path: Path, generator: str, metadata: str
) -> None:
    other = as_another_built_it(built, tmp_path, generator, metadata)
    assert other.read_bytes() != built.read_bytes()
    wheel.lay_out(built, tmp_path / "one", "3.14")
    wheel.lay_out(other, tmp_path / "two", "3.14")
    one = tree(tmp_path / "one")
    assert one == tree(tmp_path / "two")
    for line in next(text for name, text in one.items() if name.endswith("RECORD")).decode().splitlines():
        name, digest, _ = line.rsplit(",", 2)
        path = (tmp_path / "one/usr/lib/python3.14/site-packages" / name).resolve()
        if digest:
            found = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
            assert digest == f"sha256={found}", name
