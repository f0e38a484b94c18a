"""Versions as xbps reads and compares them, and which of them a template may carry (docs/packaging.md, Versions)."""

from __future__ import annotations

import datetime
import re
from typing import Final

from packaging.version import InvalidVersion, Version

from toolkit.errors import UserError

_WORDS: Final = {"alpha": -3, "beta": -2, "pre": -1, "rc": -1, "pl": 0, ".": 0}
_PIECE: Final = re.compile(r"(?P<number>\d+)|(?P<word>alpha|beta|pre|rc|pl|\.)|(?P<letter>[a-z])|.", re.IGNORECASE)
_RELEASE: Final = re.compile(r"\d+(\.\d+)+((alpha|beta|rc)\d*)?([.+]\d{8})?")
# What xbps calls the prereleases of PEP 440: it reads the b of 1.2b1 as a number, and 1.2b1 is above 1.2 to it.
_PRERELEASES: Final = {"a": "alpha", "b": "beta", "rc": "rc"}
_PLAIN: Final = re.compile(r"\d+(\.\d+)+")
_DATE: Final = re.compile(r"(?:19|20)\d{2}[01]\d[0-3]\d")


def compare(left: str, right: str) -> int:
    """Return -1, 0 or 1 as xbps orders two versions; what follows `_`, the revision, decides last."""
    (one, first), (two, second) = _numbers(left), _numbers(right)
    length = max(len(one), len(two))
    ours, theirs = (numbers + [0] * (length - len(numbers)) for numbers in (one, two))
    return ((ours, first) > (theirs, second)) - ((ours, first) < (theirs, second))


def objection(version: str) -> str:
    """Return why a template must not carry this version, "" when it may."""
    if not version:
        return "it is empty"
    if found := re.search(r"[-:_]", version):
        return f"it contains {found[0]!r}, which separates name, version and revision"
    if _DATE.fullmatch(version):
        return "a bare date is greater than any release that comes later; a snapshot before one is 0.0.YYYYMMDD"
    if re.search(r"\.?(dev|post)\d*", version):
        return "xbps has no .dev and no .post: it reads their letters as further numbers, above the release"
    if not _RELEASE.fullmatch(version):
        return "it is not of the form X.Y.Z, with rc1, beta1 or alpha1 behind it at most"
    parts = version.split(".")
    if len(parts) == 3 and _DATE.fullmatch(parts[2]) and parts[:2] != ["0", "0"]:
        return f"{version} is greater than {parts[0]}.{parts[1]}.1; a snapshot is 0.0.YYYYMMDD or X.Y.Z.YYYYMMDD"
    return ""


def check(version: str) -> str:
    """Return the version; UserError when a template or a wheel must not carry it.

    A wheel may write it another way (1.2beta1 as 1.2b1): xbps-src installs whatever wheel was built.
    """
    if reason := objection(version) or _no_wheel(version):
        raise UserError(
            f"{version!r} cannot be the version of a package: {reason}",
            fix="A release: --version 1.2.3. A snapshot: --commit HASH --date YYYYMMDD (its version is made).",
        )
    return version


def of_project(text: str) -> str:
    """Return the version of a pyproject.toml as xbps writes it: 1.2b1 as 1.2beta1. What is no version stays."""
    try:
        found = Version(text)
    except InvalidVersion:
        return text
    if found.pre is None or found.dev is not None or found.post is not None or found.epoch:
        return text
    word, number = found.pre
    return (
        ".".join(map(str, found.release)) + _PRERELEASES[word] + str(number) + (f"+{found.local}" * bool(found.local))
    )


def are_one(template: str, project: str) -> bool:
    """Tell whether a template's version is that of a pyproject.toml, which may be written another way."""
    try:
        return Version(template) == Version(project)
    except InvalidVersion:
        return template == project


def _no_wheel(version: str) -> str:
    """Return why no wheel can have this version, "" when one can."""
    try:
        Version(version)
    except InvalidVersion:
        return "Python's packaging has no such version (PEP 440), and the wheel must have one"
    return ""


def check_date(text: str) -> str:
    """Return a commit's date, YYYYMMDD; UserError when there is no such day."""
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        datetime.datetime.strptime(text, "%Y%m%d")
    except ValueError:
        raise UserError(
            f"{text!r} is not the date of a commit",
            fix="Write it as YYYYMMDD: git show -s --format=%cd --date=format:%Y%m%d HASH",
        ) from None
    return text


def snapshot(date: str, after: str = "") -> str:
    """Return the version of a snapshot of that date: above the release `after`, below every release that follows.

    Raises UserError for an `after` that is no release of numbers alone: what 1.0rc1 is followed by is 1.0.
    """
    if not after:
        return f"0.0.{date}"
    if not _PLAIN.fullmatch(after) or _DATE.fullmatch(after.split(".")[-1]) or objection(after):
        raise UserError(
            f"{after!r} is not a release that a snapshot can come after",
            fix="--after X.Y.Z, the last release before the commit; leave it out where there is none.",
        )
    # 1.0.20261103 would be greater than 1.0.1; xbps reads 1.0 as 1.0.0.
    numbers = after.split(".")
    return ".".join([*numbers, *["0"] * (3 - len(numbers)), date])


def _numbers(version: str) -> tuple[list[int], int]:
    """Return what xbps compares: numbers, words of their own rank, a letter as its place in the alphabet."""
    numbers: list[int] = []
    text, _, revision = version.partition("_")
    for piece in _PIECE.finditer(text):
        if piece["number"]:
            numbers.append(int(piece["number"]))
        elif piece["word"]:
            numbers.append(_WORDS[piece["word"].lower()])
        elif piece["letter"]:
            numbers += [0, ord(piece["letter"].lower()) - ord("a") + 1]
    return numbers, int(re.sub(r"\D.*", "", revision) or 0)
