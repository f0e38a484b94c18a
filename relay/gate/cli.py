"""netplay-relay gate: who may reach the relay, on the host itself. For root; made to be run over ssh and by services.

    netplay-relay gate [--config-dir DIR] [--state-dir DIR] COMMAND [--json]

DIR: /etc/netplay-relay (relay.toml, friends.toml, allowlist) and /var/lib/netplay-relay (gate.json, pending.json).
With --json the answer on standard output is one JSON object, of a mistake {"error": {"message", "fix", "file",
"line"}} (the last two null where there is no file); without, sentences. Sentences on mistakes go to standard error.

Moments are seconds since 1970, networks are text like "203.0.113.7/32". Exit codes:

    0  done, or nothing to do
    1  refused or failed; nothing has changed
    2  a mistake in a file or in what was typed
    3  busy: another gate command, or an agent, is at work
    4  confirm: that push was rolled back, replaced, or never made
    5  check: refused by at least one layer
    6  check: refused by none, and what some rule of others does with that address is unknown
    7  apply: the list would remove friends that whoever sends it does not know; nothing has changed

apply [--friends FILE|-] [--shown-as NAME] [--rollback-after SECONDS] [--check] [--survey] [--login TEXT]
      [--based-on DIGEST]
    Apply friends.toml: FILE (- is standard input) becomes the host's; without --friends the host's own is applied.
    --shown-as: what errors call the file. --rollback-after: comes back by itself unless confirmed; without, it is for
    good. --check: change nothing, show what would change. --survey: look at other firewalls although nothing changed.
    --login: the words of SSH_CONNECTION, whose port is never filtered (by itself from the environment).
    --based-on: the digest of the friends' names (relay/gate/others.py) on the list it was made from. Where the
    host has another one, and the new one would remove friends of it, that is refused, and beside "error" stands
    "others": {"digest", "friends": [{"name", "ip": [network], "dns": [name], "until": moment|null, "note"}]}.
    With --friends an entry that is over and a name without an answer are refused with their line; without, ignored.
    {"changed", "checked": bool, "backend": "nftables"|"iptables", "ports": [int], "rules": bool (rules were loaded),
     "added", "removed", "refreshed": [network], "files": bool (friends.toml or allowlist), "entries": int,
     "next_expiry": moment|null, "opened": [{"tool", "ports", "where"}], "others", "warnings": [sentence],
     "token": str|null (to confirm; null when nothing changed), "rollback_at": moment|null,
     "rollback_by": "systemd"|"process"|null}

confirm TOKEN
    Keep a push. {"confirmed": bool, "rolled_back": {"at", "token", "why"}|null,
     "replaced": {"at", "token", "by": address or ""}|null (another push was made before this one was confirmed)}

rollback [TOKEN]
    Take the waiting push back now. {"rolled_back": bool}

status [--socket PATH]
    {"backend": str|null, "present": bool (our rules stand, all of them), "complete": bool (and hold every entry),
     "changing": process id|null (a change takes long; until it is over, rules of before or of after it are "present"),
     "ports": [int], "agent": process id|null, "healed": {"count", "at", "what"},
     "entries": [{"network", "friends": [name], "names": [DNS name], "until": moment|null, "remaining": seconds|null,
                  "in_force": bool, "packets": int|null (new connections let in), "seen": moment|null (the last one, to
                  the minute), "connected": int|null (connections the relay has from there)}],
     "expired": [{"friend", "until"}], "names": {name: {"addresses", "at", "error"}},
     "packets": {"established", "friends", "capped", "refused": int}, "warnings", "others": [sentence],
     "opened": [{"tool", "ports", "where"}], "pending": {"token", "deadline"}|null,
     "rolled_back": {"at", "token", "why"}|null, "problem": sentence or "", "allowlist": {"problem": sentence or "" (the
     relay that runs has not the list that was written for it), "lets_in": bool|null (anybody at all; null: not known)},
     "relay": "running" or why it is not asked}

check NAME|ADDRESS [--socket PATH]
    {"subject", "friend": name|null, "verdict": "in"|"out"|"unknown", "because": sentence,
     "steps": [{"layer", "ok": bool|null (decides nothing, or is unknown), "sentence", "unknown": bool}]}

kick NAME|ADDRESS [--socket PATH]
    End what runs. {"subject", "networks": [network], "kicked": int|null (connections the relay ended; null with
    "problem": sentence), "conntrack": int|null (entries forgotten; null without the program)}

survey
    Other firewalls: {"firewalls": [{"tool", "sentence", "evidence", "shut": [port], "forwarded": [port], "command",
    "where"}], "friends": [{"networks", "ok": false|null (unknown), "tool", "sentence", "rule", "command"}] (what others
    do to those on the list), "saved": [sentence] (rules of ours in files that the host loads at its start)}

remove [--keep-config]
    Take away rules, openings in other firewalls, allowlist, state and (without --keep-config) friends.toml. The agent
    must have been stopped. {"changed": bool, "rules": [backend], "closed": [sentence], "files": [path],
    "left": [sentence] (of a packet filter used before), "saved": [sentence] (as survey)}

agent
    Keep the rules loaded; a service (Type=notify). It exits 0 on SIGTERM and leaves the ruleset as it is.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LONGEST_ROLLBACK = 3600.0


def main(argv: Sequence[str]) -> int:
    """Run `netplay-relay gate` with what was typed behind it, without loading the relay; return the exit code."""
    parser = argparse.ArgumentParser(prog="netplay-relay gate", description="Who may reach the relay on this host.")
    _configure(parser)
    try:
        return int(_run(parser.parse_args(argv)))
    except KeyboardInterrupt:
        return 130


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `gate` to the commands of netplay-relay. What runs it is imported only when it is run."""
    _configure(commands.add_parser("gate", help="who may reach the relay: the packet filter of this host"))


