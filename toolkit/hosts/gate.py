"""The gate on a host, from the owner's machine: change who gets in with a way back, ask who does and why.

A change goes in over one login and is armed to come back by itself; a second login of its own, as whoever returns
tomorrow makes one, confirms it. Nothing here runs a playbook.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from relay.gate import others
from toolkit.console import say, step
from toolkit.errors import DEPLOY_FAILED, HOST_UNUSABLE, ROLLED_BACK, UserError
from toolkit.hosts.remote import Remote
from toolkit.ssh import answers, replies
from toolkit.ssh.bounded import Done
from toolkit.ssh.connection import Connection
from toolkit.ssh.shapes import Shape, record

# Seconds: until a push that nobody confirms comes back; for the confirmation, login and all; what a timer may be late.
# A host that counts logins (ufw limit: six within 30 s) lets another one in before the push comes back.
WAY_BACK = 45
CONFIRM = 20
LATE = 5
# When a login that is to confirm is tried, in seconds after the first, and how long a way in is waited for: seldom,
# since refused ones are counted, too, and each packet of one that is not answered.
ATTEMPTS = (0, 3, 34)
CONNECT = 8
# Exit codes of the program over there (relay/gate/cli.py): it failed; a mistake of the owner's; check says no, or does
# not know; a list that would remove friends of another owner.
FAILED, MISTAKE, NOT_CONFIRMED, REFUSED, UNKNOWN, THEIRS = 1, 2, 4, 5, 6, 7
SHOWN = 20
LIMITS = (
    "\nIf you can: does something on {alias} count logins (ufw limit, fail2ban, sshd's MaxStartups and "
    "PerSourcePenalties)? Wait a minute, then type the same command again."
)


class TheirsError(UserError):
    """The host's list has friends that a push would remove and its machine does not know: another owner's.

    friends: these, as the host tells them; digest: of the host's list.
    """

    def __init__(self, remote: Remote, theirs: dict[str, Any]) -> None:
        self.friends, self.digest = theirs["friends"], theirs["digest"]
        names = ", ".join(one["name"] for one in self.friends[:SHOWN]) + (", ..." if len(self.friends) > SHOWN else "")
        option = remote.place.option
        super().__init__(
            f"{remote.link.alias} lets in friends that this machine does not know: {names}. Another owner added them, "
            "and your list would remove them, so nothing was changed",
            fix=f"Take them over into your list: invoke friends.push --keep-theirs{option}\n"
            f"Or remove them: invoke friends.push --drop-theirs{option}\nThen type the same command again.",
            exit_code=ROLLED_BACK,
        )


def push(
    remote: Remote, text: str, shown_as: Path, *, survey: bool = False, known: Sequence[str] | None = None
) -> dict[str, Any]:
    """Make text the host's friends.toml; return what that changed (relay/gate/cli.py, apply).

    known: names of the friends that this machine knows to be on the host, which a push may remove (None: everybody).
    Raises TheirsError for others that it would remove.

    shown_as: the owner's file, for mistakes in it. survey: look at other firewalls too, which may take a second. Raises
    UserError: of a mistake before anything is touched; with ROLLED_BACK when the change could not be confirmed, and
    then the list before it is in force again; with HOST_UNUSABLE when the host was lost and whether it stands is not
    known.
    """
    look_around = ["--survey"] if survey else []
    arguments = _apply(shown_as, "--rollback-after", str(WAY_BACK), *look_around)
    base = [] if known is None else ["--based-on", others.digest(known)]
    try:
        answer = ask(remote, [*arguments, *base], text, login=True)
    except TheirsError as error:
        if {one["name"] for one in error.friends} - set(known or ()):
            raise
        answer = ask(remote, [*arguments, "--based-on", error.digest], text, login=True)
    if answer["token"]:
        _confirm(remote, answer["token"], time.monotonic() + WAY_BACK)
    return answer


def look(remote: Remote, text: str, shown_as: Path) -> dict[str, Any]:
    """Return what a push would change. Raises UserError."""
    return ask(remote, _apply(shown_as, "--check"), text)


def ask(
    remote: Remote,
    arguments: Sequence[str],
    text: str = "",
    good: Sequence[int] = (0,),
    *,
    login: bool = False,
    shape: Shape | None = None,
) -> dict[str, Any]:
    """Run `netplay-relay gate` on the host; return its answer. Raises UserError in its own words when it refused.

    good: exit codes that are no failure. shape: of the answer, if not all of it is wanted. login: tell it the login
    this comes by, whose port is never to be filtered; one that ends before the answer is said to have been sent.
    """
    try:
        done = remote.run(["gate", arguments[0], "--json", *arguments[1:]], text, login=login)
    except UserError as error:
        raise (_cut_off(remote, error) if login and error.begun else error) from None
    answer = answers.find(done.stdout)
    if answer is None:
        if login and done.returncode < 0:
            raise _cut_off(remote, remote.failed(done))
        if done.returncode == 0:
            remote.refuse(answers.NONE)
        old = "invalid choice: 'gate'" in done.stderr or "unrecognized arguments: --based-on" in done.stderr
        raise _too_old(remote) if old else remote.failed(done)
    if done.returncode == THEIRS and answer.get("others"):
        raise TheirsError(remote, dict(remote.shaped(done.stdout, replies.REFUSED)["others"]))
    if answer.get("error"):
        raise _refused(remote, remote.shaped(done.stdout, replies.MISTAKE)["error"], done.returncode)
    if done.returncode not in good:
        raise remote.failed(done)
    return dict(remote.shaped(done.stdout, shape or replies.OF_GATE[arguments[0]]))


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
    """Keep a push, over a login of its own. Raises UserError if it was rolled back, or may have been.

    A login that does not come about is tried again while the way back is open: a host that counts logins refuses one
    too many for a while. end: when the host takes the push back by itself, in monotonic seconds.
    """
    alone = Connection(remote.link.alias, remote.link.user, remote.link.config, connect_seconds=CONNECT)
    again = Remote(remote.place, alone, remote.become, remote.password)
    begun, why, refused = time.monotonic(), "", False
    for attempt in ATTEMPTS:
        if attempt:
            step("gate", f"no new login came about; another is tried within {begun + attempt - time.monotonic():.0f} s")
            time.sleep(max(0.0, begun + attempt - time.monotonic()))
        try:
            done = again.run(
                ["gate", "confirm", token, "--json"], seconds=max(1.0, min(CONFIRM, end - time.monotonic()))
            )
        except UserError as error:
            why, refused = error.message, True
            continue
        if done.returncode == 0:
            return
        if other := _replaced(done):
            raise _beaten(remote, other)
        why, refused = f"on {remote.link.alias}: {remote.said(done)}", False
        break
    taken_back = _is_taken_back(remote, again, token, end + LATE)
    if taken_back is None:
        raise _not_known(remote, why)
    if taken_back:
        limits = LIMITS.format(alias=remote.link.alias) if refused else ""
        raise UserError(
            f"the change on {remote.link.alias} could not be confirmed over a new login ({why}), so it was taken back: "
            "the list before it is in force again",
            fix=f"Can you still log in? {remote.link.typed}{limits}",
            exit_code=ROLLED_BACK,
        )


def _replaced(done: Done) -> str:
    """Return who pushed in place of a push that was not confirmed yet, "" where nobody did, or that is not known."""
    if done.returncode != NOT_CONFIRMED:
        return ""
    try:
        replaced = answers.read(done.stdout, replies.NOT_CONFIRMED).get("replaced")
    except answers.BrokenAnswerError:
        return ""
    if not replaced:
        return ""
    return f"another owner ({replaced['by']})" if replaced["by"] else "somebody on the host"


def _beaten(remote: Remote, other: str) -> UserError:
    """Return the error for a push that another owner's replaced before it was confirmed."""
    return UserError(
        f"{other} changed who gets in on {remote.link.alias} at the same moment, and was first: that list is in "
        "force, and your friends.toml is as it was",
        fix=f"See what is in force: invoke friends.list{remote.place.option}\nThen type the same command again.",
        exit_code=ROLLED_BACK,
    )


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
    known = ask(remote, ["status"], shape=record({"rolled_back": replies.TAKEN_BACK}))["rolled_back"]
    return known is not None and bool(known["token"] == token)


def _not_known(remote: Remote, why: str) -> UserError:
    return UserError(
        f"the change was sent to {remote.link.alias}, and then the host was lost ({why}): whether it is in force is "
        "not known, and your friends.toml is as it was",
        fix="Type the same command again when the host can be reached: it makes host and file agree either way.\n"
        f"Until then, who is let in: invoke friends.list{remote.place.option}",
        exit_code=HOST_UNUSABLE,
    )


def _cut_off(remote: Remote, error: UserError) -> UserError:
    """Return the error for a login that ended while a push was on its way."""
    return UserError(
        f"the change was sent to {remote.link.alias}, and then the login ended ({error.message}): if it is in force "
        f"there, the host takes it back by itself within {WAY_BACK} s, and your friends.toml is as it was",
        fix=f"Type the same command again after {WAY_BACK} s: it makes host and file agree.\n"
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
