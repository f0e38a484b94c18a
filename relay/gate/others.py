"""Friends on the host's list that whoever pushes does not know: another owner's, which the push would remove.

A push says by a digest which friends its machine knew to be on the host. Where the host has others, and the push does
not name them, it is refused with them; the machine either takes them over, or knows them and says so by a new digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from relay.gate import files
from relay.gate.policy import friends as friendslist
from relay.gate.policy.friends import Friend
from relay.tomlfile import ConfigError


class OthersError(Exception):
    """A push would remove friends that it is not known to know; str() is a sentence.

    friends: these. digest: of the list that the host has now.
    """

    def __init__(self, friends: list[Friend], digest: str) -> None:
        names = ", ".join(friend.name for friend in friends)
        super().__init__(f"the list of this host has friends that the new one would remove unseen: {names}")
        self.friends = friends
        self.digest = digest

    def told(self) -> dict[str, Any]:
        """Return them as JSON can hold it."""
        return {
            "digest": self.digest,
            "friends": [
                {
                    "name": one.name,
                    "ip": [str(network) for network in one.addresses],
                    "dns": list(one.names),
                    "until": one.until,
                    "note": one.note,
                }
                for one in self.friends
            ],
        }


def digest(names: Iterable[str]) -> str:
    """Return what tells one set of friends' names from another."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:32]


def refuse(path: Path, applied: str | None, pushed: Iterable[Friend], based_on: str) -> None:
    """Raise OthersError where a push would remove friends and is not based on the host's list.

    path: of the host's list; applied: what was applied of it last, which counts where it is broken.
    """
    held = _held(path, applied)
    names = {friend.name for friend in pushed}
    lost = [friend for friend in held if friend.name not in names]
    now = digest(friend.name for friend in held)
    if lost and now != based_on:
        raise OthersError(lost, now)


def _held(path: Path, applied: str | None) -> list[Friend]:
    for text in (files.read(path), applied):
        try:
            return friendslist.parse(text or "", path)
        except ConfigError:
            continue
    return []
