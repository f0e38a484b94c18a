"""The packages' folders, file by file, as they were agreed on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.templates import ROOT, assert_golden
from tests.support.xbps_sources import PACKAGES, settled
from toolkit.xbps import render

if TYPE_CHECKING:
    from pathlib import Path

EXPECTED = ROOT / "tests" / "golden" / "expected" / "xbps"
# Made of relay/relay.toml; the unit tests hold what is switched on in it.
OTHERWISE_HELD = "files/relay.toml"


def names(package: str) -> list[str]:
    root = render.TEMPLATES / package
    found = [str(path.relative_to(root).with_suffix("")) for path in sorted(root.rglob("*.j2"))]
    return [name for name in found if name != OTHERWISE_HELD]


@pytest.mark.parametrize(("package", "name"), [(package, name) for package in PACKAGES for name in names(package)])
def test_a_packages_file_is_the_text_that_was_agreed_on(package: str, name: str, tmp_path: Path) -> None:
    if os.environ.get("NETPLAY_WRITE_GOLDEN"):
        (EXPECTED / package / name).parent.mkdir(parents=True, exist_ok=True)
    assert_golden(f"xbps/{package}/{name}", render.texts(settled(package, tmp_path))[name])


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_is_expected_that_is_not_rendered_any_more(package: str) -> None:
    expected = {str(path.relative_to(EXPECTED / package)) for path in (EXPECTED / package).rglob("*") if path.is_file()}
    assert expected == set(names(package))
