"""Writes srcpkgs/ for one package, whole or not at all."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from toolkit.console import ROOT
from toolkit.errors import UserError
from toolkit.xbps import example

if TYPE_CHECKING:
    from toolkit.xbps.request import Request

TEMPLATES: Final = ROOT / "templates" / "xbps"
PROGRAMS: Final = ("run", "finish", "check")


@dataclass(frozen=True, slots=True)
class Rendered:
    """What was written: the package's folder, and the source tarball where its content was at hand."""

    folder: Path
    tarball: Path | None


def texts(request: Request) -> dict[str, str]:
    """Return the files of the package's folder, by name, rendered. Raises UserError for a source without ours."""
    settings = example.packaged(request)
    root = TEMPLATES / request.package.name
    environment = Environment(
        # A service that a package and a deployment both install is written once, in templates/runit.
        loader=FileSystemLoader([TEMPLATES, TEMPLATES.parent]),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - shell and settings, no HTML
    )
    return {
        path.relative_to(root).with_suffix("").as_posix(): environment.get_template(
            path.relative_to(TEMPLATES).as_posix()
        ).render(request=request, relay_toml=settings)
        for path in sorted(root.rglob("*.j2"))
    }


def write(request: Request, out: Path) -> Rendered:
    """Make `out`, which must not exist or be empty; its folders are those of a void-packages checkout.

    Raises UserError when it cannot be written to; nothing is left half-made.
    """
    _refuse_unusable(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
            made = Path(scratch) / "made"
            _fill(request, made)
            made.rename(out)  # takes the place of an empty folder too
    except OSError as error:
        raise UserError(
            f"{out} cannot be written: {error.strerror}", fix="Name a folder that you may make: --out DIR"
        ) from None
    tarball = out / _sources(request) / request.distfile.name
    return Rendered(out / "srcpkgs" / request.package.name, tarball if request.distfile.content is not None else None)


def _refuse_unusable(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UserError(f"{out} is there, and is not a folder", fix="Name a folder that does not exist yet: --out DIR")
    try:
        first = next(out.iterdir(), None) if out.exists() else None
    except OSError as error:
        raise UserError(
            f"{out} cannot be looked into: {error.strerror}", fix="Name another folder: --out DIR"
        ) from None
    if first is not None:
        raise UserError(
            f"{out} is not empty ({first.name} is in it): old files would mix with new ones",
            fix="Name a new or an empty folder: --out DIR. To use the result: cp -a DIR/. VOID-PACKAGES/",
        )


def _fill(request: Request, made: Path) -> None:
    folder = made / "srcpkgs" / request.package.name
    for name, text in texts(request).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755 if path.name in PROGRAMS else 0o644)
    for sub in request.package.subpackages:
        (made / "srcpkgs" / sub.name).symlink_to(request.package.name)
    if request.distfile.content is not None:
        tarball = made / _sources(request) / request.distfile.name
        tarball.parent.mkdir(parents=True)
        tarball.write_bytes(request.distfile.content)
    for path in (made, *made.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def _sources(request: Request) -> Path:
    """Return where xbps-src looks for the source before it fetches it, below a void-packages checkout."""
    return Path("hostdir") / "sources" / f"{request.package.name}-{request.version}"
