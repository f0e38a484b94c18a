"""Whom friends.remove --kick ends, and what it says when it ends nobody."""

from __future__ import annotations

from typing import Any

import pytest

from toolkit.errors import DEPLOY_FAILED, UserError
from toolkit.friends import commands
from toolkit.friends.edit import FriendChange, wished
from toolkit.hosts import gate, inventory, target
from toolkit.hosts.inventory import Entry

PLACE = target.real("myvps")
OVER = 1_600_000_000
DONE: dict[str, Any] = {
    "changed": True, "checked": False, "rules": False, "added": [], "removed": [], "refreshed": [], "opened": [],
    "warnings": [], "others": [], "token": None,
}  # fmt: skip


def let_in(network: str, *friends: str) -> dict[str, Any]:
    """Return an entry as the host's status has it."""
    return {"network": network, "friends": list(friends)}


class Host:
    """A host that answers the gate's commands: what its status says, what its kick answers, who was kicked."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = {"entries": [], "names": {}}
        self.kick: dict[str, Any] = {"kicked": 1, "problem": ""}
        self.kicked: list[str] = []
        self.pushed: list[str] = []

    def ask(self, _: object, arguments: list[str], text: str = "", good: tuple[int, ...] = (0,)) -> dict[str, Any]:
        """Answer as toolkit.hosts.gate.ask does."""
        if arguments[0] == "status":
            return self.status
        assert arguments[0] == "kick"
        self.kicked.append(arguments[1])
        if self.kick["kicked"] is None and 1 not in good:
            raise UserError("on myvps: {...}", exit_code=DEPLOY_FAILED)
        return self.kick

    def push(self, _: object, text: str, *_more: object, **_options: object) -> dict[str, Any]:
        """Take a list as toolkit.hosts.gate.push does."""
        self.pushed.append(text)
        return DONE


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host()
    monkeypatch.setattr(gate, "ask", made.ask)
    monkeypatch.setattr(gate, "push", made.push)
    return made


def listed(*wishes: FriendChange) -> None:
    """Write the owner's friends.toml."""
    files = inventory.files_of(PLACE.host)
    inventory.make_missing(files, Entry(PLACE.host))
    text = files.friends.read_text()
    for wish in wishes:
        text = wished(text, files.friends, wish)
    files.friends.write_text(text)
    files.friends.with_name(".sent.toml").write_text(text)


def test_who_is_let_in_alone_by_an_address_is_kicked_there(host: Host) -> None:
    listed(FriendChange("anna", ["203.0.113.7"]), FriendChange("ben", ["203.0.113.8"]))
    host.status["entries"] = [let_in("203.0.113.7/32", "anna"), let_in("203.0.113.8/32", "ben")]
    commands.remove(PLACE, "ben", kick=True)
    assert host.kicked == ["203.0.113.8/32"]
    assert "ben" not in host.pushed[-1]


def test_a_friend_whose_time_is_over_and_who_plays_on_is_kicked(host: Host) -> None:
    listed(FriendChange("ben", ["203.0.113.8"], until=OVER))
    host.status["expired"] = [{"friend": "ben", "until": OVER}]
    commands.remove(PLACE, "ben", kick=True)
    assert host.kicked == ["203.0.113.8/32"]


def test_a_friend_whose_time_is_over_is_kicked_at_what_his_name_stood_for(host: Host) -> None:
    listed(FriendChange("ben", names=["ben.example.org"], until=OVER))
    host.status["names"] = {"ben.example.org": {"addresses": ["203.0.113.9/32"]}}
    commands.remove(PLACE, "ben", kick=True)
    assert host.kicked == ["203.0.113.9/32"]


def test_an_address_of_two_is_left_alone_and_that_is_said(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    listed(FriendChange("anna", ["203.0.113.7"]), FriendChange("ben", ["203.0.113.7", "203.0.113.8"]))
    host.status["entries"] = [let_in("203.0.113.7/32", "ben"), let_in("203.0.113.8/32", "ben", "cara")]
    commands.remove(PLACE, "ben", kick=True)
    assert host.kicked == []
    said = capsys.readouterr().out
    assert "nobody was kicked at 203.0.113.7/32: it is anna's address, too" in said
    assert "nobody was kicked at 203.0.113.8/32: it is cara's address, too" in said


@pytest.mark.parametrize(("gone", "stays"), [("anna", "ben"), ("ben", "anna")])
def test_a_network_that_holds_another_friends_address_is_left_alone(
    host: Host, capsys: pytest.CaptureFixture[str], gone: str, stays: str
) -> None:
    listed(
        FriendChange("anna", ["203.0.113.0/24", "198.51.100.1"]), FriendChange("ben", ["203.0.113.7", "198.51.100.1"])
    )
    host.status["entries"] = [let_in("203.0.113.0/24", "anna"), let_in("203.0.113.7/32", "ben")]
    commands.remove(PLACE, gone, kick=True)
    assert host.kicked == []
    assert f"it is {stays}'s address, too" in capsys.readouterr().out


def test_who_may_not_play_any_more_keeps_nobody_from_being_kicked(host: Host) -> None:
    listed(FriendChange("anna", ["203.0.113.0/24"], until=OVER), FriendChange("ben", ["203.0.113.7", "2001:db8::/64"]))
    host.status["entries"] = [let_in("203.0.113.7/32", "ben"), let_in("2001:db8::/64", "ben")]
    commands.remove(PLACE, "ben", kick=True)
    assert sorted(host.kicked) == ["2001:db8::/64", "203.0.113.7/32"]


def test_that_no_address_is_known_is_said(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    listed(FriendChange("ben", names=["ben.example.org"]))
    commands.remove(PLACE, "ben", kick=True)
    assert "nobody was kicked: no address of ben is known" in capsys.readouterr().out


def test_a_kick_that_fails_is_told_in_a_sentence_after_the_removal(host: Host) -> None:
    listed(FriendChange("ben", ["203.0.113.8"]))
    host.kick = {"kicked": None, "problem": "the relay does not run, or has no socket at /run/x", "conntrack": None}
    with pytest.raises(UserError, match="the relay does not run, or has no socket at /run/x") as caught:
        commands.remove(PLACE, "ben", kick=True)
    assert "ben is let in no more on myvps, but nobody was kicked" in caught.value.message
    assert "{" not in str(caught.value)
    assert (caught.value.exit_code, bool(caught.value.fix)) == (DEPLOY_FAILED, True)
    assert "ben" not in inventory.files_of(PLACE.host).friends.read_text()
