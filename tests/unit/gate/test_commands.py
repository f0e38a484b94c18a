"""`netplay-relay gate ...` as it is typed: answers in sentences and JSON, mistakes as sentences, exit codes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from relay.cli import main
from relay.gate import commands, commit_confirm, lockout, netlink_monitor, state, subject
from relay.gate.agent import Agent
from relay.gate.commands import BAD_INPUT, BUSY, DONE, FAILED, NOT_CONFIRMED, REFUSED
from relay.gate.programs import ProgramError, Programs
from relay.gate.state import BusyError, Name, State
from tests.support.gate_memory import MemoryGate, ScriptedPrograms, friend
from tests.support.waiting import wait_for

ANNA = friend("anna", 'ip = "5.6.7.8"')
BEN = friend("ben", 'ip = "5.6.7.9"')


class Terminal:
    """What somebody types and sees."""

    def __init__(self, gate: MemoryGate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate = gate
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def type(self, *words: str, text: str = "", code: int = DONE) -> str:
        """Type a command, expect its exit code, return what was printed."""
        self._monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
        try:
            found = main(["gate", *words])
        except SystemExit as ended:
            found = int(str(ended.code))
        printed, complaint = self._capsys.readouterr()
        assert found == code, f"{found}: {printed} {complaint}"
        self.complaint = complaint
        return printed

    def ask(self, *words: str, text: str = "", code: int = DONE) -> dict[str, Any]:
        """Type a command with --json and return the answer."""
        answer: dict[str, Any] = json.loads(self.type(*words, "--json", text=text, code=code))
        return answer


@pytest.fixture
def terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    gate = MemoryGate(tmp_path)
    monkeypatch.setattr(commands, "Gate", lambda _: gate)
    monkeypatch.setattr(commands, "is_root", lambda: True)
    monkeypatch.setattr(subject, "SOCKET", tmp_path / "control.sock")
    monkeypatch.setattr(commit_confirm, "SYSTEMD", tmp_path / "no systemd")
    monkeypatch.setattr(commit_confirm, "_detach", lambda _: None)
    return Terminal(gate, capsys, monkeypatch)


def test_a_list_is_applied_and_said(terminal: Terminal) -> None:
    printed = terminal.type("apply", "--friends", "-", text=ANNA)
    assert printed.splitlines() == [
        "rules loaded into nftables",
        "5.6.7.8/32 added",
        "1 entries for port 55435, by nftables",
    ]
    assert terminal.type("apply").splitlines()[0] == "nothing to change"
    assert "5.6.7.9/32 would be added" in terminal.type("apply", "--check", "--friends", "-", text=ANNA + BEN)


def test_a_file_may_be_named(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[[friend]]\n")
    told = terminal.ask("apply", "--friends", str(file), code=BAD_INPUT)["error"]
    assert (told["file"], told["line"]) == (str(file), 1)
    told = terminal.ask("apply", "--friends", "-", "--shown-as", "/home/me/f.toml", text="x = ", code=BAD_INPUT)[
        "error"
    ]
    assert (told["file"], told["line"]) == ("/home/me/f.toml", 1)
    assert "netplay-relay: /home/me/f.toml:1: this is not TOML" in terminal.complaint
    assert "cannot read this file" in terminal.ask("apply", "--friends", "/none", code=BAD_INPUT)["error"]["message"]


def test_a_list_that_is_no_text_or_endless_is_refused(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "LARGEST_FILE", 10)
    assert "not that long" in terminal.ask("apply", "--friends", "-", text="#" * 11, code=BAD_INPUT)["error"]["message"]


@pytest.mark.parametrize(
    "words", [["apply", "--rollback-after", "0"], ["apply", "--rollback-after", "x"], ["confirm"], []]
)
def test_what_is_typed_wrongly_is_refused(terminal: Terminal, words: list[str]) -> None:
    terminal.type(*words, code=2)


def test_directories_are_absolute(terminal: Terminal) -> None:
    terminal.type("--config-dir", "etc", "status", code=2)
    assert "starts with /" in terminal.complaint


def test_somebody_who_is_not_root_is_told_so(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "is_root", lambda: False)
    terminal.type("status", code=FAILED)
    assert terminal.complaint == "netplay-relay: the gate is for root. Try again with: sudo\n"


def test_a_push_is_confirmed_with_its_token(terminal: Terminal) -> None:
    terminal.type("apply", "--friends", "-", text=ANNA)
    printed = terminal.type("apply", "--friends", "-", "--rollback-after", "60", text=BEN)
    token = printed.rpartition("netplay-relay gate confirm ")[2].split()[0]
    assert terminal.ask("status")["pending"]["token"] == token
    assert "a push comes back on" in terminal.type("status")
    assert terminal.type("confirm", token) == "confirmed: it stays\n"
    assert terminal.ask("confirm", token, code=NOT_CONFIRMED) == {
        "confirmed": False,
        "rolled_back": None,
        "replaced": None,
    }


def test_a_push_that_came_back_is_told_to_who_confirms_too_late(terminal: Terminal) -> None:
    terminal.type("apply", "--friends", "-", text=ANNA)
    token = terminal.ask("apply", "--friends", "-", "--rollback-after", "60", text=BEN)["token"]
    assert (
        terminal.type("rollback", "--timer", token, "--after", "0.01")
        == "rolled back: the list before it is in force again\n"
    )
    assert terminal.type("rollback") == "nothing waits to be rolled back\n"
    assert terminal.type("confirm", token, code=NOT_CONFIRMED).startswith("too late: rolled back on ")
    assert terminal.ask("status")["rolled_back"]["why"] == "it was not confirmed in time"
    assert "undone    a push was rolled back on" in terminal.type("status")


def test_a_push_that_was_taken_back_by_hand_is_not_called_late(terminal: Terminal) -> None:
    terminal.type("apply", "--friends", "-", text=ANNA)
    token = terminal.ask("apply", "--friends", "-", "--rollback-after", "60", text=BEN)["token"]
    assert terminal.ask("rollback", token)["rolled_back"]
    assert terminal.ask("status")["rolled_back"]["why"] == "the owner took it back"


def test_a_timer_ends_early_when_its_push_was_confirmed(terminal: Terminal) -> None:
    terminal.type("apply", "--friends", "-", text=ANNA)
    token = terminal.ask("apply", "--friends", "-", "--rollback-after", "60", text=BEN)["token"]
    terminal.type("confirm", token)
    assert not terminal.ask("rollback", token, "--after", "3000")["rolled_back"]


def test_the_status_shows_what_is_in_force_and_what_is_not(terminal: Terminal) -> None:
    assert "ARE NOT LOADED" in terminal.type("status")
    terminal.type("apply", "--friends", "-", text=ANNA + friend("cgn", 'ip = "100.64.1.2"'))
    shown = terminal.ask("status")
    assert (shown["present"], shown["complete"], shown["agent"]) == (True, True, None)
    anna = shown["entries"][0]
    assert (anna["network"], anna["friends"], anna["until"], anna["in_force"]) == ("5.6.7.8/32", ["anna"], None, True)
    assert anna["connected"] is None
    printed = terminal.type("status")
    assert "5.6.7.8/32  anna, for good, not seen yet" in printed
    assert "warning   100.64.1.2 (cgn) is behind carrier NAT" in printed
    terminal.gate.filter.sets["host4"].clear()
    assert not terminal.ask("status")["complete"]
    assert "NOT IN FORCE" in terminal.type("status")


@pytest.mark.parametrize("left", [{"frame": "rules of somebody"}, {"shape": False}])
def test_what_is_left_of_our_rules_is_no_wall(
    terminal: Terminal, left: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal.type("apply", "--friends", "-", text=ANNA)
    standing = terminal.gate.filter.standing()
    assert standing
    monkeypatch.setattr(terminal.gate.filter, "standing", lambda: replace(standing, **left))
    shown = terminal.ask("status")
    assert (shown["present"], shown["complete"]) == (False, False)
    assert "ARE NOT LOADED" in terminal.type("status")


def test_the_status_of_a_broken_list_is_that_of_what_was_applied_and_says_so(terminal: Terminal) -> None:
    terminal.type("apply", "--friends", "-", text=ANNA)
    terminal.gate.places.friends.write_text("x = ")
    shown = terminal.ask("status")
    assert "this is not TOML" in shown["problem"]
    assert [entry["network"] for entry in shown["entries"]] == ["5.6.7.8/32"]


def test_the_status_with_broken_settings_is_that_of_what_was_applied_and_says_so(terminal: Terminal) -> None:
    terminal.gate.places.settings.write_text("[listen]\nport = 55440\n")
    terminal.type("apply", "--friends", "-", text=ANNA)
    terminal.gate.places.settings.write_text("[listen]\nport = ")
    shown = terminal.ask("status")
    assert "relay.toml:2" in shown["problem"]
    assert (shown["ports"], shown["complete"]) == ([55440], True)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Give a relay's socket that answers requests from a table, and keeps the last request under ''."""
    answers: dict[str, Any] = {}
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "control.sock"))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                answers[""] = request = json.loads(connection.makefile().readline())
                unknown = {"error": "no such request", "requests": sorted(answers)}
                connection.sendall(json.dumps(answers.get(request["do"], unknown)).encode())

    thread = threading.Thread(target=serve)
    thread.start()
    yield answers
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


