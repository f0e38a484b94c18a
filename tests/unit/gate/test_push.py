"""Pushing a list: all of it checked first, applied at once, and back by itself unless it is confirmed."""

from __future__ import annotations

import ipaddress
import json
import os
import stat
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from relay.addresses import Address
from relay.gate import apply as push
from relay.gate import commit_confirm, others, state
from relay.gate import files as places
from relay.gate.agent import Agent
from relay.gate.apply import Push
from relay.gate.backends.base import Backend, FilterError
from relay.gate.coexist.survey import Coexistence
from relay.gate.gate import Gate
from relay.gate.programs import ProgramError
from relay.gate.resolver import Lookups
from relay.gate.state import Applied, State
from relay.tomlfile import ConfigError
from tests.support.gate_memory import MemoryGate, ScriptedPrograms, friend

ANNA = friend("anna", 'ip = "5.6.7.8"')
BEN = friend("ben", 'ip = "5.6.7.9"')
DORA = friend("dora", 'dns = "dora.example.org"')
OWNER = Path("/home/me/friends.toml")


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryGate:
    monkeypatch.setattr(commit_confirm, "_detach", lambda _: None)
    monkeypatch.setattr(commit_confirm, "SYSTEMD", tmp_path / "no systemd")
    return MemoryGate(tmp_path)


def resolver(**answers: str) -> Lookups:
    def lookup(name: str) -> Sequence[Address]:
        if name not in answers:
            raise OSError(-2, "Name or service not known")
        return [ipaddress.ip_address(answers[name])]

    return Lookups(lookup)


def apply(gate: MemoryGate, text: str | None = None, **wish: Any) -> dict[str, Any]:
    return push.push(gate, Push(text, OWNER, **wish), resolver(**{"dora.example.org": "5.6.7.10"}))


def test_a_list_is_in_force_in_the_filter_in_the_allowlist_and_on_disk(gate: MemoryGate) -> None:
    answer = apply(gate, ANNA)
    assert answer["changed"]
    assert answer["added"] == ["5.6.7.8/32"]
    assert gate.filter.holds() == {"5.6.7.8/32"}
    assert "5.6.7.8  # anna" in gate.places.allowlist.read_text()
    assert gate.places.friends.read_text() == ANNA
    for private in (gate.places.friends, gate.places.state):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert json.dumps(answer)


def test_the_same_list_again_changes_nothing(gate: MemoryGate) -> None:
    apply(gate, ANNA)
    again = apply(gate, ANNA, rollback_after=60)
    assert not again["changed"]
    assert again["token"] is None
    assert gate.filter.loads == 1
    assert not gate.places.pending.exists()


def test_only_looking_changes_nothing(gate: MemoryGate) -> None:
    answer = apply(gate, ANNA, check_only=True)
    assert (answer["changed"], answer["checked"], answer["added"]) == (True, True, ["5.6.7.8/32"])
    assert gate.filter.holds() == set()
    assert not gate.places.friends.exists()
    assert not gate.places.state.exists()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (ANNA + friend("ben", 'ip = "5.6.7"'), 6, "is not an IP address"),
        (ANNA + friend("ben", 'ip = "0.0.0.0/0"'), 6, "lets in 4,294,967,296 addresses"),
        (ANNA + friend("ben", 'ip = "5.6.7.9"', 'until = "2020-01-01 10:00Z"'), 7, "ben's entry ended on"),
        (ANNA + friend("ben", 'ip = "5.6.7.9"', 'dns = "gone.example.org"'), 7, "Name or service not known"),
        (ANNA + ANNA, 4, "is here and on line 1"),
    ],
)
def test_a_mistake_is_refused_with_its_line_before_anything_is_touched(
    gate: MemoryGate, text: str, line: int, words: str
) -> None:
    apply(gate, BEN)
    before = {path: path.read_bytes() for path in (*gate.places.config_dir.iterdir(), gate.places.state)}
    with pytest.raises(ConfigError, match=rf"^/home/me/friends.toml:{line}: ") as caught:
        apply(gate, text)
    assert words in str(caught.value)
    assert caught.value.fix
    assert gate.filter.holds() == {"5.6.7.9/32"}
    assert {path: path.read_bytes() for path in before} == before


