"""A list of friends on its way from the owner's machine to the host: what is sent, and what was sent last."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relay.gate import expiry, friends
from relay.gate import plan as gateplan
from toolkit import friends_edit, gate, inventory
from toolkit.console import say, step
from toolkit.errors import HOST_UNUSABLE, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.remote import Remote


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is sent to the host, checked.

    source: the owner's text it was made from; file: the owner's file, which mistakes name; over: friends left out,
    because their time has come since it was sent last.
    """

    text: str
    source: str
    file: Path
    over: tuple[str, ...] = ()

    @classmethod
    def of(cls, source: Path, file: Path, now: float) -> Outgoing:
        """Read what is to be sent from source. Raises UserError."""
        return cls.of_text(source.read_text(encoding="utf-8"), file, now)

    @classmethod
    def of_text(cls, text: str, file: Path, now: float) -> Outgoing:
        """Check a text; now is in seconds since 1970. Raises UserError."""
        before = _sent(file).read_text(encoding="utf-8") if _sent(file).exists() else ""
        left, over = friends_edit.sendable(text, file, before, now)
        return cls(left, text, file, tuple(friend.name for friend in over))

    def push(self, remote: Remote, *, survey: bool = False) -> int:
        """Make it the host's list and the owner's file, confirm, say what changed; return 1 when something did.

        survey: have other firewalls looked at too. Raises UserError; then the owner's file is as it was.
        """
        answer = gate.push(remote, self.text, self.file, survey=survey)
        for file in (self.file, _sent(self.file)):
            if not file.exists() or file.read_text(encoding="utf-8") != self.source:
                inventory.write(file, self.source)
        gate.tell(answer)
        for name in self.over:
            say(f"note: the time of {name} is over. To take the entry out: invoke friends.remove {name!r}")
        return int(answer["changed"])

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


def _sent(file: Path) -> Path:
    """Return where a copy is kept of what was sent last: an end in it was no mistake, also once it is over."""
    return file.with_name(".sent.toml")
