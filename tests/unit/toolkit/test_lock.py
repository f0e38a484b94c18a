"""The lock files hold what pyproject.toml demands, for every Python it allows, each package by its hashes."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from toolkit.console import ROOT
from toolkit.dev import lock
from toolkit.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def pins(extra: str) -> list[Requirement]:
    """Return the pinned requirements of a lock file."""
    text = lock.path(extra).read_text().replace("\\\n", " ")
    return [
        Requirement(line.partition(" --hash=")[0]) for line in text.splitlines() if line and not line.startswith("#")
    ]


def demanded(extra: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras: Mapping[str, list[str]] = project["optional-dependencies"]
    return [Requirement(text) for name in lock.EXTRAS[: lock.EXTRAS.index(extra) + 1] for text in extras[name]]


def holds(marker: Marker | None, python: str) -> bool:
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.2"}
    return marker is None or marker.evaluate({key: str(value) for key, value in environment.items()})


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("extra", lock.EXTRAS)
def test_each_requirement_has_one_version_that_it_allows(extra: str, python: str) -> None:
    locked = [pin for pin in pins(extra) if holds(pin.marker, python)]
    for wanted in demanded(extra):
        found = [pin for pin in locked if canonicalize_name(pin.name) == canonicalize_name(wanted.name)]
        assert len(found) == 1, f"{wanted} on Python {python}: {found}; after a change of pyproject.toml: invoke lock"
        (version,) = (spec.version for spec in found[0].specifier if spec.operator == "==")
        assert wanted.specifier.contains(version), f"{wanted} is locked to {version}: invoke lock"


def test_what_the_owner_runs_has_the_versions_that_the_tests_ran_with() -> None:
    owned, tested = ({(pin.name, str(pin.specifier)) for pin in pins(extra)} for extra in lock.EXTRAS)
    assert owned <= tested


@pytest.mark.parametrize("extra", lock.EXTRAS)
def test_every_package_is_known_by_hash_and_none_by_address(extra: str) -> None:
    text = lock.path(extra).read_text()
    assert "://" not in text
    assert "--index" not in text
    entries = re.split(r"\n(?=\S)", text.strip())[1:]
    assert len(entries) == len(pins(extra)) > 20
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_ansible_of_each_python_is_the_newest_that_it_can_have() -> None:
    versions = {
        python: next(
            str(pin.specifier) for pin in pins("toolkit") if pin.name == "ansible-core" and holds(pin.marker, python)
        )
        for python in PYTHONS
    }
    assert versions["3.11"].startswith("==2.19.")
    assert versions["3.13"] != versions["3.11"]


class Uv:
    """Stands for uv: answers with a pin for each run, or fails."""

    def __init__(self, code: int = 0) -> None:
        self.code, self.argvs = code, list[list[str]]()

    def __call__(self, argv: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        self.argvs.append(argv)
        output = next(word.partition("=")[2] for word in argv if word.startswith("--output-file="))
        Path(output).write_text(f"made=={len(self.argvs)}\n")
        return subprocess.CompletedProcess(argv, self.code, "", "  x No solution found\n  because of y\n")


def test_a_lock_that_cannot_be_made_leaves_the_files_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", Uv())
    assert [file.name for file in lock.write(upgrade=False, root=tmp_path)] == ["toolkit.txt", "dev.txt"]
    before = {file: file.read_text() for file in (tmp_path / "requirements").iterdir()}
    monkeypatch.setattr(subprocess, "run", Uv(code=1))
    with pytest.raises(UserError, match="because of y"):
        lock.write(upgrade=True, root=tmp_path)
    assert {file: file.read_text() for file in (tmp_path / "requirements").iterdir()} == before


def test_a_lock_that_stays_the_same_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", Uv())
    lock.write(upgrade=False, root=tmp_path)
    monkeypatch.setattr(subprocess, "run", Uv())
    assert lock.write(upgrade=True, root=tmp_path) == []
