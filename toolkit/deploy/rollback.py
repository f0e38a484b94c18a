"""Going back to a release that lies on the host already, while games go on; nothing is sent there but the order."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.console import draw, say, step
from toolkit.deploy import ansible, releases
from toolkit.errors import PROOF_FAILED, UserError
from toolkit.hosts import inventory, login
from toolkit.hosts.remote import Remote, entry_of
from toolkit.hosts.session import ask_password
from toolkit.ssh import connection, replies

if TYPE_CHECKING:
    from toolkit.deploy.releases import Release
    from toolkit.hosts.target import DeployTarget


def look(place: DeployTarget) -> list[Release]:
    """Return the releases on a host, the newest first. Raises UserError."""
    entry = entry_of(place)
    with connection.connection(entry.host.alias, entry.user, place.ssh_config) as link:
        return releases.on_host(link)


def rollback(place: DeployTarget, to: str | None = None, *, check: bool = False, ask_become: bool = False) -> int:
    """Make an earlier release the current one, or that named by to; return how many tasks changed something.

    Raises UserError: before anything is touched where there is none to go to, or where it does not take the host's
    settings; and when the relay does not run as that release afterwards.
    """
    entry = entry_of(place)
    password = ask_password(place) if ask_become else ""
    with (
        connection.connection(entry.host.alias, entry.user, place.ssh_config) as link,
        tempfile.TemporaryDirectory(prefix="netplay-relay-") as scratch,
    ):
        folder = Path(scratch)
        visit = login.visit(link, entry, password)
        found = releases.on_host(link)
        target = releases.choose(found, to, place.host.alias)
        draw(releases.table(found))
        step("release", f"back to {releases.shown(target)}" if not target.current else f"{releases.shown(target)} runs")
        variables = {"ansible_become": visit.become, "relay_release_id": target.id}
        inventory.to_json(folder / "variables.json", variables)
        files = inventory.files_of(place.host)
        run = ansible.Run("rollback", files.inventory, folder / "variables.json", folder, check, visit.password)
        # Without a name it would go back one further, if the release was changed already.
        changed = ansible.play(replace(run, again=f"Roll back again with --to {target.id}"), link)
        if not check:
            _prove(Remote(place, link, visit.become, visit.password), target, releases.on_host(link))
    say()
    say(f"{changed} {'would change' if check else 'changed'} on {place.host.alias}")
    if not check:
        say(f"To go forward again: invoke deploy{place.option}")
    return changed


def _prove(remote: Remote, target: Release, found: list[Release]) -> None:
    """Ask the host which release is the current one, and the relay what it is. Raises UserError."""
    current = next((release.id for release in found if release.current), "none")
    # It names its release as well as its version: "netplay-relay 0.1.0 (48bd0b7f6185949b)".
    program = str(remote.ask(["status", "--json"], replies.STATUS)["program"])
    if current != target.id or target.id not in program:
        raise UserError(
            f"{remote.link.alias} was to run {releases.shown(target)}; current is {current}, and {program} runs",
            fix="An old program goes on until its last game is over when the other cannot read its state."
            f"\nSee: invoke status{remote.place.option}",
            exit_code=PROOF_FAILED,
        )
    step("proof", f"{program} runs")