def _configure(gate: argparse.ArgumentParser) -> None:
    gate.add_argument("--config-dir", type=_directory, metavar="DIR", default=Path("/etc/netplay-relay"))
    gate.add_argument("--state-dir", type=_directory, metavar="DIR", default=Path("/var/lib/netplay-relay"))
    gate.set_defaults(run=_run)
    parsers = gate.add_subparsers(required=True, metavar="COMMAND", dest="gate_command")
    _add_apply(parsers)
    token = _add(parsers, "confirm", "keep a push for good")
    token.add_argument("token", metavar="TOKEN")
    back = _add(parsers, "rollback", "take the waiting push back now")
    back.add_argument("token", metavar="TOKEN", nargs="?")
    back.add_argument("--timer", action="store_true", help=argparse.SUPPRESS)
    back.add_argument("--after", type=_seconds, default=0.0, help=argparse.SUPPRESS)
    for name, text in (("check", "say why somebody gets in or not"), ("kick", "end somebody's connections")):
        about = _add(parsers, name, text)
        about.add_argument("subject", metavar="NAME|ADDRESS")
        about.add_argument("--socket", type=Path, metavar="PATH", help="the relay's socket")
    shown = _add(parsers, "status", "show what is in force, until when, for whom")
    shown.add_argument("--socket", type=Path, metavar="PATH", help="the relay's socket")
    _add(parsers, "survey", "show what other firewalls do with the port")
    gone = _add(parsers, "remove", "take all of it away")
    gone.add_argument("--keep-config", action="store_true", help="leave friends.toml")
    _add(parsers, "agent", "keep the firewall rules loaded (a service)")


def _add_apply(parsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    apply = _add(parsers, "apply", "apply friends.toml")
    apply.add_argument("--friends", metavar="FILE", help="becomes the host's friends.toml; - is standard input")
    apply.add_argument("--shown-as", type=Path, metavar="NAME", help="what errors call that file")
    apply.add_argument("--rollback-after", type=_seconds, metavar="SECONDS", help="comes back unless confirmed by then")
    apply.add_argument("--check", action="store_true", help="change nothing, show what would change")
    apply.add_argument("--survey", action="store_true", help="look at other firewalls in any case")
    apply.add_argument("--based-on", metavar="DIGEST", help="refuse to remove friends, unless the list has this digest")
    apply.add_argument("--login", default=os.environ.get("SSH_CONNECTION", ""), metavar="TEXT", help="SSH_CONNECTION")


def _add(parsers: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str) -> argparse.ArgumentParser:
    parser = parsers.add_parser(name, help=text)
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    return parser


def _directory(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        raise argparse.ArgumentTypeError(f"a directory starts with /, not {text!r}")
    return path


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= LONGEST_ROLLBACK:
        raise argparse.ArgumentTypeError(f"seconds are a number up to {LONGEST_ROLLBACK:g}, not {text!r}")
    return seconds


def _run(arguments: argparse.Namespace) -> Any:
    from relay.gate import commands

    return commands.run(arguments)
