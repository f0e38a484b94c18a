"""What `netplay-relay gate COMMAND` does: runs it, prints its answer or its mistake, returns its exit code.

Each command imports what it alone needs: from a zip file nothing is compiled beforehand, and a friend is added while
somebody waits.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from relay.fileerrors import sentence
from relay.gate import state
from relay.gate.backends.base import FilterError
from relay.gate.errors import AgentRunsError, UnknownSubjectError
from relay.gate.files import GateFiles
from relay.gate.gate import Gate
from relay.gate.others import OthersError
from relay.gate.policy import expiry
from relay.gate.programs import ProgramError
from relay.gate.state import BusyError
from relay.tomlfile import ConfigError, unreadable

DONE, FAILED, BAD_INPUT, BUSY, NOT_CONFIRMED, REFUSED, UNKNOWN, OTHERS = range(8)
LARGEST_FILE = 4 * 1024 * 1024

Answer = tuple[int, dict[str, Any], str]


def run(arguments: argparse.Namespace) -> int:
    """Run a command line of `netplay-relay gate`; return the exit code (see relay.gate.cli)."""
    gate = Gate(GateFiles(arguments.config_dir, arguments.state_dir))
    try:
        if not is_root():
            raise PermissionError("the gate is for root. Try again with: sudo")
        code, answer, text = COMMANDS[arguments.gate_command](gate, arguments)
    except ConfigError as error:
        return _mistake(arguments, BAD_INPUT, error)
    except OthersError as error:
        return _mistake(arguments, OTHERS, error)
    except (UnknownSubjectError, UnicodeDecodeError) as error:
        return _mistake(arguments, BAD_INPUT, error)
    except (BusyError, AgentRunsError) as error:
        return _mistake(arguments, BUSY, error)
    except (FilterError, ProgramError, OSError) as error:
        return _mistake(arguments, FAILED, error)
    if arguments.json:
        text = json.dumps(answer)
    if text:
        print(text)  # noqa: T201 - the answer
    return code


def is_root() -> bool:
    """Tell whether this process may change the packet filter."""
    return os.geteuid() == 0


def _mistake(arguments: argparse.Namespace, code: int, error: Exception) -> int:
    words = sentence(error)
    print(f"netplay-relay: {words}", file=sys.stderr)  # noqa: T201 - a sentence for the person at the terminal
    if arguments.json:
        told: dict[str, Any] = {"message": words, "fix": "", "file": None, "line": None}
        if isinstance(error, ConfigError):
            told = {"message": error.message, "fix": error.fix, "file": str(error.path), "line": error.line}
        more = {"others": error.told()} if isinstance(error, OthersError) else {}
        print(json.dumps({"error": told, **more}))  # noqa: T201 - the answer
    return code


def _apply(gate: Gate, arguments: argparse.Namespace) -> Answer:
    from relay.gate import apply

    text, source = None, arguments.shown_as
    if arguments.friends is not None:
        text = _read(arguments.friends)
        source = source or (None if arguments.friends == "-" else Path(arguments.friends))
    wish = apply.Push(
        text, source, arguments.rollback_after, arguments.check, arguments.survey, arguments.login, arguments.based_on
    )
    answer = apply.push(gate, wish)
    return DONE, answer, _applied(answer)


def _read(name: str) -> str:
    """Return a file's text, that of standard input for "-". Raises OSError, UnicodeDecodeError, ConfigError."""
    if name == "-":
        data = sys.stdin.buffer.read(LARGEST_FILE + 1)
    else:
        try:
            with Path(name).open("rb") as file:
                data = file.read(LARGEST_FILE + 1)
        except OSError as error:
            raise unreadable(Path(name), error) from error
    if len(data) > LARGEST_FILE:
        raise ConfigError(Path(name), None, "a list of friends is not that long.")
    return data.decode("utf-8")


def _applied(answer: dict[str, Any]) -> str:
    would = "would be " if answer["checked"] else ""
    lines = [f"{network} {would}{verb}" for verb in ("added", "removed", "refreshed") for network in answer[verb]]
    if answer["rules"]:
        lines.insert(0, f"rules {would}loaded into {answer['backend']}")
    lines += [f"port {', '.join(map(str, one['ports']))} opened in {one['tool']}" for one in answer["opened"]]
    if not answer["changed"]:
        lines.append("nothing to change")
    lines += [f"warning: {sentence}" for sentence in answer["warnings"]]
    entries = f"{answer['entries']} entries for port {', '.join(map(str, answer['ports']))}, by {answer['backend']}"
    if answer["token"]:
        when = expiry.shown(answer["rollback_at"])
        lines.append(f"it comes back on {when} unless you type: netplay-relay gate confirm {answer['token']}")
    return "\n".join([*lines, entries])


