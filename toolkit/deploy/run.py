"""Putting a relay on a host: look, plan, apply, prove, and say what everybody types next.

Nothing is changed anywhere before the words typed, the owner's files and the way into the host are known to be good.
With check nothing is changed at all: not on the host, not on this machine, and no lab is made.
"""

from __future__ import annotations

import math
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relay import bounds, config
from relay.gate.desired import datagrams
from relay.tomlfile import ConfigError
from toolkit.addresses import has_ipv4
from toolkit.console import block, say, short, step
from toolkit.deploy import ansible, proof, zipapp
from toolkit.errors import ROLLED_BACK, UserError
from toolkit.friends import parse as friends
from toolkit.friends.edit import FriendChange, put
from toolkit.friends.push import FriendsPush, file_lock, tell_plan
from toolkit.hosts import gate, inventory, last, login
from toolkit.hosts.remote import Remote
from toolkit.hosts.session import ask_password
from toolkit.join import instructions
from toolkit.ssh import connection

if TYPE_CHECKING:
    from relay.gate.policy.friends import Friend
    from toolkit.hosts.inventory import Entry, HostFiles
    from toolkit.hosts.target import DeployTarget


@dataclass(frozen=True, slots=True)
class Request:
    """What was typed: account, sudo, whether its password is asked for, whether to only look, friends to let in."""

    user: str | None = None
    become: bool = False
    ask_become: bool = False
    check: bool = False
    friends: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What the host shall have: the settings, who is let in, the release."""

    settings: config.Config
    friends: list[Friend]
    release: zipapp.Release

    def variables(self, settings_file: Path, *, become: bool) -> dict[str, Any]:
        """Return what the playbook is told."""
        ports, allowlist = list(self.settings.ports), self.settings.gate.allowlist
        return {
            "ansible_become": become,
            "preflight_ports": ports,
            "preflight_backend": self.settings.gate.backend,
            "preflight_datagrams": list(datagrams(self.settings)),
            "relay_zipapp": str(self.release.path),
            "relay_release_id": self.release.id,
            "relay_config_file": str(settings_file),
            "relay_ports": ports,
            "relay_addresses": list(self.settings.listen.bind),
            "relay_lan_discovery": self.settings.lan.answer,
            "relay_drain_seconds": math.ceil(self.settings.timeouts.drain),
            "relay_open_files": bounds.open_files(self.settings),
            "relay_memory_high": bounds.memory_high(self.settings),
            "relay_memory_max": bounds.memory_max(self.settings),
            "relay_private_kib": bounds.private(self.settings) // 1024,
            **({"firewall_allowlist_dir": str(allowlist.parent)} if allowlist else {}),
        }


def deploy(place: DeployTarget, request: Request) -> int:
    """Do all of it; return how many tasks changed something, the list of friends counted as one.

    Raises UserError with the exit code that fits.
    """
    files = inventory.files_of(place.host)
    check_files(files)
    entry = inventory.update_entry(files, place.host, request.user, request.become or request.ask_become)
    password = ask_password(place) if request.ask_become else ""
    with (
        connection.connection(entry.host.alias, entry.user, place.ssh_config) as link,
        tempfile.TemporaryDirectory(prefix="netplay-relay-") as scratch,
    ):
        folder = Path(scratch)
        visit = login.visit(link, entry, password)
        step("host", f"{place.host.alias}: logged in as {visit.account}{', with sudo' if visit.become else ''}")
        with nullcontext() if request.check else file_lock(files.friends):
            used = _make_files(place, entry, files, visit, request, folder)
        plan = Plan(_settings(used.relay), friends.load(used.friends), zipapp.build(folder))
        outgoing = FriendsPush.of(used.friends, files.friends, time.time())
        _show(plan, files)
        inventory.to_json(folder / "variables.json", plan.variables(used.relay, become=visit.become))
        run = ansible.Run("deploy", used.inventory, folder / "variables.json", folder, request.check, visit.password)
        changed = ansible.play(run, link)
        remote = Remote(place, link, visit.become, visit.password)
        if request.check:
            changed += _look(remote, outgoing, plan)
        else:
            with file_lock(files.friends):
                outgoing = outgoing.refreshed(time.time())
                changed += _push(remote, outgoing, changed)
            last.remember(place)
            _prove(place, visit, replace(plan, friends=friends.parse(outgoing.source, files.friends)))
    (_say_looked if request.check else _say_deployed)(place, changed)
    if not request.check:
        _say_next(place, visit.hostname, plan, files)
    return changed


def _look(remote: Remote, outgoing: FriendsPush, plan: Plan) -> int:
    """Show what the list of friends would change, 1 when it would: on a fresh host all of it."""
    answer = outgoing.look(remote)
    if answer is None:
        tell_plan(plan.friends, time.time())
        return 1
    gate.tell(answer)
    return int(answer["changed"])


def _push(remote: Remote, outgoing: FriendsPush, changed: int) -> int:
    """Make the list the host's; changed: what the playbook has done before. Raises UserError."""
    try:
        return outgoing.push(remote, survey=True)
    except UserError as error:
        if error.exit_code != ROLLED_BACK or not changed:
            raise
        # The ruleset stood for the new settings already, so a list that comes back fits them.
        stays = "That is friends.toml and the rules. The release and relay.toml, which this run put there first, stay"
        raise UserError(f"{error.message}. {stays}", fix=error.fix, exit_code=ROLLED_BACK) from None


