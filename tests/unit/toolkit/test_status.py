"""invoke status: what a person sees of the state of the relay and its gate, on terminals wide and narrow."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from invoke.context import Context
from rich.console import Console

from relay import pace
from tests.support.statuses import client, session, table
from tests.unit.toolkit.conftest import FakeSsh
from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.friends import commands
from toolkit.hosts import inventory, last, target
from toolkit.hosts.inventory import Entry
from toolkit.hosts.names import parse_host
from toolkit.hosts.target import DeployTarget
from toolkit.lab import DEFAULT_SPEC
from toolkit.status import show
from toolkit.tasks.status import status as task

WAY = {"rtt": 0.0254, "jitter": 0.0012, "retransmits": 0}
SEEN: dict[str, Any] = {
    "client": {"nick": "anna", "core": "Nestopia", "retroarch": "1.14.0"},
    "host": {"nick": "ben", "core": "Nestopia", "retroarch": "1.14.0"},
    "role": "playing",
    "player": 2,
    "paused": True,
    "paused_by": "anna",
    "desyncs": 3,
}
CLIENT: dict[str, Any] = {
    "address": "203.0.113.7",
    "state": "linked",
    "age": 61,
    "bytes_from_client": 1200,
    "bytes_from_host": 3_400_000,
    "waiting_bytes": 0,
    "to_client": WAY,
    "to_host": None,
    "seen": SEEN,
}
STATE: dict[str, Any] = {
    "program": "netplay-relay 0.1.0 (732cdd98714b6c68)",
    "age": 3700,
    "draining": False,
    "ports": [55435, 55440],
    "connections": {"now": 3, "most": 1024},
    "sessions": [
        {
            "id": "FridayNightRoom1",
            "port": 55440,
            "age": 90,
            "joins": 2,
            "host": {"address": "198.51.100.9", "rtt": 0.04},
            "clients": [CLIENT, {**CLIENT, "state": "waiting", "seen": None}],
        }
    ],
    "outcomes": {"left": 4, "stranger": 17},
}


GATE: dict[str, Any] = {
    "backend": "nftables",
    "present": True,
    "complete": True,
    "agent": 42,
    "healed": {"count": 0, "at": None, "what": ""},
    "packets": {"friends": 12, "refused": 34, "established": 5, "capped": 0},
    "entries": [
        {
            "network": "203.0.113.7/32", "friends": ["anna"], "names": [], "until": None, "remaining": None,
            "in_force": True, "packets": 3, "seen": None, "connected": 2,
        }
    ],
    "expired": [],
    "problem": "",
    "rolled_back": None,
    "warnings": [],
    "others": [],
}  # fmt: skip


def drawn(what: Any, width: int = 160) -> str:
    console = Console(width=width, file=None, force_terminal=False, soft_wrap=True)
    with console.capture() as captured:
        console.print(what)
    return captured.get()


def test_the_relay_itself_is_one_line() -> None:
    assert show.summary(STATE) == (
        "netplay-relay 0.1.0 (732cdd98714b6c68), up 1 h 1 min, ports 55435, 55440, 3 of 1024 connections"
    )


def test_a_relay_that_stops_says_so() -> None:
    assert show.summary({**STATE, "draining": True}).endswith("stopping: no new rooms")


def test_a_room_shows_its_host() -> None:
    text = drawn(show.rooms(STATE, 160))
    for words in ("FridayNightRoom1", "55440", "198.51.100.9", "40 ms", "1 min"):
        assert words in text
    assert "mode" not in text


def test_a_room_without_a_host_is_shown_like_any_other() -> None:
    state = {"sessions": [], "tables": [table(55441, "ben", "cleo")]}
    text = drawn(show.rooms(state, 160)) + drawn(show.players(state, 160))
    for words in ("port 55441", "no host", "5 s", "ben", "cleo", "Nestopia", "30±"):
        assert words in text


def test_a_player_shows_who_does_what_and_how_far_away() -> None:
    text = drawn(show.players(STATE, 160))
    for words in ("anna", "playing 2, paused by anna, 3 desyncs", "Nestopia", "25±1 ms", "1.2 kB / 3.4 MB", "waiting"):
        assert words in " ".join(text.split())


@pytest.mark.parametrize("what", [show.rooms, show.players])
def test_what_does_not_fit_into_40_columns_becomes_a_block_for_each(what: Any) -> None:
    text = drawn(what(STATE, 40), 40)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "─" not in text
    assert "FridayNightRoom1" in text
    assert "…" not in text


def test_who_is_let_in_survives_40_columns() -> None:
    text = drawn(commands.table(GATE, 40), 40)
    for words in ("anna", "203.0.113.7/32", "for good", "2 connected"):
        assert words in text


def test_outcomes_are_counted_in_a_line() -> None:
    assert show.outcomes(STATE) == "ended so far: left 4, stranger 17"
    assert show.outcomes({**STATE, "outcomes": {}}) == "ended so far: none"
    told = show.outcomes({**STATE, "session_outcomes": {"host-left": 2, "left": 1}})
    assert told == "ended so far: left 4, stranger 17; sessions: host-left 2, left 1"


def test_the_state_of_the_gate_is_one_line() -> None:
    assert show.wall(GATE) == (
        "gate: the firewall rules are loaded (nftables), 12 friends' connections let in, 34 packets refused"
    )
    assert "ARE NOT LOADED" in show.wall({**GATE, "present": False, "complete": False, "packets": {}})


@pytest.fixture
def place() -> DeployTarget:
    """Return a host that was deployed to, as far as this machine knows."""
    host = parse_host("myvps")
    inventory.write(inventory.files_of(host).inventory, Entry(host).render())
    return target.real("myvps")


def test_a_host_that_was_never_deployed_to_is_told_so() -> None:
    with pytest.raises(UserError, match="there is no relay on myvps") as caught:
        show.look(target.real("myvps"))
    assert "invoke deploy --host myvps" in caught.value.fix


def test_a_relay_that_does_not_answer_leaves_the_gate_to_be_seen(
    place: DeployTarget, fake_ssh: FakeSsh, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = show.gate.ask
    monkeypatch.setattr(show.gate, "ask", lambda *_: GATE)
    fake_ssh.answers(stderr="netplay-relay: no answer at /run/netplay-relay/control.sock: No such file", code=1)
    look = show.look(place)
    assert (look.relay, look.gate) == (None, GATE)
    assert "no answer at /run/netplay-relay/control.sock" in look.problems[0].message
    assert look.to_json()["problems"]
    monkeypatch.setattr(show.gate, "ask", asked)
    with pytest.raises(UserError, match="no answer at"):
        show.look(place)


def test_without_a_host_and_a_deployment_a_sentence_says_what_to_type(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The lab of this name may be up on this machine, and then is what is meant.
    monkeypatch.setattr(last, "DEFAULT_SPEC", replace(DEFAULT_SPEC, name="no-such-lab"))
    with pytest.raises(SystemExit):
        task(Context())
    said = capsys.readouterr().err
    assert "no relay was deployed from this machine yet" in said
    assert "invoke deploy --host myvps" in said


def test_both_states_are_one_object_in_json() -> None:
    told = show.Look(STATE, GATE).to_json()
    assert json.loads(json.dumps(told))["gate"]["packets"]["refused"] == 34
    assert told["sessions"] == STATE["sessions"]
    assert "problems" not in told


class Asked:
    """A host that answers one state after the other."""

    def __init__(self, states: list[dict[str, Any]]) -> None:
        self.states = states
        self.count = 0

    def ask(self, _: list[str], _shape: object) -> dict[str, Any]:
        """Answer with the next state."""
        self.count += 1
        return self.states[self.count - 1]


@pytest.mark.parametrize("plays", [True, False])
def test_a_game_is_looked_at_often_enough_to_say_why_it_stutters(plays: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    states = []
    for number in range(pace.LOOKS):
        frame = 1000 + 23 * number
        ben = client("ben", frame=frame, client_frame=frame - 58, savestates=1)
        ben |= {"age": 60.0 + number}
        states.append({**STATE, "age": 60.0 + number, "sessions": [session("x", clients=[ben] if plays else [])]})
    remote = Asked(states)
    monkeypatch.setattr(show, "open_session", lambda *_, **__: nullcontext(remote))
    monkeypatch.setattr(show.gate, "ask", lambda *_: GATE)
    monkeypatch.setattr(pace, "BETWEEN", 0.0)
    look = show.look(target.real("myvps"))
    assert remote.count == (pace.LOOKS if plays else 1)
    assert bool(look.to_json().get("stutters")) == plays
    if plays:
        ((room, verdict),) = look.stutters()
        assert (room, verdict.cause) == ("x", pace.Cause.SLOW_MACHINE)
        assert "everybody waits for ben, who is 58 frames behind" in look.to_json()["stutters"][0]["says"]


def test_ssh_that_fails_is_explained_and_nothing_is_asked_twice(place: DeployTarget, fake_ssh: FakeSsh) -> None:
    fake_ssh.answers(stderr="ssh: connect to host myvps port 22: Connection refused", code=255)
    with pytest.raises(UserError, match="nothing answers on its ssh port") as caught:
        show.look(place)
    assert caught.value.exit_code == HOST_UNUSABLE
    assert len([arguments for arguments, _ in fake_ssh.calls if "exit" not in arguments]) == 1
