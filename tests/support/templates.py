"""Rendering templates/ as Ansible does, and what systemd and nft on this machine say of the result."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tests.support.needs import program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
# A network namespace of its own: rules are checked by the kernel, and this machine's are not touched. Who is not root
# needs a user namespace as well; there the kernel takes no transaction of more than about 200 KiB.
APART = ("--net", "--") if os.geteuid() == 0 else ("--map-root-user", "--net", "--")


def plugin(path: str) -> ModuleType:
    """Load a file below ansible/plugins, which is no package."""
    file = ROOT / "ansible" / "plugins" / path
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def environment() -> Environment:
    """Return Jinja2 set up as Ansible's template action sets it up, and strict."""
    return Environment(
        loader=FileSystemLoader(ROOT / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # units and rules, no HTML
    )


def render(name: str, **variables: Any) -> str:
    """Render templates/NAME. An undefined variable is an error."""
    return environment().get_template(name).render(**variables)


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it said."""
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def nft(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run nft apart from this machine's network."""
    return run(program("unshare"), *APART, program("nft"), *arguments)


def apart(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a program apart from this machine's network."""
    return run(program("unshare"), *APART, *argv)


def assert_golden(name: str, text: str) -> None:
    """Compare with tests/golden/expected/NAME; with NETPLAY_WRITE_GOLDEN set, write it instead, and fail."""
    expected = ROOT / "tests" / "golden" / "expected" / name
    if os.environ.get("NETPLAY_WRITE_GOLDEN"):
        expected.write_text(text, encoding="utf-8")
        pytest.fail(f"wrote {expected}: look at the difference, then test without NETPLAY_WRITE_GOLDEN")
    assert text == expected.read_text(encoding="utf-8"), f"{name}: NETPLAY_WRITE_GOLDEN=1 writes what is meant"
