"""The releases that lie on a host, beside each other: which of them runs, and which one a rollback would go back to."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from toolkit.errors import BAD_INPUT, HOST_UNUSABLE, UserError
from toolkit.ssh import answers, bounded, connection, replies
from toolkit.ssh.errors import broken, explain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.ssh.connection import Connection

_SECONDS: Final = 60.0
# Runs on the host, with its own Python: the version is in the program, and running each of them would take a while.
_LIST: Final = r"""
import json, pathlib, re, time, zipfile
top = pathlib.Path("/opt/netplay-relay")
current = (top / "current").resolve()
now = time.time()
def when(path):
    return min(path.stat().st_mtime, now)  # the host's clock may have been ahead
found = []
for path in sorted(top.glob("releases/*/netplay-relay.pyz")):
    try:
        with zipfile.ZipFile(path) as program:
            version = re.search(r'__version__ = "([^"]+)"', program.read("relay/__init__.py").decode())
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        version = None
    used = path.with_name("used")  # what deployments touch: see the role relay
    found.append({
        "id": path.parent.name,
        "version": version.group(1) if version else "",
        "installed": when(path),
        "current": path.parent == current,
        "used": when(used) if used.exists() else None,
    })
place = top / "current"
if not found and place.is_dir() and not place.is_symlink():  # the role made it for whoever looks for the program here
    from relay import __version__
    found = [{"package": __version__}]
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True)
class Release:
    """A release on a host: its id, the version it calls itself ("" for one that is broken), when it was put there.

    used: when a deployment last changed to it, or from it to another one; None when none did, and for one that was
    rolled back from. Both in seconds since 1970.
    """

    id: str
    version: str
    installed: float
    current: bool
    used: float | None = None

    @property
    def place(self) -> tuple[bool, float]:
        """Where it stands in the order of use; those of which it is not known come first, as they were copied."""
        return (self.used is not None, self.used or self.installed)


def on_host(link: Connection) -> list[Release]:
    """Return what lies on a host, the newest first; nothing where no relay is.

    Raises UserError: where the host does not answer, and where its relay is a package and no release.
    """
    try:
        argv = link.argv("exec /usr/bin/python3 -I -X utf8 -")
        done = bounded.run(argv, _LIST, seconds=_SECONDS, env=connection.environment())
    except bounded.TooMuchError:
        raise broken(link, f"it is longer than {bounded.MOST_OUTPUT} bytes") from None
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{link.alias} did not answer within {_SECONDS:.0f} s",
            fix=f"Look at it by hand: {link.typed}",
            exit_code=HOST_UNUSABLE,
        ) from None
    if done.returncode:
        raise explain(link, done.stderr)
    return parse(done.stdout, link.alias)


def parse(text: str, alias: str) -> list[Release]:
    """Read what the host printed, behind whatever the login printed; the newest comes first. Raises UserError."""
    if answers.find(text, list) is None:
        raise UserError(
            f"{alias} did not list its releases; it said: {answers.last_words(text) or 'nothing'}",
            fix="Log in by hand: does the account have an ordinary shell?",
            exit_code=HOST_UNUSABLE,
        )
    try:
        found: list[dict[str, Any]] = answers.read(text, replies.RELEASES, list)
    except answers.BrokenAnswerError as error:
        raise broken(connection.Connection(alias), str(error)) from None
    for each in found:
        if "package" in each:
            raise UserError(
                f"the relay on {alias} is its package netplay-relay ({each['package']}), not a release",
                fix="Type there, where its repository has an older one: xbps-install -f netplay-relay-VERSION"
                f"\nOr build one: invoke xbps.build --host {alias} --distfile FILE",
                exit_code=BAD_INPUT,
            )
    kept = ("id", "version", "installed", "current", "used")
    listed = [Release(**{key: each[key] for key in kept}) for each in found]
    return sorted(listed, key=lambda release: release.installed, reverse=True)


def choose(found: Sequence[Release], to: str | None, alias: str) -> Release:
    """Return the release to go to: the one typed, else the one that ran before the current one.

    to may be the beginning of an id, or a version. Raises UserError where there is none, or more than one.
    """
    current = next((release for release in found if release.current), None)
    if current is None:
        raise UserError(
            f"there is no relay on {alias}",
            fix=f"Put one there: invoke deploy --host {alias}",
            exit_code=HOST_UNUSABLE,
        )
    if to is None:
        older = [release for release in found if _ran_before(release, current)]
        if not older:
            raise UserError(
                f"there is no release on {alias} that ran before the current one, {shown(current)}",
                fix=_others(found, alias),
                exit_code=BAD_INPUT,
            )
        return max(older, key=lambda release: release.place)
    meant = [release for release in found if to and (release.id.startswith(to) or release.version == to)]
    if len(meant) != 1:
        what = f"{len(meant)} releases" if meant else "no release"
        raise UserError(f"there is {what} {to!r} on {alias}", fix=_others(found, alias), exit_code=BAD_INPUT)
    return meant[0]


def _ran_before(release: Release, current: Release) -> bool:
    """Tell whether a release is one to go back to from the current one.

    One that never ran, or was rolled back from, is no more than one that was copied before.
    """
    if release.used is not None and current.used is not None:
        return release.used < current.used
    return release.installed < current.installed


def shown(release: Release) -> str:
    """Return a release as a person reads it."""
    return f"{release.version or 'a broken one'} ({release.id})"


def table(found: Sequence[Release]) -> Table:
    """Return the releases as a table."""
    made = Table("release", "version", "installed", "")
    for release in found:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(release.installed))
        made.add_row(release.id, release.version or "broken", when, "runs" if release.current else "")
    return made


def as_json(found: Sequence[Release]) -> str:
    """Return the releases as a host tells them."""
    return json.dumps(as_dicts(found), indent=2)


def as_dicts(found: Sequence[Release]) -> list[dict[str, Any]]:
    """Return the releases for a program."""
    return [asdict(release) for release in found]


def _others(found: Sequence[Release], alias: str) -> str:
    """Return what to type instead."""
    others = [release for release in found if not release.current]
    if not others:
        return f"For another version, check it out, then: invoke deploy --host {alias}"
    return "\n".join(f"invoke rollback --host {alias} --to {release.id}   # {shown(release)}" for release in others)