def people(*addresses: str) -> dict[str, Any]:
    sessions = [{"host": {"address": addresses[0]}, "clients": [{"address": address} for address in addresses[1:]]}]
    return {"connections": {"now": len(addresses), "most": 1024}, "sessions": sessions}


def test_who_is_connected_is_shown_by_the_entry_that_let_them_in(terminal: Terminal, relay: dict[str, Any]) -> None:
    relay["status"] = people("5.6.7.8", "5.6.7.8", "5.6.9.9", "9.9.9.9", "blurred")
    terminal.type("apply", "--friends", "-", text=ANNA + friend("club", 'ip = "5.6.8.0/23"'))
    connected = {entry["network"]: entry["connected"] for entry in terminal.ask("status")["entries"]}
    assert connected == {"5.6.7.8/32": 2, "5.6.8.0/23": 1}
    assert "2 connected" in terminal.type("status")


def test_a_kick_names_every_network_of_a_friend(terminal: Terminal, relay: dict[str, Any]) -> None:
    relay["kick"] = {"kicked": 2}
    terminal.type("apply", "--friends", "-", text=friend("anna", 'ip = ["5.6.7.8", "2600:1:2:3::4"]'))
    answer = terminal.ask("kick", "anna")
    assert answer["kicked"] == 2
    assert relay[""]["addresses"] == ["5.6.7.8/32", "2600:1:2:3::/64"]
    assert terminal.type("kick", "9.9.9.9") == "the relay ended 2 connections\n"
    assert relay[""]["addresses"] == ["9.9.9.9/32"]


