"""friends.toml is edited while a deployment or another command is under way: nothing of either is lost unsaid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relay.gate import state
from toolkit.deploy import run
from toolkit.deploy.run import Request
from toolkit.errors import DEPLOY_FAILED, UserError
from toolkit.friends import commands
from toolkit.friends import push as outgoing
from toolkit.friends.edit import FriendChange, put
from toolkit.hosts import gate, inventory, target
from toolkit.hosts.inventory import Entry, HostFiles
from toolkit.hosts.login import LoginFacts
from toolkit.ssh.connection import Connection

PLACE = target.real("myvps")
ANNA = FriendChange("anna", ["203.0.113.7"])
BOB = FriendChange("bob", ["203.0.113.8"])
DONE: dict[str, Any] = {
    "changed": True, "checked": False, "rules": False, "added": [], "removed": [], "refreshed": [], "opened": [],
    "warnings": [], "others": [], "token": None,
}  # fmt: skip


@pytest.fixture
def files() -> HostFiles:
    """Return the files of a host that was deployed to."""
    found = inventory.files_of(PLACE.host)
    inventory.make_missing(found, Entry(PLACE.host))
    return found


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have what is pushed noted instead of sent anywhere."""
    texts: list[str] = []

    def push(_: object, text: str, *_more: object, **_options: object) -> dict[str, Any]:
        texts.append(text)
        return DONE

    monkeypatch.setattr(gate, "push", push)
    return texts


def deployed(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """Deploy, with a playbook that does nothing but what happens meanwhile."""
    visit = LoginFacts(Connection("myvps"), "myvps", False, "root", "127.0.0.1", False)
    monkeypatch.setattr(run.login, "visit", lambda *_: visit)
    monkeypatch.setattr(run.ansible, "play", lambda *_: meanwhile() and 0)
    monkeypatch.setattr(run.proof, "prove_from_here", lambda *_: None)
    run.deploy(PLACE, Request(friends=(("carl", "203.0.113.9"),)))


def test_who_is_added_while_a_playbook_runs_is_sent_and_stays_in_the_file(
    monkeypatch: pytest.MonkeyPatch, files: HostFiles, sent: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(monkeypatch, lambda: put(files.friends, ANNA))
    for text in (sent[-1], files.friends.read_text()):
        assert 'name = "anna"' in text
        assert 'name = "carl"' in text
    assert "was edited meanwhile; it is sent as it is now" in capsys.readouterr().out


def test_a_deployment_during_which_nothing_was_edited_says_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch, files: HostFiles, sent: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(monkeypatch, lambda: 0)
    assert sent == [files.friends.read_text()]
    assert "meanwhile" not in capsys.readouterr().out


def test_a_file_broken_while_a_playbook_runs_is_told_with_its_line_and_left_alone(
    monkeypatch: pytest.MonkeyPatch, files: HostFiles, sent: list[str]
) -> None:
    broken = '[[friend]]\nname = "anna"\nip = "203.0.113.777"\n'
    with pytest.raises(UserError, match="who gets in is as it was") as caught:
        deployed(monkeypatch, lambda: files.friends.write_text(broken))
    assert caught.value.message.startswith(f"{files.friends}:3: ")
    assert (caught.value.exit_code, sent, files.friends.read_text()) == (DEPLOY_FAILED, [], broken)


def test_an_edit_by_hand_during_a_push_is_kept_and_the_owner_told(
    monkeypatch: pytest.MonkeyPatch, files: HostFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    def push(*_: object, **_options: object) -> dict[str, Any]:
        put(files.friends, BOB)
        return DONE

    monkeypatch.setattr(gate, "push", push)
    commands.add(PLACE, ANNA)
    assert "bob" in files.friends.read_text()
    said = capsys.readouterr().out
    assert "note: " in said
    assert "was edited meanwhile and stays as it is, and the change above is not in it" in said
    assert "invoke friends.push --host myvps" in said


def test_a_change_waits_for_its_turn_and_gives_up_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, files: HostFiles, sent: list[str]
) -> None:
    patient = state.locked
    monkeypatch.setattr(outgoing.state, "locked", lambda path: patient(path, 0.0))
    with outgoing.file_lock(files.friends), pytest.raises(UserError, match="another command changes"):
        deployed(monkeypatch, lambda: 0)
    assert sent == []


def test_a_folder_that_cannot_be_written_is_a_sentence(own_configuration: Path) -> None:
    own_configuration.write_text("a file where a folder is wanted")
    with (
        pytest.raises(UserError, match=r"friends\.toml cannot be written: "),
        outgoing.file_lock(own_configuration / "x" / "friends.toml"),
    ):
        pass


def test_a_look_ahead_takes_no_lock_and_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    visit = LoginFacts(Connection("myvps"), "myvps", False, "root", "127.0.0.1", False)
    monkeypatch.setattr(run.login, "visit", lambda *_: visit)
    monkeypatch.setattr(run.ansible, "play", lambda *_: 0)
    monkeypatch.setattr(run, "_look", lambda *_: 0)
    run.deploy(PLACE, Request(check=True))
    assert not inventory.files_of(PLACE.host).friends.parent.exists()
