"""Friends whom another owner added: taken over into friends.toml, removed where that is said, never lost unsaid."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.toolkit.test_edited_meanwhile import ANNA, DONE, PLACE
from toolkit.errors import UserError
from toolkit.friends import commands
from toolkit.hosts import gate, inventory
from toolkit.hosts.inventory import Entry, HostFiles

BEN = {"name": "ben", "ip": ["203.0.113.9/32"], "dns": [], "until": None, "note": "theirs"}
OVER = {"name": "old", "ip": ["203.0.113.10/32"], "dns": [], "until": 5, "note": ""}


class Host:
    """A host on whose list are friends of another owner: it refuses a list without those that are not known."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def push(self, remote: Any, text: str, *_: object, known: Any = None, **_options: object) -> dict[str, Any]:
        theirs = [one for one in (BEN, OVER) if str(one["name"]) not in text]
        if known is not None and {one["name"] for one in theirs} - set(known):
            raise gate.TheirsError(remote, {"digest": "abcd", "friends": theirs})
        self.texts.append(text)
        return DONE


@pytest.fixture
def files() -> HostFiles:
    found = inventory.files_of(PLACE.host)
    inventory.make_missing(found, Entry(PLACE.host))
    return found


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, files: HostFiles) -> Host:
    assert files.friends.exists()
    made = Host()
    monkeypatch.setattr(gate, "push", made.push)
    return made


def test_an_older_list_does_not_remove_them(host: Host, files: HostFiles) -> None:
    before = files.friends.read_text()
    with pytest.raises(UserError, match="does not know: ben, old"):
        commands.add(PLACE, ANNA)
    assert (host.texts, files.friends.read_text()) == ([], before)


def test_they_are_taken_over_and_then_the_same_command_works(host: Host, files: HostFiles) -> None:
    commands.push(PLACE, keep=True)
    for text in (host.texts[-1], files.friends.read_text()):
        assert 'name = "ben"\nip = "203.0.113.9/32"\nnote = "theirs"' in text
        assert '"old"' not in text


def test_they_are_removed_where_that_is_said(host: Host) -> None:
    commands.push(PLACE, drop=True)
    assert "ben" not in host.texts[-1]


def test_both_at_once_are_refused() -> None:
    with pytest.raises(UserError, match="both given"):
        commands.push(PLACE, keep=True, drop=True)