def check_files(files: HostFiles) -> None:
    """Read the owner's files, those that are there. Raises UserError with file and line."""
    if files.relay.exists():
        _settings(files.relay)
    if files.friends.exists():
        friends.load(files.friends)


def _settings(path: Path) -> config.Config:
    try:
        return config.load(path)
    except ConfigError as error:
        raise friends.as_user_error(error) from None


def _make_files(
    place: DeployTarget, entry: Entry, files: HostFiles, visit: login.LoginFacts, request: Request, folder: Path
) -> HostFiles:
    """Make the host's files where they are missing, add the friends typed; return the files to use."""
    used = inventory.scratch_files(files, entry, folder) if request.check else files
    made = inventory.make_missing(used, entry)
    for name, addresses in place.nodes.items():
        put(used.friends, FriendChange(name, addresses, only=True, note="a node of the lab"))
    if used.friends in made and place.lab is None and (mine := visit.my_addresses()):
        put(used.friends, FriendChange("me", mine, note="this machine, as the host saw it when this file was made"))
        if visit.shares_address:
            say(
                f"note: {visit.came_from}, which is let in as me, is the host's own router: everybody behind it has "
                f"that address. To take it out: invoke friends.remove me{place.option}"
            )
    elif used.friends in made and place.lab is None and visit.jumps:
        say(
            "note: ssh gets there through another host, so this machine's own address is not known and not let in. "
            f"Any what-is-my-ip site shows it; then: invoke friends.add me --ip ADDRESS{place.option}"
        )
    for name, address in request.friends:
        put(used.friends, FriendChange(name, [address]))
    if made and not request.check:
        step("files", f"made {', '.join(path.name for path in made)} in {short(files.relay.parent)}")
    return used


def _show(plan: Plan, files: HostFiles) -> None:
    step("settings", f"{short(files.relay)}: port {', '.join(map(str, plan.settings.ports))}")
    names = ", ".join(friend.name for friend in plan.friends)
    step("friends", f"{short(files.friends)}: {names or 'nobody, so nobody will get in'}")
    step("release", f"{plan.release.id}, {plan.release.files} files")


def _prove(place: DeployTarget, visit: login.LoginFacts, plan: Plan) -> None:
    port = plan.settings.listen.port
    if place.lab is not None:
        proof.prove_in_lab(place.lab, port)
    else:
        listed = visit.is_listed([network for friend in plan.friends for network in friend.addresses])
        proof.prove_from_here(visit.hostname, port, visit.came_from if visit.knows_us else "", listed)


def _say_looked(place: DeployTarget, changed: int) -> None:
    say()
    say(f"{changed} would change on {place.host.alias}" + ("" if changed else ": it is as it should be"))
    if changed:
        say(f"Nothing was changed. To do it: invoke deploy{place.option}")


def _say_deployed(place: DeployTarget, changed: int) -> None:
    say()
    say(f"{changed} changed on {place.host.alias}" + ("" if changed else ": it was as it should be already"))


def _say_next(place: DeployTarget, hostname: str, plan: Plan, files: HostFiles) -> None:
    port = plan.settings.listen.port
    address = place.lab.node("relay").ipv4 if place.lab else hostname
    block(f"The relay is at {instructions.where(address, port)}, open to friends and closed to everybody else.", [])
    for lines in instructions.type_lines(address, port, plan.settings.coreless.mode, hostable=has_ipv4(address)):
        block(lines[0], lines[1:])
    block("The same for each room, with QR codes and a text for a chat", [f"invoke join{place.option}"])
    block(
        "To let in another friend",
        [
            f"invoke friends.add anna --ip 203.0.113.7{place.option}",
            f"or edit {short(files.friends)}, then: invoke friends.push{place.option}",
        ],
    )
    if place.lab is not None:
        block(
            "This relay lives in the lab on this machine; a real one: invoke deploy --host myvps",
            [
                f"To look inside: invoke lab.ssh{place.lab_option}",
                f"To take it down: invoke lab.down{place.lab_option}",
            ],
        )
