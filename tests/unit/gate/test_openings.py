"""What is opened in other firewalls is on the disk before the next step, and is closed again, whatever failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from relay.gate import apply as push
from relay.gate import commit_confirm, files, state
from relay.gate.apply import Push
from relay.gate.coexist.survey import Coexistence, Finding
from relay.gate.programs import ProgramError
from tests.support.gate_memory import MemoryGate, ScriptedPrograms, friend

ANNA = friend("anna", 'ip = "5.6.7.8"')
BEN = friend("ben", 'ip = "5.6.7.9"')
UFW = "Status: active\n"
OPENED = {"tool": "ufw", "ports": [55435], "where": []}


class Host(MemoryGate):
    """A host with ufw and a table of somebody's, both of which keep the port shut; ufw remembers its rules."""

    def __init__(self, folder: Path) -> None:
        """Begin without a list."""
        answers = {"ufw status": self._status, "ufw show added": self._added, "ufw allow": self._allow}
        super().__init__(folder, ScriptedPrograms({**answers, "ufw --force delete allow": self._delete}))
        self.allowed: list[str] = []
        self.then: Callable[[str], None] = lambda _: None

    def _status(self, *_: object) -> str:
        return UFW + "".join(f"{port}  ALLOW  Anywhere  # netplay-relay\n" for port in self.allowed)

    def _added(self, *_: object) -> str:
        return "".join(f"ufw allow {port} comment 'netplay-relay'\n" for port in self.allowed)

    def _allow(self, argv: Sequence[str], _: str) -> str:
        self.then(argv[2])
        self.allowed.append(argv[2])
        return ""

    def _delete(self, argv: Sequence[str], _: str) -> str:
        self.allowed.remove(argv[4])
        return ""

    def apply(self, text: str | None = ANNA, port: int = 55435, **wish: Any) -> dict[str, Any]:
        """Apply a list by settings with a port."""
        self.places.settings.write_text(f"[listen]\nport = {port}\n")
        return push.push(self, Push(text, **wish))

    def known(self) -> state.State:
        """Return what is on the disk."""
        return state.load(self.places.state)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Give a host without systemd."""
    monkeypatch.setattr(commit_confirm, "_detach", lambda _: None)
    monkeypatch.setattr(commit_confirm, "SYSTEMD", tmp_path / "no systemd")
    return Host(tmp_path)


def with_a_table(host: Host, monkeypatch: pytest.MonkeyPatch, insert: Callable[..., str]) -> None:
    """Let a table of somebody's keep the port shut as well; insert is what nft does with our rule."""
    survey = Coexistence.survey
    shut = Finding("nftables", "x", "x", [55435], where=("inet", "theirs", "input"))
    monkeypatch.setattr(Coexistence, "survey", lambda self, ports: [*survey(self, ports), shut])
    host.programs.answers["nft insert rule"] = insert  # type: ignore[attr-defined]