def test_a_relay_that_does_not_know_kicks_is_named(terminal: Terminal, relay: dict[str, Any]) -> None:
    answer = terminal.ask("kick", "9.9.9.9", code=FAILED)
    assert answer["kicked"] is None
    assert answer["problem"] == "the relay that runs does not know 'kick': it is older than this program"
    relay["kick"] = {"error": "kick needs addresses"}
    assert terminal.ask("kick", "9.9.9.9", code=FAILED)["problem"] == "the relay answers: kick needs addresses"


def test_conntrack_forgets_them_too(terminal: Terminal, relay: dict[str, Any]) -> None:
    relay["kick"] = {"kicked": 0}
    programs = ScriptedPrograms({"conntrack -D -f ipv4 -p tcp": "tcp 6 one\ntcp 6 two\n"})
    programs.answers["conntrack -D -f ipv4 -p udp"] = ProgramError(
        ["conntrack"], 1, "0 flow entries have been deleted."
    )
    terminal.gate.programs = programs
    assert terminal.ask("kick", "5.6.7.0/24")["conntrack"] == 2
    assert programs.ran[0] == "conntrack -D -f ipv4 -p tcp --dport 55435 -s 5.6.7.0/24"


def test_why_somebody_gets_in_or_not(terminal: Terminal, relay: dict[str, Any]) -> None:
    relay["status"] = people("5.6.7.8")
    allowlist = terminal.gate.places.config_dir / "list"
    terminal.gate.places.settings.write_text(f'[gate]\nallowlist = "{allowlist}"\n')
    terminal.type("apply", "--friends", "-", text=ANNA)
    shown = terminal.ask("check", "anna")
    assert (shown["friend"], shown["verdict"], shown["because"]) == ("anna", "in", "")
    assert [step["layer"] for step in shown["steps"]] == ["friends", "time", "filter", "allowlist", "relay", "relay"]
    assert terminal.type("check", "5.6.7.8").splitlines()[-1] == "5.6.7.8 gets in"
    allowlist.write_text("broken\n")
    assert "refuses everybody" in terminal.ask("check", "anna", code=REFUSED)["because"]


