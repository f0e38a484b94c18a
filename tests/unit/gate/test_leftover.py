"""The packet filter used before: what it holds of ours is said, and tried to be taken away, until it is gone."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from relay.gate import apply as push
from relay.gate import check, commit_confirm, previous_backend, state, status
from relay.gate.agent import Agent
from relay.gate.apply import Push
from relay.gate.backends.base import Backend, FilterError
from relay.gate.gate import Gate
from relay.gate.programs import ProgramError
from relay.gate.remove import remove
from relay.gate.state import Applied, State
from tests.support.gate_memory import MemoryGate, ScriptedPrograms, friend

ANNA = friend("anna", 'ip = "5.6.7.8"')
BEN = friend("ben", 'ip = "5.6.7.9"')
BEGINNING = "what iptables held of netplay-relay could not be removed"


class Host(MemoryGate):
    """A host that was filtered by iptables, with anna alone in its rules, and is by nftables now (in memory)."""

    def __init__(self, folder: Path) -> None:
        """Let iptables fail, whatever it is asked to change."""
        super().__init__(folder, ScriptedPrograms({"nft": ""}))
        self.rules = [
            ":NETPLAY - [0:0]", ":NETPLAY-GATE - [0:0]", ":NETPLAY-FRIEND - [0:0]", "[9:9] -A INPUT -j NETPLAY",
            "[9:9] -A NETPLAY -p tcp -m multiport --dports 55435 -j NETPLAY-GATE",
            "[0:0] -A NETPLAY-GATE -s 5.6.7.8/32 -j NETPLAY-FRIEND", "[0:0] -A NETPLAY-GATE -j DROP",
        ]  # fmt: skip
        self.locked = True
        self.tries = 0
        known = State(applied=Applied("iptables", [55435], "", "", plain=True), friends=ANNA, created=["iptables"])
        state.save(self.places.state, known)
        self.places.friends.write_text(ANNA)
        self.install()

    def install(self) -> None:
        """Have the programs of iptables."""
        self.programs.answers |= {  # type: ignore[attr-defined]
            "iptables-restore": self._restore, "ip6tables-restore": self._restore, "iptables-save": self._save,
            "ip6tables-save": "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", "iptables": "", "iptables -V": "nf_tables",
        }  # fmt: skip

    def uninstall(self) -> None:
        """Have none of them."""
        self.programs.answers = {"nft": ""}  # type: ignore[attr-defined]

    def _save(self, *_: object) -> str:
        return "\n".join(["*filter", ":INPUT ACCEPT [0:0]", *self.rules, "COMMIT", ""])

    def _restore(self, argv: Any, _: str) -> str:
        self.tries += 1
        if self.locked:
            raise ProgramError(argv, 4, "Another app is currently holding the xtables lock")
        self.rules = []
        return ""

    def named(self, name: str, state: State) -> Backend:
        """Return the filter in memory, or iptables by its programs."""
        return super().named(name, state) if name == self.filter.name else Gate.named(self, name, state)

    def apply(self, text: str | None = None, **wish: Any) -> list[str]:
        """Push a list; return the warnings."""
        warnings: list[str] = push.push(self, Push(text, **wish))["warnings"]
        return warnings

    def status(self) -> dict[str, Any]:
        """Return the status."""
        return status.status(self, self.places.state_dir / "no relay")

    def filters(self, whom: str) -> list[tuple[bool | None, str]]:
        """Return what the packet filters say of somebody."""
        steps = check.check(self, whom, self.places.state_dir / "no relay")["steps"]
        return [(step["ok"], step["sentence"]) for step in steps if step["layer"] == "filter"]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Give a host without systemd."""
    monkeypatch.setattr(commit_confirm, "_detach", lambda _: None)
    monkeypatch.setattr(commit_confirm, "SYSTEMD", tmp_path / "no systemd")
    return Host(tmp_path)


def test_what_could_not_be_taken_away_is_tried_again_until_it_is_gone(host: Host) -> None:
    """Nobody has to restart anything: the program that held the lock has ended meanwhile."""
    assert host.apply(ANNA + BEN)[0].startswith(BEGINNING)
    host.locked = False
    agent = Agent(host, clock=host.clock)
    agent.look(told=True)
    host.now += previous_backend.AGAIN
    agent.look(told=True)
    assert host.rules == []
    assert host.status()["warnings"] == []
    tries = host.tries
    host.now += previous_backend.AGAIN
    agent.look(told=True)
    assert host.tries == tries, "then there is nothing to do"


def test_it_is_tried_once_a_minute_however_often_the_agent_looks(host: Host) -> None:
    """Rules may change many times in a second."""
    host.apply(ANNA + BEN)
    agent = Agent(host, clock=host.clock)
    tries = host.tries
    for _ in range(20):
        host.now += previous_backend.AGAIN / 20
        agent.look(told=True)
    assert tries < host.tries <= tries + 2


def test_it_is_said_by_every_push_and_the_status_as_long_as_it_stands(host: Host) -> None:
    """Who pushes again wants to know whether it is mended."""
    for _ in range(2):
        (warning,) = host.apply(ANNA + BEN)
        assert warning.startswith(BEGINNING)
        assert "Another app is currently holding the xtables lock" in warning
    assert host.status()["warnings"] == [warning]
    assert f"warning   {BEGINNING}" in status.text(host.status())


