"""Taking a relay off a host: the playbook `remove`, and what became of it."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.console import say, short, step
from toolkit.deploy import ansible
from toolkit.hosts import inventory, last, login
from toolkit.hosts.remote import entry_of
from toolkit.hosts.session import ask_password
from toolkit.ssh import connection

if TYPE_CHECKING:
    from toolkit.hosts.target import DeployTarget


def remove(place: DeployTarget, *, keep_config: bool = False, ask_become: bool = False) -> int:
    """Remove it all; return how many tasks changed something. Raises UserError."""
    entry = entry_of(place)
    files = inventory.files_of(place.host)
    password = ask_password(place) if ask_become else ""
    with (
        connection.connection(entry.host.alias, entry.user, place.ssh_config) as link,
        tempfile.TemporaryDirectory(prefix="netplay-relay-") as scratch,
    ):
        folder = Path(scratch)
        visit = login.visit(link, entry, password)
        step("host", f"{place.host.alias}: logged in as {visit.account}{', with sudo' if visit.become else ''}")
        variables = {"ansible_become": visit.become, "remove_keep_config": keep_config}
        inventory.to_json(folder / "variables.json", variables)
        run = ansible.Run("remove", files.inventory, folder / "variables.json", folder, False, visit.password)
        changed = ansible.play(replace(run, again="Remove it again"), link)
    last.forget(place)
    say()
    say(f"{changed} changed on {place.host.alias}" + ("" if changed else ": there was no relay"))
    say(f"What is kept for it on this machine stays: {short(files.relay.parent)}")
    return changed