def _confirm(gate: Gate, arguments: argparse.Namespace) -> Answer:
    from relay.gate import commit_confirm

    if commit_confirm.confirm(gate, arguments.token):
        return DONE, {"confirmed": True, "rolled_back": None, "replaced": None}, "confirmed: it stays"
    known = state.load(gate.places.state)
    mine = _of(known.rolled_back, arguments.token)
    other = _of(known.replaced, arguments.token)
    text = "no such push waits to be confirmed"
    if mine:
        text = f"too late: rolled back on {expiry.shown(mine['at'])}"
    elif other:
        text = f"replaced on {expiry.shown(other['at'])} by a push from {other['by'] or 'this host'}"
    return NOT_CONFIRMED, {"confirmed": False, "rolled_back": mine, "replaced": other}, text


def _of(noted: dict[str, Any] | None, token: str) -> dict[str, Any] | None:
    """Return what is noted of a push, None where it is about another one."""
    return noted if noted and noted["token"] == token else None


def _rollback(gate: Gate, arguments: argparse.Namespace) -> Answer:
    # All of it now: while this waits, the file it comes from may be replaced.
    from relay.gate import commit_confirm
    from relay.gate.backends import iptables, nftables  # noqa: F401 - see above

    pending = commit_confirm.load(gate.places.pending)
    token = arguments.token or (pending.token if pending else "")
    why = "it was not confirmed in time" if arguments.timer else "the owner took it back"
    done = False
    if not arguments.after or commit_confirm.wait(gate, token, arguments.after):
        # Who is locked out has nothing but this timer: it does not give up before a change that hangs.
        with state.locked(gate.places.lock, patience=commit_confirm.LONGEST if arguments.timer else state.PATIENCE):
            done = commit_confirm.roll_back(gate, token, why)
    text = "rolled back: the list before it is in force again" if done else "nothing waits to be rolled back"
    return DONE, {"rolled_back": done}, text


def _status(gate: Gate, arguments: argparse.Namespace) -> Answer:
    from relay.gate import status

    answer = status.status(gate, arguments.socket)
    return DONE, answer, status.text(answer)


def _check(gate: Gate, arguments: argparse.Namespace) -> Answer:
    from relay.gate import check

    answer = check.check(gate, arguments.subject, arguments.socket)
    codes = {"in": DONE, "out": REFUSED, "unknown": UNKNOWN}
    return codes[answer["verdict"]], answer, check.text(answer)


def _kick(gate: Gate, arguments: argparse.Namespace) -> Answer:
    from relay.gate import kick

    answer = kick.kick(gate, arguments.subject, arguments.socket)
    lines = [f"the relay ended {answer['kicked']} connections"] if answer["kicked"] is not None else [answer["problem"]]
    if answer["conntrack"] is not None:
        lines.append(f"the kernel forgot {answer['conntrack']} connections")
    return DONE if answer["kicked"] is not None else FAILED, answer, "\n".join(lines)


def _survey(gate: Gate, _: argparse.Namespace) -> Answer:
    from relay.gate import way
    from relay.gate.coexist import saved_rules
    from relay.gate.coexist.survey import Coexistence

    known = state.load(gate.places.state)
    backend = known.applied.backend if known.applied else "nftables"
    wanted = gate.wanted()
    findings = Coexistence(gate.programs, backend).survey(wanted.ports)
    entries = [entry.network for entry in gate.plan(wanted, known).entries]
    stopped = way.barriers(way.Way(gate.programs, backend), entries, wanted.ports)
    lines = [f"{one.sentence}{' To open it: ' + one.command if one.command else ''}" for one in findings]
    lines += [f"{one['sentence']}{' To open it: ' + one['command'] if one['ok'] is False else ''}" for one in stopped]
    text = "\n".join([*(lines or ["no other firewall is at work"]), *(notices := saved_rules.notices())])
    return DONE, {"firewalls": [one.as_dict() for one in findings], "friends": stopped, "saved": notices}, text


def _remove(gate: Gate, arguments: argparse.Namespace) -> Answer:
    from relay.gate import remove
    from relay.gate.coexist import saved_rules

    answer = {**remove.remove(gate, keep_config=arguments.keep_config), "saved": saved_rules.notices()}
    gone = [f"removed: {one}" for one in (*answer["rules"], *answer["closed"], *answer["files"])]
    return (
        DONE,
        answer,
        "\n".join([*(gone or ["nothing of netplay-relay was there"]), *answer["left"], *answer["saved"]]),
    )


def _agent(gate: Gate, _: argparse.Namespace) -> Answer:
    from relay.gate.agent import Agent

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    return Agent(gate).run(), {}, ""


COMMANDS = {
    "apply": _apply,
    "confirm": _confirm,
    "rollback": _rollback,
    "status": _status,
    "check": _check,
    "kick": _kick,
    "survey": _survey,
    "remove": _remove,
    "agent": _agent,
}