def test_a_list_on_the_host_with_what_is_over_is_applied_without_it(gate: MemoryGate) -> None:
    gate.places.friends.write_text(ANNA + friend("ben", 'ip = "5.6.7.9"', 'until = "2020-01-01 10:00Z"'))
    answer = apply(gate)
    assert gate.filter.holds() == {"5.6.7.8/32"}
    assert answer["warnings"] == ["ben's entry is over."]


def test_a_friend_by_name_is_let_in_by_the_answer_and_kept_when_the_name_fails(gate: MemoryGate) -> None:
    apply(gate, DORA)
    assert gate.filter.holds() == {"5.6.7.10/32"}
    gate.now += 3600
    answer = push.push(gate, Push(ANNA + DORA, OWNER), resolver())
    assert gate.filter.holds() == {"5.6.7.8/32", "5.6.7.10/32"}
    assert answer["warnings"] == [
        "dora.example.org: Name or service not known; the last good answer is kept: 5.6.7.10/32."
    ]


def test_what_the_filter_refuses_leaves_everything_as_it_was(gate: MemoryGate) -> None:
    apply(gate, ANNA)
    gate.filter.refuses = "nft refused the rules"
    for wish in ({}, {"rollback_after": 60}):
        with pytest.raises(FilterError, match="nft refused"):
            apply(gate, BEN, **wish)
    assert gate.places.friends.read_text() == ANNA
    assert not gate.places.pending.exists()
    assert state.load(gate.places.state).rolled_back is None


