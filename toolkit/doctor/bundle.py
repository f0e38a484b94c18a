"""One file to paste or attach when asking for help: the findings and what they rest on, and nobody's address in it."""

from __future__ import annotations

import json
import platform
import re
import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import relay
from toolkit.doctor import blur
from toolkit.status import rooms as roomview

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toolkit.doctor.case import Case
    from toolkit.doctor.finding import Finding

PACKAGES = ("ansible-core", "invoke", "rich", "Jinja2")
LOG_LINES = 40
ROOM = re.compile(r'^([ \t]*id[ \t]*=[ \t]*)(["\']).*\2', re.MULTILINE)


def text(case: Case, findings: Sequence[Finding]) -> str:
    """Return the bundle: Markdown, without addresses, nicks, friends, host names and session ids."""
    return blur.scrub("\n".join(_parts(case, findings)), names(case)) + "\n"


def _parts(case: Case, findings: Sequence[Finding]) -> Iterator[str]:
    yield f"# netplay-relay doctor, {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}"
    yield from _block("Findings", [_line(finding) for finding in findings])
    yield from _block("Versions", _versions(case))
    if settings := case.told("settings"):
        lines = [line for line in settings["text"].splitlines() if line.strip() and not line.startswith("#")]
        yield from _block("relay.toml on the host", [ROOM.sub(r"\1\2(a room's id)\2", "\n".join(lines))])
    if state := case.told("relay"):
        yield from _block("The relay", [json.dumps(_counts(state), indent=1)])
    if gate := case.told("gate"):
        kept = {
            key: gate.get(key) for key in ("backend", "present", "complete", "agent", "healed", "packets", "problem")
        }
        yield from _block("The gate", [json.dumps({**kept, "entries": len(gate["entries"])}, indent=1)])
    for question in ("services", "listening", "disk", "files", "clock", "firewalls"):
        if case.host:
            yield from _block(f"{question} on the host", [json.dumps(case.told(question))])
    if log := case.told("log"):
        yield from _block("The log's last lines", log[-LOG_LINES:])


def names(case: Case) -> dict[str, str]:
    """Return the words that name somebody or something, and what is written instead."""
    relay_, gate = case.told("relay") or {}, case.told("gate") or {}
    sessions = roomview.rooms(relay_) if relay_ else []
    ended = [roomview.ending(entry) for entry in relay_.get("ended", [])]
    rooms = [
        str(one.get("id", ""))
        for one in [*sessions, *relay_.get("rooms", [])]
        if one.get("mode") != roomview.WITHOUT_HOST
    ]
    rooms += [str(entry.get("session", "")) for entry in ended if "table" not in entry]
    clients = [client for session in sessions for client in session["clients"]]
    nicks = [nick for client in [*clients, *ended] for nick in _nicks(client)]
    friends = [name for entry in gate.get("entries", []) for name in entry["friends"]]
    friends += [one["friend"] for one in gate.get("expired", [])]
    hosts = [case.target.address, *([case.target.place.host.alias] if case.target.place else [])]
    return {
        case.ssh: "ssh HOST",
        **blur.numbered("room", filter(None, rooms)),
        **blur.numbered("player", filter(None, nicks)),
        **blur.numbered("friend", filter(None, friends)),
        **blur.numbered("name", gate.get("names", {})),
        **blur.numbered("relay-host", (host for host in hosts if blur.addresses(host) == host)),
    }


def _nicks(client: dict[str, Any]) -> list[str]:
    seen = client.get("seen") or {}
    return [str((seen.get(end) or {}).get("nick", "")) for end in ("client", "host")] + [str(seen.get("paused_by", ""))]


def _counts(state: dict[str, Any]) -> dict[str, Any]:
    kept = ("program", "age", "draining", "ports", "connections", "outcomes", "session_outcomes", "clients")
    return {key: state[key] for key in kept if key in state} | {"sessions": len(state["sessions"])}


def _line(finding: Finding) -> str:
    more = [f"  seen: {part}" for part in finding.evidence.splitlines()]
    more += [f"  -> {part}" for part in finding.cure.splitlines()]
    return "\n".join([f"{finding.severity.name.lower()} [{finding.name}] {finding.sentence}", *more])


def _versions(case: Case) -> list[str]:
    here = (
        f"here: netplay-relay {relay.__version__} ({case.release or 'not built'}), Python {platform.python_version()}"
    )
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    system = case.told("system") or {}
    there = f"host: {system}" if system else "host: not looked at"
    return [f"{here}, {sys.platform}, {packages}", there, f"program on the host: {(case.told('release') or {})}"]


def _block(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"## {title}", "", "```", *(line.replace("```", "'''") for line in lines), "```"]
