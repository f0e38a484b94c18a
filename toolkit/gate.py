"""The gate on a host, from the owner's machine: change who gets in with a way back, ask who does and why.

A change goes in over one login and is armed to come back by itself; a second login of its own, as whoever returns
tomorrow makes one, confirms it. Nothing here runs a playbook.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from toolkit import answers
from toolkit.console import say, step
from toolkit.errors import DEPLOY_FAILED, HOST_UNUSABLE, ROLLED_BACK, UserError
from toolkit.remote import Remote
from toolkit.ssh import Connection

# Seconds: until a push that nobody confirms comes back; for the confirmation, login and all; what a timer may be late.
WAY_BACK = 30
CONFIRM = 20
LATE = 5
# Exit codes of the program over there (relay/gate/cli.py): it failed; a mistake of the owner's; check says no, or does
# not know.
FAILED, MISTAKE, NOT_CONFIRMED, REFUSED, UNKNOWN = 1, 2, 4, 5, 6
SHOWN = 20


def push(remote: Remote, text: str, shown_as: Path, *, survey: bool = False) -> dict[str, Any]:
    """Make text the host's friends.toml; return what that changed (relay/gate/cli.py, apply).

    shown_as: the owner's file, for mistakes in it. survey: look at other firewalls too, which may take a second. Raises
    UserError: of a mistake before anything is touched; with ROLLED_BACK when the change could not be confirmed, and
    then what stood before stands again; with HOST_UNUSABLE when the host was lost and whether it stands is not known.
    """
    look_around = ["--survey"] if survey else []
    answer = ask(remote, _apply(shown_as, "--rollback-after", str(WAY_BACK), *look_around), text, login=True)
    if answer["token"]:
        _confirm(remote, answer["token"], time.monotonic() + WAY_BACK + LATE)
    return answer


def look(remote: Remote, text: str, shown_as: Path) -> dict[str, Any]:
    """Return what a push would change. Raises UserError."""
    return ask(remote, _apply(shown_as, "--check"), text)


def ask(
    remote: Remote, arguments: Sequence[str], text: str = "", good: Sequence[int] = (0,), *, login: bool = False
) -> dict[str, Any]:
    """Run `netplay-relay gate` on the host; return its answer. Raises UserError in its own words when it refused.

    good: exit codes that are no failure. login: tell it the login this comes by, whose port is never to be filtered.
    """
    done = remote.run(["gate", arguments[0], "--json", *arguments[1:]], text, login=login)
    answer = answers.find(done.stdout)
    if answer is None:
        raise _too_old(remote) if "invalid choice: 'gate'" in done.stderr else remote.failed(done)
    if error := answer.get("error"):
        raise _refused(remote, error, done.returncode)
    if done.returncode not in good:
        raise remote.failed(done)
    return dict(answer)


def tell(answer: dict[str, Any]) -> None:
    """Print what a push changed or would change, and what the owner should know."""
    would = "would be " if answer["checked"] else ""
    if answer["rules"]:
        step("gate", f"rules for port {', '.join(map(str, answer['ports']))} {would}loaded into {answer['backend']}")
    for verb, word in (("added", "let in"), ("removed", "kept out"), ("refreshed", "given another end")):
        networks = answer[verb]
        more = f" and {len(networks) - SHOWN} more" if len(networks) > SHOWN else ""
        if networks:
            step("gate", f"{', '.join(networks[:SHOWN])}{more} {would}{word}")
    for opened in answer["opened"]:
        step("gate", f"port {', '.join(map(str, opened['ports']))} {would}opened in {opened['tool']}")
    if not answer["changed"]:
        step("gate", "nothing to change")
    elif not any(answer[key] for key in ("rules", "added", "removed", "refreshed", "opened")):
        step("gate", f"the list {would or 'is '}written; nobody else gets in or is kept out by it")
    remarks(answer)


def remarks(answer: dict[str, Any]) -> None:
    """Print what the gate says of addresses, names and other firewalls."""
    for sentence in [*answer["warnings"], *answer["others"]]:
        say(f"note: {sentence}")


def _apply(shown_as: Path, *options: str) -> list[str]:
    return ["apply", "--friends", "-", "--shown-as", str(shown_as), *options]


def _confirm(remote: Remote, token: str, end: float) -> None:
    """Keep a push, over a login of its own. Raises UserError once what stood before stands again, or is not known to.

    end: when the host has taken it back by itself, in monotonic seconds.
    """
    alone = Connection(remote.link.alias, remote.link.user, remote.link.config)
    again = Remote(remote.place, alone, remote.become, remote.password, anew=True)
    other = ""
    try:
        done = again.run(["gate", "confirm", token, "--json"], seconds=CONFIRM)
        other = _replaced(done)
        why = "" if done.returncode == 0 else f"on {remote.link.alias}: {remote.said(done)}"
    except UserError as error:
        why = error.message
    if not why:
        return
    if other:
        raise UserError(
            f"{other} changed who gets in on {remote.link.alias} at the same moment, and was first: that list is in "
            "force, and your friends.toml is as it was",
            fix=f"See what is in force: invoke friends.list{remote.place.option}\nThen type the same command again.",
            exit_code=ROLLED_BACK,
        )
    taken_back = _is_taken_back(remote, again, token, end)
    if taken_back is None:
        raise _not_known(remote, why)
    if taken_back:
        raise UserError(
            f"the change on {remote.link.alias} could not be confirmed over a new login ({why}), so it was taken back: "
            "what stood before stands again",
            fix=f"Can you still log in? {remote.link.typed}",
            exit_code=ROLLED_BACK,
        )


def _replaced(done: subprocess.CompletedProcess[str]) -> str:
    """Return who pushed in place of a push that was not confirmed yet, "" where nobody did, or that is not known."""
    answer = answers.find(done.stdout) if done.returncode == NOT_CONFIRMED else None
    replaced = (answer or {}).get("replaced")
    if not replaced:
        return ""
    return f"another owner ({replaced['by']})" if replaced["by"] else "somebody on the host"


def _is_taken_back(remote: Remote, again: Remote, token: str, end: float) -> bool | None:
    """Return once what stood before a push stands again; False when its confirmation came through after all.

    If the login that pushed does not work any more either, the end is waited for and the host is asked over a new one,
    again; None when it does not answer then. The confirmation may have been done there, and its answer lost.
    """
    with suppress(UserError):
        return _takes_back(remote, token)
    time.sleep(max(0.0, end - time.monotonic()))
    with suppress(UserError):
        return _takes_back(again, token)
    return None


def _takes_back(remote: Remote, token: str) -> bool:
    """Have a push taken back if it waits still; tell whether it was, now or before. Raises UserError."""
    if ask(remote, ["rollback", token])["rolled_back"]:
        return True
    known = ask(remote, ["status"])["rolled_back"]
    return known is not None and bool(known["token"] == token)


def _not_known(remote: Remote, why: str) -> UserError:
    return UserError(
        f"the change was sent to {remote.link.alias}, and then the host was lost ({why}): whether it is in force is "
        "not known, and your friends.toml is as it was",
        fix="Type the same command again when the host can be reached: it makes host and file agree either way.\n"
        f"Until then, who is let in: invoke friends.list{remote.place.option}",
        exit_code=HOST_UNUSABLE,
    )


def _refused(remote: Remote, error: dict[str, Any], code: int) -> UserError:
    """Return what the program over there refused with: of the owner's file by file and line, else by the host."""
    where = f"{error['file']}:{error['line']}: " if error["line"] else f"{error['file']}: " if error["file"] else ""
    if code == MISTAKE:
        fix = error["fix"] or "Mend that, then run the same command again."
        return UserError(f"{where or f'on {remote.link.alias}: '}{error['message']}", fix=fix)
    fix = error["fix"] or f"Nothing was changed. Look at it by hand: {remote.link.typed}"
    return UserError(f"on {remote.link.alias}: {error['message']}", fix=fix, exit_code=DEPLOY_FAILED)


def _too_old(remote: Remote) -> UserError:
    return UserError(
        f"the relay on {remote.link.alias} is older than its gate",
        fix=f"Bring it up to date: invoke deploy{remote.place.option}",
        exit_code=HOST_UNUSABLE,
    )