def test_the_agent_says_it_once_and_once_that_it_is_gone(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """A line a minute would bury all else."""
    agent = Agent(host, clock=host.clock)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            agent.look(told=True)
            host.now += previous_backend.AGAIN
        host.locked = False
        agent.look(told=True)
        agent.look(told=True)
    assert caplog.text.count(BEGINNING) == 1
    assert caplog.text.count("what iptables held of netplay-relay is removed now") == 1


def test_a_push_that_changes_something_tries_at_once(host: Host) -> None:
    """Who has mended it does not want to wait a minute to see that."""
    host.apply(ANNA + BEN)
    host.locked = False
    assert host.apply(ANNA) == []
    assert host.rules == []


def test_whom_the_former_filter_does_not_know_is_kept_out_by_it(host: Host) -> None:
    """And whom it knows gets in by both."""
    host.apply(ANNA + BEN)
    (first, old), (second, new) = host.filters("anna"), host.filters("ben")
    assert (first[0], old[0]) == (True, True)
    assert second[0] is True
    assert new == (
        False,
        "The rules of before still stand in iptables, which refuses 5.6.7.9/32: no entry holds it "
        "(0 packets refused so far).",
    )


def test_where_the_former_filter_cannot_be_asked_that_is_said(host: Host) -> None:
    """Its rules outlive its programs."""
    host.uninstall()
    host.apply(ANNA + BEN)
    (_, (ok, sentence)) = host.filters("ben")
    assert ok is None
    assert sentence.startswith(f"{BEGINNING[0].upper()}{BEGINNING[1:]}")
    assert "install iptables again, or restart the host" in sentence


def test_a_restart_of_the_host_takes_away_what_it_has_no_program_for(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules live in the kernel alone."""
    boot = tmp_path / "boot_id"
    boot.write_text("one\n")
    monkeypatch.setattr(previous_backend, "BOOT", boot)
    host.uninstall()
    assert host.apply(ANNA + BEN)
    agent = Agent(host, clock=host.clock)
    host.now += previous_backend.AGAIN
    agent.look(told=True)
    assert host.status()["warnings"]
    boot.write_text("two\n")
    host.now += previous_backend.AGAIN
    agent.look(told=True)
    assert host.status()["warnings"] == []
    assert [sentence for _, sentence in host.filters("ben")] == [
        "nftables lets 5.6.7.9/32 in by 5.6.7.9/32 for good (0 new connections so far)."
    ]


def test_who_may_not_read_when_the_host_was_started_forgets_nothing(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service may see less of the host than a login does."""
    host.uninstall()
    assert host.apply(ANNA + BEN)
    monkeypatch.setattr(previous_backend, "BOOT", tmp_path / "none")
    host.now += previous_backend.AGAIN
    Agent(host, clock=host.clock).look(told=True)
    assert host.status()["warnings"]


def test_a_program_that_is_installed_again_is_used(host: Host) -> None:
    """That is what the sentence says to do."""
    host.uninstall()
    host.apply(ANNA + BEN)
    host.install()
    host.locked = False
    host.now += previous_backend.AGAIN
    Agent(host, clock=host.clock).look(told=True)
    assert host.rules == []


def test_a_filter_that_is_used_again_is_no_former_one(host: Host) -> None:
    """Its rules are those that count then, and what was made for them is to be taken away with them."""
    host.apply(ANNA + BEN)
    host.filter.name = "iptables"
    host.apply(ANNA + BEN)
    known = state.load(host.places.state)
    assert known.applied is not None
    assert known.applied.backend == "iptables"
    assert known.leftover is None or known.leftover.backend == "nftables"
    assert "iptables" in known.created


def test_a_push_comes_back_although_what_it_had_loaded_cannot_be_taken_away(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of before is in force again, by the filter that the settings name."""
    host.locked = False
    token = push.push(host, Push(BEN, rollback_after=60))["token"]

    def refuse(*_: object) -> None:
        raise FilterError("nft cannot list its tables: Operation not permitted")

    monkeypatch.setattr(host.filter, "remove", refuse)
    assert commit_confirm.roll_back(host, token, "late")
    assert host.filter.holds() == {"5.6.7.8/32"}
    assert host.status()["complete"]
    assert host.status()["warnings"] == []


def test_a_removal_takes_it_away_too_and_says_what_it_cannot(host: Host) -> None:
    """Else the next program at that port would be kept from everybody."""
    host.apply(ANNA + BEN)
    host.uninstall()
    host.programs.answers["nft list table inet netplay"] = ""  # type: ignore[attr-defined]
    (left,) = remove(host)["left"]
    assert left.startswith(BEGINNING)
    assert remove(host)["left"] == []


def test_a_state_of_another_release_is_read(host: Host) -> None:
    """It may know more of what was left, or nothing."""
    host.apply(ANNA + BEN)
    text = host.places.state.read_text()
    assert '"leftover": {\n' in text
    host.places.state.write_text(text.replace('"leftover": {\n', '"leftover": {\n"later": 1,\n'))
    found = state.load(host.places.state).leftover
    assert found is not None
    assert found.backend == "iptables"