@pytest.mark.parametrize(
    ("addresses", "alone"),
    [
        ('"2001:db8::5"', True),
        ('["2001:db8::5", "2001:db8:1::/64"]', True),
        ('["2001:db8::5", "5.6.7.8"]', False),
        ('"5.6.7.8"', False),
        ('"::ffff:5.6.7.8"', False),
    ],
)
def test_a_friend_by_ipv6_alone_is_told_what_that_keeps_out(terminal: Terminal, addresses: str, alone: bool) -> None:
    terminal.type("apply", "--friends", "-", text=friend("anna", f"ip = {addresses}"))
    shown = terminal.ask("check", "anna")
    assert shown["verdict"] == "in"
    said = [step for step in shown["steps"] if step["layer"] == "family"]
    assert bool(said) == alone
    for step in said:
        assert step["ok"] is None
        assert step["sentence"].startswith("anna is let in by IPv6 alone.")
        assert "invoke friends.add anna --ip" in step["sentence"]


@pytest.mark.parametrize(
    "typed", ["2001:db8::5", " 2001:db8::5 ", "[2001:db8::5]", "2001:db8::5%eth0", "2001:DB8:0::5"]
)
def test_an_ipv6_address_is_known_however_it_is_written(terminal: Terminal, typed: str) -> None:
    terminal.type("apply", "--friends", "-", text=friend("anna", 'ip = "2001:db8::5"'))
    assert terminal.ask("check", typed)["verdict"] == "in"


def test_a_limit_of_the_relay_is_a_layer_too(terminal: Terminal, relay: dict[str, Any]) -> None:
    relay["status"] = people(*["5.6.7.8"] * 48)
    terminal.type("apply", "--friends", "-", text=ANNA)
    because = terminal.ask("check", "5.6.7.8", code=REFUSED)["because"]
    assert because == "5.6.7.8/32 has 48 of the 48 connections one address may have."


def test_whoever_is_over_or_unknown_is_told_why(terminal: Terminal) -> None:
    over = friend("ben", 'ip = "5.6.7.9"', 'until = "2020-01-01 10:00Z"')
    terminal.gate.places.friends.write_text(ANNA + over + friend("dora", 'dns = "dora.example.org"'))
    terminal.type("apply")
    assert "ben's entry ended on" in terminal.ask("check", "ben", code=REFUSED)["because"]
    assert "dora.example.org has no answer yet" in terminal.ask("check", "dora", code=REFUSED)["because"]
    assert "anna has 5.6.7.8/32" in terminal.ask("check", "5.6.7.7", code=REFUSED)["because"]
    assert "Did you mean anna?" in terminal.ask("check", "Anna", code=BAD_INPUT)["error"]["message"]
    assert "dora has no address" in terminal.ask("kick", "dora", code=BAD_INPUT)["error"]["message"]


OVER = 'until = "2020-01-01 10:00Z"'
SAME = friend("ben", 'ip = "5.6.7.8"', OVER)


