"""What answers at the relay's port: this relay, another, or something else; and does it let us in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, fine, note, trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case


def look(case: Case) -> Iterator[Finding]:
    """Say what the relay answered when it was asked as RetroArch asks it."""
    talk, typed = case.talk, case.target.typed
    if talk is None:
        return
    owner = case.target.place is not None
    if talk.kind == "relay":
        yield fine(
            "it is a netplay relay and lets this machine in", f"seen from there as {talk.seen or 'nobody knows'}"
        )
    elif talk.kind == "denied" and owner and case.lets_in(case.mine):
        yield trouble(
            "the relay does not let this machine in, although it is on the list",
            f"it answered DENY to {case.mine}",
            f"invoke friends.push{case.target.option}",
        )
    elif talk.kind == "denied" and owner:
        yield note(
            "the relay does not let this machine in: it is not on the list",
            "it answered DENY",
            f"To play from here, too: invoke friends.add me --ip {case.mine or 'ADDRESS'}{case.target.option}",
        )
    elif talk.kind == "denied":
        yield trouble(
            f"the relay at {typed} does not let you in: your address is not on its list, or no longer",
            "it answered DENY: RetroArch shows 'You are banned from this host'",
            "Tell the owner your address (any what-is-my-ip site shows it); the owner types: "
            "invoke friends.add NAME --ip ADDRESS",
        )
    elif talk.kind == "full":
        yield trouble(
            f"the relay at {typed} is full",
            "it answered FULL",
            "Wait until a game is over; the owner raises limits.sessions or limits.connections in relay.toml.",
        )
    elif talk.kind == "old-relay":
        yield trouble(
            f"at {typed} runs a relay for RetroArch 1.9 and older (netplay-mitm-server)",
            "it sent our own question back; RetroArch shows 'Failed to create a tunnel session.'",
            "Stop that one on the host and put this relay there: invoke deploy --host HOST",
        )
    elif talk.kind in ("closed", "silent"):
        said = "hung up without a word" if talk.kind == "closed" else "said nothing for 5 s"
        yield trouble(
            f"something listens at {typed}, and it {said}",
            "neither a host nor a client was answered",
            f"Look at the relay's log: invoke doctor{case.target.option}"
            if owner
            else "Tell the relay's owner; the owner types: invoke doctor",
        )
    else:
        yield trouble(
            f"what listens at {typed} is not a netplay relay",
            f"it said {talk.said[:24]!r}",
            "Is the port right? RetroArch's own is 55435.",
        )
