"""A list of friends on its way from the owner's machine to the host: what is sent, and what was sent last."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relay.gate import state
from relay.gate.policy import expiry, friends
from relay.gate.policy import plan as gateplan
from toolkit.console import say, short, step
from toolkit.errors import DEPLOY_FAILED, HOST_UNUSABLE, UserError
from toolkit.friends import edit
from toolkit.friends.parse import parse
from toolkit.hosts import gate, inventory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toolkit.hosts.remote import Remote


@dataclass(frozen=True, slots=True)
class FriendsPush:
    """What is sent to the host, checked.

    source: the owner's text it was made from; file: the owner's file, which mistakes name; read: what that file held
    when the change was made to it; over: friends left out, because their time has come since it was sent last;
    known: names of the friends that were sent last.
    """

    text: str
    source: str
    file: Path
    read: str
    over: tuple[str, ...] = ()
    known: tuple[str, ...] = ()

    @classmethod
    def of(cls, source: Path, file: Path, now: float) -> FriendsPush:
        """Read what is to be sent from source. Raises UserError."""
        return cls.of_text(source.read_text(encoding="utf-8"), file, now)

    @classmethod
    def of_text(cls, text: str, file: Path, now: float, read: str | None = None) -> FriendsPush:
        """Check a text; now is in seconds since 1970; read: what the file held, if not that. Raises UserError."""
        before = _sent(file).read_text(encoding="utf-8") if _sent(file).exists() else ""
        left, over = edit.sendable(text, file, before, now)
        known = tuple(friend.name for friend in parse(before, file))
        return cls(left, text, file, text if read is None else read, tuple(friend.name for friend in over), known)

    def refreshed(self, now: float) -> FriendsPush:
        """Return the list as its owner has it after a playbook, which takes long enough for them to edit the file.

        now is in seconds since 1970. Raises UserError where it is broken by now.
        """
        found = _held(self.file)
        if found is None or found == self.source:
            return self
        step("friends", f"{short(self.file)} was edited meanwhile; it is sent as it is now")
        try:
            return self.of_text(found, self.file, now)
        except UserError as error:
            stays = "The release and relay.toml were installed; who gets in is as it was"
            raise UserError(f"{error.message}. {stays}", fix=error.fix, exit_code=DEPLOY_FAILED) from None

    def push(self, remote: Remote, *, survey: bool = False, also: Sequence[str] | None = ()) -> int:
        """Make it the host's list and the owner's file, confirm, say what changed; return 1 when something did.

        A file that was edited meanwhile stays as it is, and that is said. survey: have other firewalls looked at too.
        also: friends of another owner who may be removed, too (None: all); others are a gate.TheirsError. Raises
        UserError; then the owner's file is as it was.
        """
        known = None if also is None else [*self.known, *also]
        answer = gate.push(remote, self.text, self.file, survey=survey, known=known)
        edited = _held(self.file) not in (None, self.read, self.source)
        for file in (_sent(self.file), *(() if edited else (self.file,))):
            if _held(file) != self.source:
                inventory.write(file, self.source)
        gate.tell(answer)
        if edited:
            self._tell_edited(remote)
        for name in self.over:
            say(f"note: the time of {name} is over. To take the entry out: invoke friends.remove {name!r}")
        return int(answer["changed"])

    def _tell_edited(self, remote: Remote) -> None:
        lost = ", and the change above is not in it" if self.source != self.read else ""
        say(
            f"note: {short(self.file)} was edited meanwhile and stays as it is{lost}. Look at it, then: "
            f"invoke friends.push{remote.place.option}"
        )

    def look(self, remote: Remote) -> dict[str, Any] | None:
        """Return what a push would change; None on a host without a gate. Raises UserError."""
        try:
            return gate.look(remote, self.text, self.file)
        except UserError as error:
            if error.exit_code == HOST_UNUSABLE:
                return None
            raise


def tell_plan(listed: Sequence[friends.Friend], now: float) -> None:
    """Print whom a list would let in on a host that has none yet; now in seconds since 1970."""
    made = gateplan.make(listed, {}, now)
    for entry in made.entries:
        until = f" until {expiry.shown(entry.until)}" if entry.until is not None else ""
        step("gate", f"{entry.network} would be let in ({', '.join(entry.friends)}{until})")
    for friend, name in made.unresolved:
        step("gate", f"what {name} stands for would be let in ({friend.name})")
    for sentence in made.warnings:
        say(f"note: {sentence}")


@contextmanager
def file_lock(file: Path) -> Iterator[None]:
    """Let no other command change a friends.toml meanwhile: one of two changes would be lost. Raises UserError."""
    with ExitStack() as held:
        try:
            held.enter_context(state.locked(file.with_name(".lock")))
        except state.BusyError:
            raise UserError(f"another command changes {file}", fix="Try again in a moment.") from None
        except OSError as error:
            raise inventory.unwritable(file, error) from None
        yield


def _held(file: Path) -> str | None:
    """Return what a file holds; None where there is none."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _sent(file: Path) -> Path:
    """Return where a copy is kept of what was sent last: an end in it was no mistake, also once it is over."""
    return file.with_name(".sent.toml")
