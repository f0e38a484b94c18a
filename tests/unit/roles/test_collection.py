"""The roles as a collection that other people can build, install and use: what is in it, and that nothing is twice."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import yaml

from tests.support.templates import ROOT

COLLECTION = ROOT / "ansible"
# Of the templates, those that roles put on hosts.
SERVICES = [path for name in ("systemd", "runit", "openrc") for path in (ROOT / "templates" / name).rglob("*.j2")]


def galaxy(folder: Path, *arguments: str) -> None:
    """Run ansible-galaxy without a network and without the person's own settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    argv = [sys.executable, "-m", "ansible", "galaxy", "collection", *arguments]
    environment = {**kept, "ANSIBLE_HOME": str(folder / "home"), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, cwd=folder, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_collection_has_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert yaml.safe_load((COLLECTION / "galaxy.yml").read_text())["version"] == project["version"]


def test_galaxy_builds_it_with_every_template_and_nothing_of_the_checkout(tmp_path: Path) -> None:
    galaxy(tmp_path, "build", str(COLLECTION), "--output-path", str(tmp_path))
    (archive,) = tmp_path.glob("netplay-relay-*.tar.gz")
    with tarfile.open(archive) as tar:
        content = {member.name: tar.extractfile(member) for member in tar.getmembers() if member.isfile()}
        assert all(member.isfile() or member.isdir() for member in tar.getmembers()), "a link that leads out of it"
        for template in COLLECTION.glob("roles/*/templates/**/*.j2"):
            packed = content[str(template.relative_to(COLLECTION))]
            assert packed is not None
            assert packed.read() == template.read_bytes()
    assert {"CHANGELOG.md", "README.md", "meta/runtime.yml"} <= set(content)
    assert not [name for name in content if name.startswith(("ansible.cfg", "molecule", "inventory"))]


def test_a_template_is_in_templates_once_and_linked_by_the_role_that_uses_it() -> None:
    linked = list(COLLECTION.glob("roles/*/templates/**/*.j2"))
    assert [path for path in linked if not path.is_symlink()] == [], "a copy, and not a link into templates/"
    assert {path.resolve() for path in linked} >= set(SERVICES), "a template that no role has"
    assert [path for path in linked if not path.exists()] == []
