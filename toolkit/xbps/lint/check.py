"""All rules, over all packages of a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolkit.errors import UserError
from toolkit.xbps.lint import fields, install, lines, services, text
from toolkit.xbps.lint.parse import Finding, Package, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RULES: Final[tuple[Callable[[Package], Iterator[Finding]], ...]] = (
    *(lines.xlint_lines, lines.license_text, lines.literal_version, lines.check_reason),
    *(text.header, text.ending, text.columns, text.order, text.syntax),
    *(fields.required, fields.unknown, fields.name, fields.version, fields.commit, fields.description),
    *(fields.maintainer, fields.homepage, fields.distfiles, fields.checksums, fields.building),
    *(install.license_ids, install.dependencies, install.accounts, install.directories, install.places),
    *(install.settings, install.subpackages),
    *(services.services, services.contents, services.scripts, services.update),
)


def lint(folder: Path) -> list[Finding]:
    """Check every package of a folder: what Void's tools object to, then advice. UserError when there is none."""
    findings = [finding for package in packages_below(folder) for rule in RULES for finding in rule(read(package))]
    return sorted(findings, key=lambda each: (not each.tool, str(each.path), each.line, each.rule))


def packages_below(folder: Path) -> list[Path]:
    """Return the packages' folders: the folder itself, or those in it, or those in its srcpkgs. No links."""
    for place in (folder, folder / "srcpkgs"):
        if (place / "template").is_file():
            return [place]
        found = sorted(path.parent for path in place.glob("*/template") if not path.parent.is_symlink())
        if found:
            return found
    raise UserError(
        f"{folder} holds no template", fix="Name a package's folder, or one that holds packages or srcpkgs/."
    )
