"""invoke status: what a person sees of the relay's state."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from toolkit import status

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


def drawn(table: Any) -> str:
    console = Console(width=160, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_the_relay_itself_is_one_line() -> None:
    assert status.summary(STATE) == (
        "netplay-relay 0.1.0 (732cdd98714b6c68), up 1 h 1 min, ports 55435, 55440, 3 of 1024 connections"
    )


def test_a_relay_that_stops_says_so() -> None:
    assert status.summary({**STATE, "draining": True}).endswith("stopping: no new rooms")


def test_a_room_shows_its_host() -> None:
    text = drawn(status.rooms(STATE))
    for words in ("FridayNightRoom1", "55440", "198.51.100.9", "40 ms", "1 min"):
        assert words in text


def test_a_player_shows_who_does_what_and_how_far_away() -> None:
    text = drawn(status.players(STATE))
    for words in ("anna", "playing 2, paused by anna, 3 desyncs", "Nestopia", "25±1 ms", "1.2 kB / 3.4 MB", "waiting"):
        assert words in " ".join(text.split())


def test_outcomes_are_counted_in_a_line() -> None:
    assert status.outcomes(STATE) == "ended so far: left 4, stranger 17"
    assert status.outcomes({**STATE, "outcomes": {}}) == "ended so far: none"
