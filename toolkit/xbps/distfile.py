"""Where a template's source comes from, and its checksum: packed here, a file, or an address on the web."""

from __future__ import annotations

import hashlib
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toolkit import paths
from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.xbps import dist

if TYPE_CHECKING:
    from toolkit.xbps.packages import Package

FETCH_SECONDS: Final = 60.0
MOST: Final = 100 * 1024 * 1024
"""Bytes a source tarball may have; the largest of the three has a tenth of a percent of it."""
_ADDRESS: Final = re.compile(r"https?://[^\s\"'`$\\{}<>|;&()]+/[^\s\"'`$\\{}<>|;&()/]+")
_COLUMNS: Final = 80


@dataclass(frozen=True, slots=True)
class Distfile:
    """A source as a template names it.

    `site` is what stands in front of the last slash ("" where it is the home page), `file` what stands behind it,
    both with the template's own variables; `name` is the file's real name, `content` its bytes where they are here.
    """

    site: str
    file: str
    name: str
    sha256: str
    content: bytes | None = None


def own(package: Package, commit: str, version: str, given: str, checksum: str) -> tuple[Distfile, str]:
    """Return the source of netplay-relay and the version that it says it is ("" where nobody has looked).

    Without a file or an address it is packed from the checkout.
    """
    if is_address(given):
        return _address(package, given, commit, version, checksum), ""
    source = dist.read(paths.typed(given)) if given else dist.own(commit=commit)
    _agree(source.sha256, checksum, given or "the checkout")
    name = f"netplay-relay-{commit or version or source.version}.tar.gz"
    file = f"netplay-relay-{'${_commit}' if commit else '${version}'}.tar.gz"
    return Distfile("", file, name, source.sha256, source.content), source.version


def foreign(package: Package, commit: str, version: str, given: str, checksum: str) -> Distfile:
    """Return the source of one of the older relays: GitHub's archive of the commit, unless another is given."""
    usual = f"{package.homepage}/archive/{commit}.tar.gz"
    if not given or is_address(given):
        return _address(package, given or usual, commit, version, checksum)
    path = paths.typed(given)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}", fix=f"Fetch it first: curl -LO {usual}") from None
    sha256 = hashlib.sha256(content).hexdigest()
    _agree(sha256, checksum, given)
    return Distfile("${homepage}/archive", "${_commit}.tar.gz", f"{commit}.tar.gz", sha256, content)


def is_address(text: str) -> bool:
    """Tell an address from a file's name."""
    return bool(re.match(r"[a-z]+://", text))


def _address(package: Package, address: str, commit: str, version: str, checksum: str) -> Distfile:
    if not _ADDRESS.fullmatch(address):
        raise UserError(
            f"{address!r} is not an address a template can hold",
            fix="It starts with http:// or https://, ends with the file's name, and has no quotes, spaces or $ in it.",
        )
    content = None if checksum else _fetch(address)
    sha256 = _checksum(checksum) if content is None else hashlib.sha256(content).hexdigest()
    name = address.rpartition("/")[2]
    site, _, file = _with_variables(address, commit, version).rpartition("/")
    site = site.replace(package.homepage, "${homepage}", 1) if site.startswith(package.homepage) else site
    return Distfile(site, file, name, sha256, content)


def _with_variables(address: str, commit: str, version: str) -> str:
    """Write the commit and the version as the template's variables: the next one is then a change of one line."""
    if commit and commit in address:
        return address.replace(commit, "${_commit}")
    if version and version in address:
        return address.replace(version, "${version}")
    raise UserError(
        f"{address} does not name {commit or version or 'a version'}: the next version would have the same address",
        fix="Name a file with the version or the full hash of the commit in its address"
        + ("." if version else ", and the version: --version X.Y.Z"),
    )


def _fetch(address: str) -> bytes:
    """Return what is at the address. Raises UserError."""
    try:
        with urllib.request.urlopen(address, timeout=FETCH_SECONDS) as answer:  # noqa: S310 - http(s), checked
            content: bytes = answer.read(MOST + 1)
    except (OSError, ValueError, urllib.error.URLError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is the answer too, and holds the connection
        raise UserError(
            f"{address} cannot be fetched, so its checksum is unknown: {getattr(error, 'reason', None) or error}",
            fix="Fetch it elsewhere and give the file: --distfile FILE\nOr give its checksum: --checksum SHA256",
            exit_code=HOST_UNUSABLE,
        ) from None
    if len(content) > MOST:
        raise UserError(f"{address} has more than {MOST} bytes", fix="This is not a source tarball of a relay.")
    return content


def _checksum(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise UserError(f"{text!r} is not a SHA-256", fix="64 hex digits in small letters: sha256sum FILE")
    return text


def _agree(found: str, checksum: str, what: str) -> None:
    if checksum and _checksum(checksum) != found:
        raise UserError(
            f"{what} has the SHA-256 {found}, not {checksum}", fix="Fetch it again, or leave --checksum out."
        )
