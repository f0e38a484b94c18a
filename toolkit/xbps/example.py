"""The packaged relay.toml: the annotated example of the packaged program, with what a package needs switched on.

An older program refuses a setting that came later, so the example is its own, from the same source.
"""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Final

from toolkit.console import ROOT
from toolkit.errors import UserError
from toolkit.xbps import packages

if TYPE_CHECKING:
    from toolkit.xbps.request import Request

EXAMPLE: Final = ROOT / "relay" / "relay.toml"
# What the packaged relay.toml says, and the example only mentions behind "# ": nobody gets in who is not named, and
# where the service's check asks.
SWITCHED_ON: Final = (
    'allowlist = "/etc/netplay-relay/allowlist"',
    'socket = "/run/netplay-relay/control.sock"',
)


def packaged(request: Request) -> str:
    """Return the packaged relay.toml, "" for a package that has none. Raises UserError for a source without ours."""
    if request.package.name != packages.OWN:
        return ""
    found = _of_source(request.distfile.content)
    if found is None:
        return switched_on(EXAMPLE.read_text(encoding="utf-8"), str(EXAMPLE))
    return switched_on(found, f"relay/relay.toml in {request.distfile.name}")


def switched_on(text: str, where: str) -> str:
    """Return the example with what a package needs switched on. UserError for one that does not mention it."""
    text = text.rstrip("\n")
    for setting in SWITCHED_ON:
        if text.count(f"\n# {setting}\n") != 1:
            raise UserError(
                f"{where} does not mention {setting}, which the package needs",
                fix="Package another commit, or with the checkout of that commit: git worktree add DIR COMMIT",
            )
        text = text.replace(f"\n# {setting}\n", f"\n{setting}\n")
    return text


def borrowed(request: Request) -> str:
    """Return what of a package is this checkout's although its program is another's: a sentence."""
    settings = "" if _of_source(request.distfile.content) is not None else "relay.toml, "
    return f"{settings}services and template are those of this checkout, the program is that of its source"


def _of_source(content: bytes | None) -> str | None:
    """Return the example of a source tarball, None where there is none or the tarball is not at hand."""
    if content is None:
        return None
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            name = next((name for name in archive.getnames() if name.split("/")[1:] == ["relay", "relay.toml"]), "")
            found = archive.extractfile(name) if name else None
            return found.read().decode() if found else None
    except (tarfile.TarError, EOFError, UnicodeDecodeError):
        return None
