"""What a template is asked for, checked before anything is written: each refusal says why xbps would not take it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from toolkit import printable
from toolkit.errors import UserError
from toolkit.xbps import dist, distfile, packages, versions

if TYPE_CHECKING:
    from toolkit.xbps.distfile import Distfile
    from toolkit.xbps.packages import Package

# What Void writes where nobody looks after a package.
ORPHAN: Final = "Orphaned <orphan@voidlinux.org>"
# It lands between double quotes in a shell program.
_MAINTAINER: Final = re.compile(r'[^<>"`$\\\x00-\x1f]+ <[^@<>\s"`$\\]+@[^@<>\s"`$\\]+\.[^@<>\s"`$\\]+>')
# A template's lines hold 80 columns.
_HOMEPAGE: Final = re.compile(r"https?://[^\s\"'`$\\{}<>|;&()]{1,60}")
_MAINTAINER_MOST: Final = 80 - len('maintainer=""')


@dataclass(frozen=True, slots=True)
class Asked:
    """The options as they were typed; "" where one was left out."""

    package: str = packages.OWN
    commit: str = ""
    date: str = ""
    version: str = ""
    distfile: str = ""
    checksum: str = ""
    maintainer: str = ""
    homepage: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A template that can be rendered. commit is "" for a release; patched: the wheel must be told its version."""

    package: Package
    version: str
    commit: str
    maintainer: str
    distfile: Distfile
    patched: bool = False


def settle(asked: Asked) -> Request:
    """Check the options against each other and find the source. Raises UserError."""
    package = packages.find(asked.package)
    maintainer = check_maintainer(asked.maintainer or ORPHAN)
    if asked.version and (asked.commit or asked.date):
        raise UserError(
            "--version and --commit exclude each other: a release has a version, a snapshot has a commit and its date",
            fix=f"--version X.Y.Z, or --commit HASH --date YYYYMMDD; not {asked.version} and a commit.",
        )
    if package.name == packages.OWN:
        return _own(_at_home(package, asked.homepage), asked, maintainer)
    if asked.homepage:
        raise UserError(f"{package.name} has a home page of its own, {package.homepage}", fix="Leave --homepage out.")
    commit, version = _snapshot(_with_defaults(asked, package))
    found = distfile.foreign(package, commit, version, asked.distfile, asked.checksum)
    return Request(package, version, commit, maintainer, found)


def check_maintainer(text: str) -> str:
    """Return the maintainer; UserError when no mail can be sent to them or a template could not hold them."""
    if not _MAINTAINER.fullmatch(text) or not printable.is_unicode(text) or text.endswith("@users.noreply.github.com>"):
        raise UserError(
            f"{text!r} is not a maintainer: xbps wants a name and an address that takes mail",
            fix="--maintainer 'Anna Example <anna@example.org>' (no quotes, backticks, $ or \\ in it)",
        )
    if len(text) > _MAINTAINER_MOST:
        raise UserError(
            f"the maintainer {text!r} is too long for a line of 80 columns",
            fix=f"Use at most {_MAINTAINER_MOST} characters.",
        )
    return text


def _at_home(package: Package, homepage: str) -> Package:
    if not homepage:
        return package
    if not _HOMEPAGE.fullmatch(homepage) or not printable.is_unicode(homepage):
        raise UserError(
            f"{homepage!r} is not a home page a template can hold",
            fix="--homepage https://... , of at most 60 characters behind it, without quotes, spaces, $ or braces.",
        )
    return replace(package, homepage=homepage.rstrip("/"))


def _own(package: Package, asked: Asked, maintainer: str) -> Request:
    if asked.commit or asked.date:
        commit, version = _snapshot(asked)
    elif asked.after:
        raise UserError("--after is for snapshots", fix="--commit HASH --date YYYYMMDD --after X.Y.Z")
    else:
        commit, version = "", versions.check(asked.version) if asked.version else ""
    found, project = distfile.own(package, commit, version, asked.distfile, asked.checksum)
    if not commit and version and project and not versions.are_one(version, project):
        raise UserError(
            f"the source is version {project}, not {version}: the package would hold another program than it says",
            fix=f"--version {project}, or the tarball of {version}: --distfile FILE",
        )
    return Request(package, versions.check(version or project), commit, maintainer, found, patched=bool(commit))


def _with_defaults(asked: Asked, package: Package) -> Asked:
    if asked.version:
        raise UserError(
            f"{package.name} has no releases, so {asked.version} is none of its versions",
            fix=f"--package {package.name} --commit HASH --date YYYYMMDD",
        )
    if asked.after:
        raise UserError(f"{package.name} has no releases, so nothing comes after one", fix="Leave --after out.")
    if not asked.commit and not asked.date:
        return replace(asked, commit=package.commit, date=package.date)
    return asked


def _snapshot(asked: Asked) -> tuple[str, str]:
    if not asked.commit:
        raise UserError(
            f"a snapshot of {asked.package} needs its commit",
            fix=f"--commit HASH --date {asked.date or 'YYYYMMDD'}; the newest: git ls-remote URL HEAD",
        )
    commit = dist.check_commit(asked.commit)
    if not asked.date:
        raise UserError(
            "a snapshot needs its commit's date: the version is made from it",
            fix=f"--commit {commit} --date YYYYMMDD (git show -s --format=%cd --date=format:%Y%m%d {commit})",
        )
    date = versions.check_date(asked.date)
    is_here = asked.package == packages.OWN and not asked.distfile
    return commit, versions.snapshot(date, asked.after or (dist.release_before(commit) if is_here else ""))
