"""What friends.* do: change the list of a host that was deployed to, and ask the host who is let in and why."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING, Any

from relay.gate import check as judged
from relay.gate.policy import expiry
from toolkit.console import draw, say, short, step
from toolkit.errors import DEPLOY_FAILED, UserError
from toolkit.friends import edit as friends_edit
from toolkit.friends import parse
from toolkit.friends.push import FriendsPush, file_lock
from toolkit.hosts import gate, inventory
from toolkit.hosts.remote import Remote, never_deployed
from toolkit.hosts.session import one_shot, open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from relay.addresses import Network
    from relay.gate.policy.friends import Friend
    from toolkit.friends.edit import FriendChange
    from toolkit.hosts.target import DeployTarget

# The gate does not tell which service manager its host has.
_START = (
    "systemctl start netplay-relay-firewall (runit: sv start netplay-relay-firewall; "
    "OpenRC: rc-service netplay-relay-firewall start)"
)


def add(place: DeployTarget, wish: FriendChange, *, ask_become: bool = False) -> None:
    """Make a wish true on the host, then in friends.toml. Raises UserError; then nothing has changed.

    ask_become, here and below: sudo there wants a password, ask the person for it.
    """
    with open_session(place, ask_become=ask_become) as remote:
        _change(remote, lambda text, path: friends_edit.wished(text, path, wish))


def remove(place: DeployTarget, name: str, *, kick: bool, ask_become: bool = False) -> None:
    """Take a friend out, on the host, then in friends.toml; kick: end what runs. Raises UserError."""
    with open_session(place, ask_become=ask_become) as remote:
        networks = _networks(gate.ask(remote, ["status"]), _listed(place), name) if kick else {}
        _change(remote, lambda text, path: friends_edit.without(text, path, name))
        if kick:
            _kick(remote, name, networks)


def push(place: DeployTarget, *, ask_become: bool = False, keep: bool = False, drop: bool = False) -> None:
    """Make friends.toml as it is the host's list. Raises UserError.

    keep: friends of another owner, who are on the host's list alone, are written into friends.toml first. drop: they
    are removed. Without either they are a gate.TheirsError.
    """
    if keep and drop:
        raise UserError("--keep-theirs and --drop-theirs were both given", fix="Give one of them.")
    with open_session(place, ask_become=ask_become) as remote:
        try:
            _change(remote, lambda text, _: text, survey=True, also=None if drop else ())
        except gate.TheirsError as error:
            if not keep:
                raise
            theirs = error.friends
            names = [one["name"] for one in theirs]
            _change(remote, lambda text, path: _with_theirs(text, path, theirs), survey=True, also=names)
            step("friends", f"taken over: {', '.join(names)}")


def _with_theirs(text: str, path: Path, theirs: Sequence[dict[str, Any]]) -> str:
    """Return the text of a friends.toml with the friends of another owner, whose time is not over."""
    for one in theirs:
        if one["until"] is None or one["until"] > time.time():
            wish = friends_edit.FriendChange(one["name"], one["ip"], one["dns"], one["until"], one["note"])
            text = friends_edit.wished(text, path, wish)
    return text


def fetch(place: DeployTarget, *, ask_become: bool = False) -> dict[str, Any]:
    """Return what the gate on the host says of itself (relay/gate/cli.py, status). Raises UserError."""
    return gate.ask(one_shot(place, ask_become=ask_become), ["status"])


def show(place: DeployTarget, state: dict[str, Any]) -> None:
    """Print who is let in, and what is not as it should be."""
    draw(table(state))
    for problem in problems(state):
        say(f"note: {problem}")
    file = inventory.files_of(place.host).friends
    there = {friend for entry in state["entries"] for friend in entry["friends"]}
    there |= {over["friend"] for over in state["expired"]}
    known = [friend.name for friend in parse.load(file) if friend.addresses] if file.exists() else []
    if missing := [name for name in known if name not in there]:
        say(f"note: in {short(file)} alone: {', '.join(missing)}. To let them in: invoke friends.push{place.option}")


def table(state: dict[str, Any], room: int | None = None) -> RenderableType:
    """Return who is in force on the host; room: the width there is."""
    from toolkit.tables import listing  # not to wait for while a friend is let in

    rows = []
    for entry in state["entries"]:
        until = "for good" if entry["until"] is None else expiry.shown(entry["until"])
        left = "" if entry["remaining"] is None else f"\n{expiry.remaining(entry['remaining'])} left"
        seen = expiry.shown(entry["seen"]) if entry["seen"] else ""
        by = "".join(f"\nby {name}" for name in entry["names"])
        missing = "" if entry["in_force"] else "\nNOT IN FORCE"
        here = f"{entry['connected']} connected" if entry["connected"] else ""
        rows.append([", ".join(entry["friends"]), entry["network"] + by + missing, until + left, seen, here])
    rows += [[over["friend"], "", f"{expiry.shown(over['until'])}\nover", "", ""] for over in state["expired"]]
    return listing(("friend", "let in", "until", "last seen", "now"), rows, room) if rows else "nobody is let in"


def problems(state: dict[str, Any]) -> list[str]:
    """Return what the owner should know, in sentences."""
    found = (
        []
        if state["present"]
        else ["the firewall rules are not loaded; only the relay's own allowlist keeps strangers out"]
    )
    found += [] if state["agent"] else [f"the firewall agent is not running. Start it on the host: {_START}"]
    found += [state["problem"]] if state["problem"] else []
    if problem := state.get("allowlist", {}).get("problem"):
        found.append(f"{problem}. To send it again: invoke friends.push")
    if back := state["rolled_back"]:
        found.append(f"a change was taken back on {expiry.shown(back['at'])}: {back['why']}")
    if healed := state["healed"]["count"]:
        last = expiry.shown(state["healed"]["at"])
        often = "once, on" if healed == 1 else f"{healed} times, the last time on"
        found.append(f"the firewall rules were loaded again {often} {last}: {state['healed']['what']}")
    return [*found, *state["warnings"], *state["others"]]


def check(place: DeployTarget, subject: str, *, ask_become: bool = False) -> bool:
    """Print what every layer says of a friend or an address; return whether they surely get in. Raises UserError."""
    # What begins with a dash would be an option over there.
    remote = one_shot(place, ask_become=ask_become)
    answer = gate.ask(remote, ["check", "--", subject], good=(0, gate.REFUSED, gate.UNKNOWN))
    for one in answer["steps"]:
        say(f"{judged.mark(one):<4} {one['layer']:<10} {one['sentence']}")
    say(judged.verdict(answer))
    return bool(answer["verdict"] == "in")


def _change(
    remote: Remote,
    edit: Callable[[str, Path], str],
    *,
    survey: bool = False,
    also: Sequence[str] | None = (),
) -> None:
    """Change friends.toml: checked here, applied and confirmed there, and only then written."""
    file = inventory.files_of(remote.place.host).friends
    if not file.exists():
        raise never_deployed(remote.place)
    with file_lock(file):
        read = file.read_text(encoding="utf-8")
        FriendsPush.of_text(edit(read, file), file, time.time(), read).push(remote, survey=survey, also=also)


def _listed(place: DeployTarget) -> list[Friend]:
    """Return the friends of the owner's file, nobody where there is none. Raises UserError."""
    file = inventory.files_of(place.host).friends
    return parse.load(file) if file.exists() else []