@pytest.mark.parametrize("subject", ["5.6.7.8", "ben", "::ffff:5.6.7.8"])
def test_whose_time_is_over_gets_in_by_the_entry_of_somebody_else(terminal: Terminal, subject: str) -> None:
    terminal.gate.places.friends.write_text(ANNA + SAME)
    terminal.type("apply")
    shown = terminal.ask("check", subject)
    assert (shown["verdict"], shown["because"]) == ("in", "")
    (step,) = [step for step in shown["steps"] if "ben's entry ended" in step["sentence"]]
    assert step["ok"] is None
    assert step["sentence"].endswith(" anna's lets the same address in.")


@pytest.mark.parametrize("subject", ["5.6.7.8", "ben", "5.6.7.9"])
def test_whose_time_is_over_and_who_has_an_address_of_his_own_is_refused(terminal: Terminal, subject: str) -> None:
    anna = ANNA if subject == "ben" else ANNA.replace('ip = "5.6.7.8"', f'ip = "5.6.7.8"\n{OVER}')
    ben = friend("ben", 'ip = ["5.6.7.8", "5.6.7.9"]', OVER)
    terminal.gate.places.friends.write_text(anna + ben)
    terminal.type("apply")
    shown = terminal.ask("check", subject, code=REFUSED)
    assert shown["verdict"] == "out"
    assert "'s entry ended on" in shown["because"]


@pytest.mark.parametrize("subject", ["dora", "5.6.7.10"])
def test_one_name_without_an_answer_is_no_harm_where_another_has_one(terminal: Terminal, subject: str) -> None:
    terminal.gate.places.friends.write_text(friend("dora", 'dns = ["gone.example.org", "dora.example.org"]'))
    state.save(terminal.gate.places.state, State(names={"dora.example.org": Name(["5.6.7.10/32"], terminal.gate.now)}))
    Agent(terminal.gate).look(told=True)
    shown = terminal.ask("check", subject)
    assert shown["verdict"] == "in"
    assert [step["ok"] for step in shown["steps"] if step["layer"] == "name"] == [None, True]


def test_a_wall_that_is_not_there_refuses_nobody_and_that_is_said(terminal: Terminal) -> None:
    terminal.gate.places.friends.write_text(ANNA)
    steps = {step["layer"]: step for step in terminal.ask("check", "anna")["steps"]}
    assert steps["filter"]["ok"] is None
    assert "start the agent" in steps["filter"]["sentence"]


def test_of_two_owners_who_push_at_once_the_one_who_loses_is_told(terminal: Terminal) -> None:
    terminal.type("apply", "--friends", "-", text=ANNA)
    first, second = (
        terminal.ask("apply", "--friends", "-", "--rollback-after", "60", "--login", login, text=text)["token"]
        for login, text in (("203.0.113.1 5 9.9.9.9 22", ANNA + BEN), ("198.51.100.2 6 9.9.9.9 22", BEN))
    )
    told = terminal.ask("confirm", first, code=NOT_CONFIRMED)
    assert (told["confirmed"], told["rolled_back"]) == (False, None)
    assert told["replaced"]["by"] == "198.51.100.2"
    assert "by a push from 198.51.100.2" in terminal.type("confirm", first, code=NOT_CONFIRMED)
    assert terminal.ask("confirm", second) == {"confirmed": True, "rolled_back": None, "replaced": None}
    assert terminal.ask("confirm", first, code=NOT_CONFIRMED)["replaced"]


def test_everything_is_taken_away_or_all_but_the_list(terminal: Terminal) -> None:
    terminal.type("apply", "--friends", "-", text=ANNA)
    answer = terminal.ask("remove", "--keep-config")
    assert answer["changed"]
    assert [path.name for path in terminal.gate.places.config_dir.iterdir()] == ["friends.toml"]
    assert not terminal.gate.places.state_dir.exists()
    assert terminal.ask("remove")["files"] == [str(terminal.gate.places.friends)]
    assert terminal.type("remove") == "nothing of netplay-relay was there\n"