def test_what_cannot_be_opened_is_said_and_the_rest_is_opened(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """One firewall that refuses is no reason to leave the next one shut."""

    def refuse(_: str) -> None:
        raise ProgramError(["ufw"], 1, "ERROR: could not write")

    host.then = refuse
    with_a_table(host, monkeypatch, lambda *_: "")
    answer = host.apply()
    assert answer["warnings"] == ["ufw keeps port 55435 shut, and opening it failed: ufw: ERROR: could not write"]
    assert [record["tool"] for record in answer["opened"]] == ["nftables"]
    assert host.programs.ran[-1].startswith("nft insert rule inet theirs input ")  # type: ignore[attr-defined]


@pytest.mark.parametrize("failure", [OSError(5, "Input/output error"), ValueError("what no release has seen")])
def test_an_opening_is_on_the_disk_before_the_next_firewall_is_opened(
    host: Host, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    """Whatever becomes of the next one, the first is closed when the port is another."""
    seen: list[list[dict[str, Any]]] = []

    def insert(*_: object) -> str:
        seen.append(host.known().opened)
        raise failure

    with_a_table(host, monkeypatch, insert)
    answer = host.apply()
    assert seen == [[OPENED]]
    assert host.known().opened == [OPENED]
    assert str(failure) in " ".join(answer["warnings"])
    host.apply(port=55440)
    assert "55435" not in host.allowed


def test_what_was_being_opened_when_the_host_lost_power_is_closed_again(host: Host) -> None:
    """The firewall may have written its rule by then, and the gate had no time to say so."""

    def lose_power(port: str) -> None:
        host.allowed.append(port)
        raise KeyboardInterrupt

    host.then = lose_power
    with pytest.raises(KeyboardInterrupt):
        host.apply()
    assert host.known().opened == [], "nobody knows that yet"
    host.then = lambda _: None
    host.apply(port=55440)
    assert host.allowed == ["55440"]


def test_what_was_found_open_after_a_loss_of_power_counts_as_opened(host: Host) -> None:
    """Its name is on it."""

    def lose_power(port: str) -> None:
        host.allowed.append(port)
        raise KeyboardInterrupt

    host.then = lose_power
    with pytest.raises(KeyboardInterrupt):
        host.apply()
    host.apply(survey=True)
    assert host.known().opened == [OPENED]
    assert host.allowed == ["55435"]


def refuse_the_second(host: Host) -> None:
    """Let ufw open one port, and no other."""

    def refuse(_: str) -> None:
        if host.allowed:
            raise ProgramError(["ufw", "allow"], 1, "ERROR: could not get the lock")

    host.then = refuse


def two_rooms(host: Host, **wish: Any) -> dict[str, Any]:
    """Apply a list by settings with two ports."""
    host.places.settings.write_text('[listen]\nport = 55435\n[[room]]\nid = "FridayNightRoom1"\nport = 55436\n')
    return push.push(host, Push(ANNA, **wish))


def test_of_an_opening_that_failed_half_way_nothing_is_left_when_the_ports_are_others(host: Host) -> None:
    """It is no opening to speak of, and closed all the same."""
    refuse_the_second(host)
    answer = two_rooms(host)
    assert host.allowed == ["55435"]
    assert "opening it failed: ufw: ERROR: could not get the lock" in " ".join(answer["warnings"])
    assert host.known().opened == []
    host.then = lambda _: None
    host.apply(port=55440)
    assert host.allowed == ["55440"]


def test_of_an_opening_that_failed_half_way_nothing_is_left_when_its_push_comes_back(host: Host) -> None:
    """The timer looks at what may be open, not at what is open for sure."""
    host.then = lambda _: None
    refuse_the_second(host)
    token = two_rooms(host, rollback_after=60)["token"]
    assert host.allowed == ["55435"]
    assert commit_confirm.roll_back(host, token, "late")
    assert host.allowed == []


def test_where_nothing_can_be_written_down_nothing_is_opened(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """An opening that nobody remembers would stay for good."""
    write = files.write

    def full(path: Path, text: str | None, like: Path | None = None) -> bool:
        if path == host.places.state and json.loads(text or "{}").get("opening"):
            raise OSError(28, "No space left on device")
        return write(path, text, like)

    monkeypatch.setattr(files, "write", full)
    answer = host.apply()
    assert host.allowed == []
    assert host.known().opened == []
    assert "ufw keeps port 55435 shut, and is not opened, for that cannot be written down: " in answer["warnings"][0]


def test_a_push_whose_list_cannot_be_written_leaves_nothing_open(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way back closes what was opened, or it was not opened yet."""
    write = files.write

    def full(path: Path, text: str | None, like: Path | None = None) -> bool:
        if path == host.places.friends and text is not None:
            raise OSError(28, "No space left on device")
        return write(path, text, like)

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(OSError, match="No space"):
        host.apply(rollback_after=60)
    assert host.allowed == []
    assert host.known().opened == []


def test_of_two_ports_the_one_that_is_kept_stays_known(host: Host) -> None:
    """It is closed when its time has come, too."""
    two_rooms(host)
    assert host.allowed == ["55435", "55436"]
    host.apply(port=55436)
    assert host.allowed == ["55436"]
    assert host.known().opened == [{"tool": "ufw", "ports": [55436], "where": []}]
    host.apply(port=55440)
    assert host.allowed == ["55440"]
