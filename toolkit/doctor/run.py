"""invoke doctor: whom to look at, what to show, and how to end."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from toolkit import console, paths
from toolkit.console import say, step
from toolkit.doctor import bundle, findings, gather, show, target
from toolkit.doctor.finding import Severity
from toolkit.errors import TROUBLE_FOUND, WARNINGS_FOUND, UserError
from toolkit.hosts import inventory, last, session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from toolkit.doctor.case import Case
    from toolkit.doctor.finding import Finding
    from toolkit.hosts.remote import Remote
    from toolkit.hosts.target import DeployTarget

CODES = {
    Severity.FINE: 0, Severity.NOTE: 0, Severity.WARNING: WARNINGS_FOUND, Severity.TROUBLE: TROUBLE_FOUND,
}  # fmt: skip


def doctor(
    place: DeployTarget | None,
    relay: str | None,
    *,
    as_json: bool = False,
    file: Path | None = None,
    ask_become: bool = False,
) -> int:
    """Look, tell, and return the exit code: 0 fine, 1 warnings, 8 trouble. Raises UserError for what cannot be asked.

    place: a host of the owner's; relay: ADDRESS|PORT, looked at from outside alone. file: for the bundle.
    """
    if file is not None and paths.is_folder(file):
        raise UserError(f"{file} is a folder", fix="Name a file: --bundle doctor.md")
    aim = target.parse(relay) if relay else None
    login: AbstractContextManager[Remote | None] = (
        session.open_session(place, ask_become=ask_become) if place and not aim else nullcontext()
    )
    with login as remote:
        if remote and place:
            aim = target.of_place(place, remote.link)
        if aim is None:
            raise UserError("no relay was named", fix="invoke doctor --relay 'ADDRESS|55435'")
        case = gather.gather(aim, remote, quiet=as_json)
    found = list(findings.every(case))
    tell(case, found, as_json=as_json)
    if file is not None:
        # Last: what was found is not lost where it cannot be written.
        inventory.write(file, bundle.text(case, found))
    if file is not None and not as_json:
        step("bundle", f"{file}: read it before you pass it on; addresses, nicks and room ids are taken out")
    return CODES[max((one.severity for one in found), default=Severity.FINE)]


def tell(case: Case, found: Sequence[Finding], *, as_json: bool) -> None:
    """Print the findings."""
    if as_json:
        told = {"relay": case.target.typed, "findings": [one.to_json() for one in found]}
        console.as_json(told)
        return
    say()
    show.draw(found)


def place_of(
    host: str | None, relay: str | None, ssh_config: Path | None, *, quiet: bool = False
) -> DeployTarget | None:
    """Return the host that is meant: the one typed, else that of the last deployment; None when a relay was typed."""
    if relay is not None and host is not None:
        raise UserError(
            "--host and --relay were both given",
            fix="--host looks at your own relay's host by ssh, --relay at any relay from outside: give one of them.",
        )
    return None if relay is not None else last.typed_by_players(host, ssh_config, "doctor", quiet=quiet)