def test_a_push_waits_and_is_kept_by_its_token_alone(gate: MemoryGate) -> None:
    apply(gate, ANNA)
    answer = apply(gate, BEN, rollback_after=60)
    assert answer["rollback_at"] == int(gate.now) + 60
    assert not commit_confirm.confirm(gate, "another")
    assert commit_confirm.confirm(gate, answer["token"])
    assert not commit_confirm.confirm(gate, answer["token"])
    assert not commit_confirm.roll_back(gate, answer["token"], "late")
    assert gate.filter.holds() == {"5.6.7.9/32"}


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, set[str]]]:
    """Give what is brought to the disk, in that order: each place, and the files that were in it then."""
    found: list[tuple[Path, set[str]]] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        place = Path(f"/proc/self/fd/{handle}").readlink()
        found.append((place, {path.name for path in place.iterdir()} if place.is_dir() else set()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_a_confirmation_is_on_the_disk_before_it_is_answered(
    gate: MemoryGate, synced: list[tuple[Path, set[str]]]
) -> None:
    answer = apply(gate, ANNA, rollback_after=60)
    synced.clear()
    assert commit_confirm.confirm(gate, answer["token"])
    (place, files), *_ = synced
    assert place == gate.places.state_dir
    assert "pending.json" not in files, "else it is back after a power loss, and a confirmed push is taken back"


def test_a_push_is_on_the_disk_with_its_way_back_first(gate: MemoryGate, synced: list[tuple[Path, set[str]]]) -> None:
    apply(gate, ANNA, rollback_after=60)
    folders = [(place, files) for place, files in synced if files]
    assert folders[0][0] == gate.places.state_dir
    assert "pending.json" in folders[0][1]
    assert {"friends.toml", "allowlist"} <= [files for place, files in folders if place == gate.places.config_dir][-1]
    assert "gate.json" in folders[-1][1]


def test_a_file_system_that_brings_no_folders_to_the_disk_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    assert places.write(tmp_path / "file", "one")
    assert places.write(tmp_path / "file", None)


def test_what_comes_back_is_filter_files_and_what_is_known(gate: MemoryGate) -> None:
    apply(gate, ANNA)
    before = (gate.places.friends.read_text(), gate.places.allowlist.read_text())
    answer = apply(gate, BEN, rollback_after=60)
    assert commit_confirm.roll_back(gate, answer["token"], "it was not confirmed in time")
    assert gate.filter.holds() == {"5.6.7.8/32"}
    assert (gate.places.friends.read_text(), gate.places.allowlist.read_text()) == before
    known = state.load(gate.places.state)
    assert known.rolled_back == {"at": int(gate.now), "token": answer["token"], "why": "it was not confirmed in time"}
    assert known.friends == ANNA
    assert not apply(gate, ANNA)["changed"]
    assert apply(gate, BEN)["changed"]
    assert state.load(gate.places.state).rolled_back is None, "the next good push takes the marker away"


def test_a_friend_by_name_whom_a_push_left_out_gets_in_again_when_it_comes_back(gate: MemoryGate) -> None:
    apply(gate, DORA)
    before = gate.places.allowlist.read_text()
    answer = apply(gate, ANNA, rollback_after=60)
    assert commit_confirm.roll_back(gate, answer["token"], "it was not confirmed in time")
    assert gate.filter.holds() == {"5.6.7.10/32"}, "nobody was asked in between"
    assert gate.places.allowlist.read_text() == before


def test_what_was_found_of_a_name_while_a_push_waited_is_kept_when_it_comes_back(gate: MemoryGate) -> None:
    apply(gate, DORA)
    answer = apply(gate, ANNA + DORA, rollback_after=60)
    known = state.load(gate.places.state)
    known.names["dora.example.org"].addresses = ["5.6.7.11/32"]
    state.save(gate.places.state, known)
    commit_confirm.roll_back(gate, answer["token"], "late")
    assert gate.filter.holds() == {"5.6.7.11/32"}


def test_a_push_over_a_broken_list_that_comes_back_leaves_what_was_in_force(gate: MemoryGate) -> None:
    apply(gate, ANNA)
    gate.places.friends.write_text("[[friend]]\nname = ")
    answer = apply(gate, BEN, rollback_after=60)
    commit_confirm.roll_back(gate, answer["token"], "late")
    gate.filter.remove()
    Agent(gate).look(told=True)
    assert gate.filter.holds() == {"5.6.7.8/32"}


def test_what_comes_back_is_put_right_and_into_its_allowlist_with_broken_settings_too(gate: MemoryGate) -> None:
    own = gate.places.config_dir / "own"
    gate.places.settings.write_text(f'[gate]\nallowlist = "{own}"\n')
    apply(gate, ANNA + friend("ben", 'ip = "5.6.7.9"', f"until = {moment(gate.now + 30)}"))
    answer = apply(gate, BEN, rollback_after=60)
    gate.places.settings.write_text("[listen]\nport = ")
    gate.now += 60
    commit_confirm.roll_back(gate, answer["token"], "late")
    assert "5.6.7.8" in own.read_text()
    assert "5.6.7.9" not in own.read_text()


@pytest.mark.parametrize(
    "change",
    [
        lambda held: held.pop("names"),
        lambda held: held.update(later=1),
        lambda held: held["names"].update({"dora.example.org": {"addresses": [], "later": 1}}),
        lambda held: held["applied"].update(later=1),
    ],
)
def test_a_push_that_another_release_armed_comes_back_too(gate: MemoryGate, change: Callable[[Any], object]) -> None:
    apply(gate, ANNA)
    answer = apply(gate, BEN, rollback_after=60)
    held = json.loads(gate.places.pending.read_text())
    change(held)
    gate.places.pending.write_text(json.dumps(held))
    assert commit_confirm.roll_back(gate, answer["token"], "late")
    assert gate.filter.holds() == {"5.6.7.8/32"}


def test_what_ended_meanwhile_does_not_come_back(gate: MemoryGate) -> None:
    apply(gate, ANNA + friend("ben", 'ip = "5.6.7.9"', f"until = {moment(gate.now + 30)}"))
    answer = apply(gate, DORA, rollback_after=60)
    gate.now += 60
    commit_confirm.roll_back(gate, answer["token"], "late")
    assert gate.filter.holds() == {"5.6.7.8/32"}
    assert "5.6.7.9" not in gate.places.allowlist.read_text()


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def test_a_timer_that_was_lost_is_made_up_for_by_whoever_comes_next(gate: MemoryGate) -> None:
    apply(gate, ANNA)
    apply(gate, BEN, rollback_after=60)
    gate.now += 60 + commit_confirm.GRACE
    assert commit_confirm.overdue(gate) is None, "the timer has its chance"
    gate.now += 1
    assert commit_confirm.overdue(gate)
    apply(gate)
    assert gate.filter.holds() == {"5.6.7.8/32"}


def test_the_same_push_again_while_the_first_waits_is_kept_by_its_own_confirmation(gate: MemoryGate) -> None:
    apply(gate, ANNA)
    first = apply(gate, ANNA + BEN, rollback_after=60)
    second = apply(gate, ANNA + BEN, rollback_after=60)
    assert not second["changed"]
    assert second["token"] not in (None, first["token"])
    assert commit_confirm.confirm(gate, second["token"])
    gate.now += 60
    assert not commit_confirm.roll_back(gate, first["token"], "it was not confirmed in time")
    assert gate.filter.holds() == {"5.6.7.8/32", "5.6.7.9/32"}
    assert gate.places.friends.read_text() == ANNA + BEN


def test_the_same_push_again_that_nobody_confirms_brings_back_what_stood_before_the_first(gate: MemoryGate) -> None:
    apply(gate, ANNA)
    apply(gate, ANNA + BEN, rollback_after=60)
    second = apply(gate, ANNA + BEN, rollback_after=60)
    assert commit_confirm.roll_back(gate, second["token"], "it was not confirmed in time")
    assert gate.filter.holds() == {"5.6.7.8/32"}
    assert gate.places.friends.read_text() == ANNA


def test_a_push_for_good_ends_the_waiting_of_one_before(gate: MemoryGate) -> None:
    apply(gate, ANNA)
    answer = apply(gate, BEN, rollback_after=60)
    apply(gate, ANNA + BEN)
    assert not commit_confirm.roll_back(gate, answer["token"], "late")
    assert gate.filter.holds() == {"5.6.7.8/32", "5.6.7.9/32"}


def test_a_second_push_that_is_refused_leaves_the_first_waiting(gate: MemoryGate) -> None:
    apply(gate, ANNA)
    answer = apply(gate, BEN, rollback_after=60)
    gate.filter.refuses = "no"
    with pytest.raises(FilterError):
        apply(gate, DORA, rollback_after=60)
    assert gate.filter.holds() == {"5.6.7.9/32"}
    assert commit_confirm.confirm(gate, answer["token"])


def test_a_second_push_that_fails_half_way_takes_the_unconfirmed_first_back(gate: MemoryGate) -> None:
    apply(gate, ANNA)
    apply(gate, BEN, rollback_after=60)
    gate.filter.refuses, gate.filter.seldom = "no", True
    with pytest.raises(FilterError):
        apply(gate, DORA, rollback_after=60)
    assert gate.filter.holds() == {"5.6.7.8/32"}
    assert gate.places.friends.read_text() == ANNA
    known = state.load(gate.places.state)
    assert known.rolled_back is not None
    assert known.rolled_back["why"] == "the push after it could not be applied"


def test_the_port_of_the_login_it_comes_by_is_never_filtered(gate: MemoryGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.delattr(MemoryGate, "_check_ports")
    gate.places.settings.write_text("# the relay\n[listen]\nport = 2200\n")
    with pytest.raises(ConfigError, match=r"relay.toml:3: port 2200 is the way in to this host") as caught:
        apply(gate, ANNA, controller="203.0.113.5 50000 198.51.100.1 2200")
    assert "the login from 203.0.113.5 came by it" in str(caught.value)
    assert apply(gate, ANNA, controller="203.0.113.5 50000 198.51.100.1 22")["changed"]
    assert state.load(gate.places.state).controller.endswith(" 22")


def test_the_relays_group_may_read_the_allowlist_it_shall_check(gate: MemoryGate) -> None:
    gate.places.settings.write_text("")
    apply(gate, ANNA)
    found = gate.places.allowlist.stat()
    assert stat.S_IMODE(found.st_mode) == 0o640
    assert found.st_gid == gate.places.settings.stat().st_gid


def as_a_package_has_it(gate: MemoryGate) -> None:
    """Give the settings to root, and their directory to a group."""
    gate.places.settings.write_text("")
    os.chown(gate.places.config_dir, -1, 4321)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_where_the_settings_are_roots_the_group_of_their_directory_may_read_the_allowlist(gate: MemoryGate) -> None:
    """As a package installs them: xbps has files belong to root, and directories to whom they are for."""
    as_a_package_has_it(gate)
    apply(gate, ANNA)
    assert gate.places.allowlist.stat().st_gid == 4321
    os.chown(gate.places.settings, -1, 1234)
    gate.places.allowlist.unlink()
    apply(gate, ANNA + "# again\n")
    assert gate.places.allowlist.stat().st_gid == 1234


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_relay_may_read_the_allowlist_that_came_back(gate: MemoryGate) -> None:
    as_a_package_has_it(gate)
    apply(gate, ANNA)
    answer = apply(gate, BEN, rollback_after=60)
    gate.filter.refuses = "nothing is put right afterwards"
    assert commit_confirm.roll_back(gate, answer["token"], "late")
    assert "5.6.7.8" in gate.places.allowlist.read_text()
    assert gate.places.allowlist.stat().st_gid == 4321


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_an_allowlist_that_the_relay_cannot_read_is_mended_although_it_says_what_it_shall(gate: MemoryGate) -> None:
    as_a_package_has_it(gate)
    apply(gate, ANNA)
    for harm in (lambda path: os.chown(path, -1, 0), lambda path: path.chmod(0o600)):
        harm(gate.places.allowlist)
        assert apply(gate)["changed"]
        found = gate.places.allowlist.stat()
        assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (4321, 0o640)
    assert not apply(gate)["changed"]


def test_the_program_that_takes_a_push_back_is_this_one() -> None:
    command = commit_confirm.own_command()
    assert Path(command[0]).is_absolute()
    assert "-I" in command


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    assert places.write(path, "one")
    assert not places.write(path, "one")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        places.write(path, "two")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("file", "one")]
    assert places.write(path, None)
    assert not places.write(path, None)


def test_a_host_that_takes_long_to_list_its_entries_has_them_all_the_same(gate: MemoryGate) -> None:
    soon = friend("cara", 'ip = "5.6.7.11"', f'until = "{datetime.fromtimestamp(gate.now + 3, UTC).isoformat()}"')

    def pass_time() -> None:
        gate.now += 5

    gate.filter.then = pass_time
    apply(gate, ANNA + soon)
    assert gate.filter.holds() == {"5.6.7.8/32"}, "the other entry has ended meanwhile"


def test_an_entry_that_is_not_there_after_all_is_an_error(gate: MemoryGate) -> None:
    gate.filter.then = lambda: gate.filter.sets["host4"].clear()
    with pytest.raises(FilterError, match="does not show them"):
        apply(gate, ANNA)


def test_another_firewall_that_cannot_be_closed_costs_a_sentence_and_is_tried_again(
    gate: MemoryGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(gate, ANNA)
    known = state.load(gate.places.state)
    known.opened = [{"tool": "ufw", "ports": [55435], "where": []}]
    state.save(gate.places.state, known)
    fails, closed = True, []

    def close(_: Coexistence, keep: Sequence[int] = ()) -> list[str]:
        if fails:
            raise ProgramError(["ufw", "delete"], 1, "ERROR: could not get the lock")
        closed.append(list(keep))
        return []

    monkeypatch.setattr(Coexistence, "close", close)
    gate.places.settings.write_text("[listen]\nport = 55440\n")
    answer = apply(gate, ANNA)
    assert answer["ports"] == [55440]
    assert "could not be closed: ufw: ERROR: could not get the lock" in " ".join(answer["warnings"])
    assert state.load(gate.places.state).opened == known.opened
    agent = Agent(gate)
    assert agent.look(told=True) is not None, "it lives on"
    fails = False
    assert apply(gate, survey=True)["warnings"] == []
    assert closed == [[55440]]
    assert state.load(gate.places.state).opened == []


class Changed(MemoryGate):
    """A host whose packet filter is another one than before: the new one in memory, no program of the old one."""

    def __init__(self, folder: Path, former: str) -> None:
        """Have a list applied by the former filter."""
        now, program = {"iptables": ("nftables", "nft"), "nftables": ("iptables", "iptables-restore")}[former]
        super().__init__(folder, ScriptedPrograms({program: ""}))
        self.filter.name = now
        known = State(applied=Applied(former, [55435], "", ""), friends=ANNA)
        state.save(self.places.state, known)
        self.places.friends.write_text(ANNA)

    def named(self, name: str, state: State) -> Backend:
        """Return the filter in memory, or what a host of these programs has of the former one."""
        return super().named(name, state) if name == self.filter.name else Gate.named(self, name, state)


@pytest.mark.parametrize("former", ["iptables", "nftables"])
@pytest.mark.parametrize("wish", [{}, {"rollback_after": 60}])
def test_where_the_former_packet_filter_is_gone_the_wall_is_put_up_with_the_other_and_that_is_said(
    gate: MemoryGate, tmp_path: Path, former: str, wish: dict[str, Any]
) -> None:
    (tmp_path / "host").mkdir()
    changed = Changed(tmp_path / "host", former)
    answer = apply(changed, ANNA + BEN, **wish)
    assert changed.filter.holds() == {"5.6.7.8/32", "5.6.7.9/32"}
    assert "5.6.7.9" in changed.places.allowlist.read_text()
    (warning,) = answer["warnings"]
    assert warning.startswith(
        f"what {former} held of netplay-relay could not be removed: {former} is not on this host any"
    )
    assert apply(changed, ANNA + BEN)["warnings"] == [warning], "it is said as long as it may stand"


@pytest.mark.parametrize(("former", "program"), [("iptables", "iptables-save"), ("nftables", "nft")])
def test_a_former_packet_filter_that_fails_costs_a_sentence_and_not_the_change(
    gate: MemoryGate, tmp_path: Path, former: str, program: str
) -> None:
    """The program is there, and a newer kernel has not what it is for."""
    (tmp_path / "host").mkdir()
    changed = Changed(tmp_path / "host", former)
    changed.programs.answers |= {  # type: ignore[attr-defined]
        "iptables-restore": "",
        program: ProgramError([program], 3, "Table does not exist"),
    }
    answer = apply(changed, ANNA + BEN)
    assert changed.filter.holds() == {"5.6.7.8/32", "5.6.7.9/32"}
    assert "5.6.7.9" in changed.places.allowlist.read_text()
    (warning,) = answer["warnings"]
    assert warning.startswith(f"what {former} held of netplay-relay could not be removed: ")


@pytest.mark.parametrize("former", ["iptables", "nftables"])
def test_a_former_packet_filter_that_is_gone_is_nothing_to_come_back_to(
    gate: MemoryGate, tmp_path: Path, former: str
) -> None:
    (tmp_path / "host").mkdir()
    changed = Changed(tmp_path / "host", former)
    answer = apply(changed, ANNA + BEN, rollback_after=60)
    assert commit_confirm.roll_back(changed, answer["token"], "late")
    assert changed.filter.holds() == {"5.6.7.8/32"}
    assert changed.places.friends.read_text() == ANNA


def test_what_a_push_opened_elsewhere_stays_known_when_it_cannot_be_closed(
    gate: MemoryGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(gate, ANNA)
    answer = apply(gate, BEN, rollback_after=60)
    known = state.load(gate.places.state)
    known.opened = [{"tool": "ufw", "ports": [55435], "where": []}]
    state.save(gate.places.state, known)

    def close(_: Coexistence, keep: Sequence[int] = ()) -> list[str]:
        raise ProgramError(["ufw", "delete"], 1, "no")

    monkeypatch.setattr(Coexistence, "close", close)
    assert commit_confirm.roll_back(gate, answer["token"], "late")
    assert state.load(gate.places.state).opened == known.opened


def test_a_list_on_the_host_that_is_no_text_is_replaced_and_comes_back_as_it_was(gate: MemoryGate) -> None:
    """Somebody has edited it there, with an editor that writes latin-1."""
    apply(gate, ANNA)
    broken = ANNA.encode() + b"# j\xfcrgen\r\n"
    gate.places.friends.write_bytes(broken)
    answer = apply(gate, BEN, rollback_after=60)
    assert gate.filter.holds() == {"5.6.7.9/32"}
    assert commit_confirm.roll_back(gate, answer["token"], "late")
    assert gate.places.friends.read_bytes() == broken
    assert gate.filter.holds() == {"5.6.7.8/32"}


def test_an_allowlist_that_is_no_text_is_written_anew(gate: MemoryGate) -> None:
    """As a disk that fails may leave it."""
    apply(gate, ANNA)
    text = gate.places.allowlist.read_text()
    gate.places.allowlist.write_bytes(b"\xff\xfe")
    assert apply(gate)["changed"]
    assert gate.places.allowlist.read_text() == text


def test_the_same_list_again_from_a_windows_editor_changes_nothing(gate: MemoryGate) -> None:
    """Its lines end in CR and LF, on the host too."""
    text = ANNA.replace("\n", "\r\n")
    assert apply(gate, text)["changed"]
    assert gate.places.friends.read_bytes() == text.encode()
    assert not apply(gate, text, rollback_after=60)["changed"]


@pytest.mark.parametrize("file", ["friends", "allowlist"])
def test_what_comes_back_to_a_full_disk_is_the_filter_at_once_and_the_files_when_there_is_room(
    gate: MemoryGate, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """The agent tries again for as long as the push waits to be taken back."""
    apply(gate, ANNA)
    token = apply(gate, BEN, rollback_after=60)["token"]
    write = places.write

    def full(path: Path, text: str | None, like: Path | None = None) -> bool:
        if path == getattr(gate.places, file):
            raise OSError(28, "No space left on device")
        return write(path, text, like)

    with monkeypatch.context() as patched:
        patched.setattr(places, "write", full)
        with pytest.raises(OSError, match="No space"):
            commit_confirm.roll_back(gate, token, "late")
    assert gate.filter.holds() == {"5.6.7.8/32"}
    assert commit_confirm.roll_back(gate, token, "late")
    assert gate.places.friends.read_text() == ANNA
    assert "5.6.7.8" in gate.places.allowlist.read_text()
    assert gate.filter.holds() == {"5.6.7.8/32"}
    assert not gate.places.pending.exists()


def test_a_push_whose_timer_cannot_be_started_leaves_nothing_that_waits(
    gate: MemoryGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(gate, ANNA)

    def fails(_: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(commit_confirm, "_detach", fails)
    with pytest.raises(OSError, match="Cannot allocate"):
        apply(gate, BEN, rollback_after=60)
    assert not gate.places.pending.exists()
    assert gate.filter.holds() == {"5.6.7.8/32"}


@pytest.mark.parametrize("known", [(), ("anna",), ("anna", "carl")])
def test_a_list_that_would_remove_friends_it_is_not_based_on_is_refused_with_them(
    gate: MemoryGate, known: tuple[str, ...]
) -> None:
    apply(gate, ANNA + BEN)
    with pytest.raises(others.OthersError, match="ben") as caught:
        apply(gate, ANNA, based_on=others.digest(known), rollback_after=60)
    assert [one["name"] for one in caught.value.told()["friends"]] == ["ben"]
    assert caught.value.told()["friends"][0]["ip"] == ["5.6.7.9/32"]
    assert gate.places.friends.read_text() == ANNA + BEN
    assert not gate.places.pending.exists()
    # Who knows them by now may remove them.
    assert apply(gate, ANNA, based_on=caught.value.digest)["removed"] == ["5.6.7.9/32"]


def test_a_list_that_removes_nobody_or_whom_it_knows_needs_no_word(gate: MemoryGate) -> None:
    apply(gate, ANNA, based_on=others.digest([]))
    apply(gate, ANNA + BEN, based_on=others.digest([]))
    assert apply(gate, BEN, based_on=others.digest(["anna", "ben"]))["removed"] == ["5.6.7.8/32"]


def test_a_broken_list_of_the_host_counts_as_what_was_applied_of_it(gate: MemoryGate) -> None:
    apply(gate, ANNA)
    gate.places.friends.write_text("nonsense")
    with pytest.raises(others.OthersError, match="anna"):
        apply(gate, BEN, based_on=others.digest([]))
    assert apply(gate, ANNA, based_on=others.digest([]))["files"]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")
def test_a_list_that_belongs_to_another_account_is_written_again(gate: MemoryGate) -> None:
    apply(gate, ANNA)
    os.chown(gate.places.friends, 65534, 65534)
    apply(gate, ANNA)
    assert gate.places.friends.stat().st_uid == 0