def _networks(known: dict[str, Any], listed: Sequence[Friend], name: str) -> dict[str, list[str]]:
    """Return every network a friend may be playing from, and who else comes from it.

    known: the host's status, which leaves out whose time is over; they may play on, so listed, the owner's file, counts
    as well. Others count unless their time is over: a kick ends whatever comes from within a network, and from one
    around it.
    """
    held: dict[str, set[str]] = {entry["network"]: set(entry["friends"]) for entry in known["entries"]}
    for friend in listed:
        answers = [known["names"].get(dns, {"addresses": []})["addresses"] for dns in friend.names]
        for network in [*map(str, friend.addresses), *(network for found in answers for network in found)]:
            held.setdefault(network, set()).add(friend.name)
    over = {friend.name for friend in listed if friend.until is not None and friend.until <= time.time()}
    others = {ipaddress.ip_network(network): whose - over - {name} for network, whose in held.items()}
    return {network: _within(network, others) for network, whose in held.items() if name in whose}


def _within(network: str, others: Mapping[Network, set[str]]) -> list[str]:
    """Return whose networks have addresses in common with one."""
    wanted = ipaddress.ip_network(network)
    return sorted({name for other, whose in others.items() if wanted.overlaps(other) for name in whose})


def _kick(remote: Remote, name: str, networks: dict[str, list[str]]) -> None:
    """End what runs from a friend's networks, and say where that would hit others. Raises UserError."""
    if not networks:
        say(f"note: nobody was kicked: no address of {name} is known")
    for network, others in networks.items():
        if others:
            say(f"note: nobody was kicked at {network}: it is {' and '.join(others)}'s address, too")
            continue
        answer = gate.ask(remote, ["kick", network], good=(0, gate.FAILED))
        if answer["kicked"] is None:
            raise UserError(
                f"{name} is let in no more on {remote.link.alias}, but nobody was kicked: {answer['problem']}",
                fix=f"Where the relay does not run, nobody plays. To see whether it does: invoke status"
                f"{remote.place.option}",
                exit_code=DEPLOY_FAILED,
            )
        step("gate", f"{network}: {answer['kicked']} connections ended")