def test_a_busy_host_is_said(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    real = state.locked
    monkeypatch.setattr(state, "locked", lambda path, **_: real(path, 0.05))
    with real(terminal.gate.places.lock):
        assert "another netplay-relay gate is at work" in terminal.ask("apply", code=BUSY)["error"]["message"]
    with real(terminal.gate.places.agent):
        assert "Stop its service" in terminal.ask("remove", code=BUSY)["error"]["message"]
        assert terminal.ask("status")["agent"]


def test_a_lock_is_given_back(tmp_path: Path) -> None:
    for _ in range(2):
        with state.locked(tmp_path / "lock"):
            assert state.holder(tmp_path / "lock")
            with pytest.raises(BusyError), state.locked(tmp_path / "lock", patience=0.01):
                pass
    assert state.holder(tmp_path / "lock") is None
    assert state.holder(tmp_path / "none") is None


def test_a_list_that_never_ends_is_refused(terminal: Terminal) -> None:
    """As /dev/zero: no more of a file is read than a list may have."""
    answer = terminal.ask("apply", "--friends", "/dev/zero", code=BAD_INPUT)
    assert "not that long" in answer["error"]["message"]


def test_a_removal_takes_what_cannot_be_read_of_a_push_too(terminal: Terminal) -> None:
    terminal.type("apply", "--friends", "-", text=ANNA)
    terminal.gate.places.pending.write_text("{")
    terminal.type("remove")
    assert not terminal.gate.places.state_dir.exists()


def test_a_lock_whose_file_was_taken_away_meanwhile_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A removal takes the file away while others wait; who comes after it must not find the lock free."""
    path, real, taken = tmp_path / "lock", state._take, []

    def take(handle: int, end: float) -> None:
        real(handle, end)
        taken.append(handle)
        if len(taken) == 1:
            path.unlink()

    monkeypatch.setattr(state, "_take", take)
    with state.locked(path):
        assert state.holder(path) == os.getpid()
    assert state.holder(path) is None


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"version": 9}', '{"version": 1, "applied": {"x": 1}}'])
def test_what_is_remembered_wrongly_is_forgotten(tmp_path: Path, text: str) -> None:
    (tmp_path / "gate.json").write_text(text)
    assert state.load(tmp_path / "gate.json") == State()


def test_a_state_of_a_newer_program_with_more_in_it_is_read(tmp_path: Path) -> None:
    state.save(tmp_path / "gate.json", State(controller="1.2.3.4 5 6.7.8.9 22"))
    data = json.loads((tmp_path / "gate.json").read_text())
    (tmp_path / "gate.json").write_text(json.dumps({**data, "invented": 1}))
    assert state.load(tmp_path / "gate.json").controller.endswith(" 22")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("203.0.113.5 50000 198.51.100.1 2200", ("203.0.113.5", 2200)),
        ("fe80::1%eth0 50000 fe80::2 22", ("fe80::1", 22)),
        ("", None),
        ("x 1 y 2", None),
        ("203.0.113.5 1 2 x", None),
    ],
)
def test_a_login_is_read(text: str, found: tuple[str, int] | None) -> None:
    assert lockout.login(text) == found


def test_the_ports_of_ssh_servers_are_found(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    line = "   0: 00000000:0898 00000000:0000 {} 00000000:00000000 00:00000000 00000000     0        0 {} 1 0"
    (tmp_path / "net" / "tcp").write_text("\n".join(["sl", line.format("0A", 77), line.format("01", 78), ""]))
    for pid, name, inode in ((1, "sshd", 77), (2, "nginx", 79)):
        (tmp_path / str(pid) / "fd").mkdir(parents=True)
        (tmp_path / str(pid) / "comm").write_text(f"{name}\n")
        (tmp_path / str(pid) / "fd" / "3").symlink_to(f"socket:[{inode}]")
    assert lockout.ssh_ports(tmp_path) == {0x0898}


def test_systemd_keeps_the_timer_where_there_is_one(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_confirm, "SYSTEMD", tmp_path)
    unwaited: list[list[str]] = []
    monkeypatch.setattr(commit_confirm, "_detach", unwaited.append)
    programs = ScriptedPrograms({"systemd-run": "", "systemctl stop": ""})
    terminal.gate.programs = programs
    answer = terminal.ask("apply", "--friends", "-", "--rollback-after", "60", text=ANNA)
    assert answer["rollback_by"] == "systemd"
    (run,) = [line for line in programs.ran if line.startswith("systemd-run")]
    assert f"--unit=netplay-relay-rollback-{answer['token']} --on-active=60s" in run
    assert run.endswith(f"rollback --timer {answer['token']}")
    terminal.type("confirm", answer["token"])
    assert unwaited == [["/usr/sbin/systemctl", "stop", f"netplay-relay-rollback-{answer['token']}.timer"]]


def test_a_program_that_is_missing_hangs_or_fails_is_a_sentence(tmp_path: Path) -> None:
    programs = Programs(str(tmp_path))
    with pytest.raises(ProgramError, match="nft: this host does not have it"):
        programs.run(["nft"])
    (tmp_path / "slow").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (tmp_path / "bad").write_text("#!/bin/sh\necho 'so not' >&2\nexit 3\n")
    (tmp_path / "echo").write_text('#!/bin/sh\nread line\nprintf "%s|%s|%s" "$1" "$LC_ALL" "$line"\n')
    for file in tmp_path.iterdir():
        file.chmod(0o755)
    with pytest.raises(ProgramError, match="slow: it took too long"):
        programs.run(["slow"], seconds=0.1)
    with pytest.raises(ProgramError, match="bad: so not") as caught:
        programs.run(["bad"])
    assert caught.value.code == 3
    assert programs.run(["echo", "a b; id"], "text\n") == "a b; id|C|text"
    assert programs.answer(["bad"]) == ""


def test_what_is_announced_is_read_away() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        assert not netlink_monitor.drain(ours)
        theirs.send(b"x")
        wait_for(lambda: netlink_monitor.drain(ours), 5, "the announcement")
        assert not netlink_monitor.drain(ours)


def test_an_iptables_that_cannot_be_listed_and_is_not_used_is_no_reason_to_leave_all_else(
    terminal: Terminal,
) -> None:
    """A kernel may have nothing of what a package that is installed is for."""
    terminal.type("apply", "--friends", "-", text=ANNA)
    failing = ProgramError(["iptables-save"], 3, "Table does not exist (do you need to insmod?)")
    terminal.gate.programs.answers |= {  # type: ignore[attr-defined]
        "nft": "", "iptables-restore": failing, "iptables-save": failing, "ip6tables-save": failing,
        "iptables -V": "iptables v1.8.9 (nf_tables)",
    }  # fmt: skip
    answer = terminal.ask("remove")
    assert answer["rules"] == ["nftables"]
    assert not terminal.gate.places.allowlist.exists()


def test_the_timer_of_a_push_waits_for_a_change_that_takes_minutes(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A firewalld that hangs costs half a minute for each question; after it nobody else may be there to take back."""
    terminal.type("apply", "--friends", "-", text=ANNA)
    token = terminal.ask("apply", "--friends", "-", "--rollback-after", "60", text=BEN)["token"]
    with contextlib.ExitStack() as change:
        change.enter_context(state.locked(terminal.gate.places.lock))
        now = [0.0]

        def sleep(_: float) -> None:
            now[0] += 1.0
            if now[0] >= 300.0:
                change.close()

        monkeypatch.setattr(state, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
        assert terminal.ask("rollback", "--timer", token)["rolled_back"]
    assert terminal.gate.filter.holds() == {"5.6.7.8/32"}


@pytest.mark.parametrize("file", ["friends", "allowlist", "state", "pending"])
def test_what_was_half_written_when_the_host_lost_power_is_removed_too(terminal: Terminal, file: str) -> None:
    """It may hold the names of friends; what an editor keeps beside it is not ours."""
    terminal.type("apply", "--friends", "-", text=ANNA)
    path: Path = getattr(terminal.gate.places, file)
    half, swap = path.with_name(f".{path.name}.x1_y2z34.unfinished"), path.with_name(f".{path.name}.swp")
    for one in (half, swap):
        one.write_text(ANNA)
    assert str(half) in terminal.ask("remove")["files"]
    assert not half.exists()
    assert swap.exists()
