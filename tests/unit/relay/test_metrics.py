"""The relay's state for Prometheus: bounded labels, nothing personal."""

from __future__ import annotations

import asyncio
import builtins
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from relay.cli import main
from relay.config import Config, RoomConfig
from relay.monitoring import metrics, status
from relay.net.control_socket import ControlSocket
from tests.support import netplay
from tests.support.fakes import FakeClient, FakeHost, Stream, playing
from tests.support.relays import Relay, running


def client(state: str = "linked", **seen: Any) -> dict[str, Any]:
    way = {"rtt": 0.025, "jitter": 0.001, "retransmits": 0}
    return {
        "address": "203.0.113.7",
        "state": state,
        "waiting_bytes": 5,
        "to_client": way,
        "to_host": {**way, "rtt": 0.1},
        "seen": {"paused": False, "desyncs": 0, "client": {"nick": "anna"}, **seen} if state == "linked" else None,
    }


STATE: dict[str, Any] = {
    "age": 12.5,
    "draining": False,
    "connections": {"now": 7, "most": 1024},
    "rooms": [{"id": "FridayNightRoom1", "port": 55440}],
    "tables": [],
    "sessions": [
        {"id": "FridayNightRoom1", "clients": [client(paused=True), client(desyncs=2), client("waiting")]},
        {"id": "kQ8o1ZrandomId00", "clients": [client()]},
    ],
    "outcomes": {"left": 3, "garbage": 40},
    "session_outcomes": {"host-left": 2, "room-failed": 1},
}


Samples = dict[tuple[str, str], float]


def samples(state: dict[str, Any]) -> Samples:
    return parsed(metrics.text(state))


def parsed(text: str) -> Samples:
    """Return each sample by its name and the values of its labels, those of the labels that come first first."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, " ".join(value for _, value in sorted(sample.labels.items())).strip()
            assert key not in found, "no sample is there twice, or the whole text is refused"
            found[key] = sample.value
    return found


def test_what_a_dashboard_wants_is_there() -> None:
    found = samples(STATE)
    assert found["netplay_sessions", ""] == 2
    assert found["netplay_connections", ""] == 7
    assert found["netplay_paused", ""] == 1
    assert found["netplay_desyncs", ""] == 2
    assert found["netplay_worst_rtt_seconds", ""] == 0.1
    assert found["netplay_waiting_bytes", ""] == 20
    assert found["netplay_connections_ended_total", "garbage"] == 40
    assert found["netplay_sessions_ended_total", "host-left"] == 2


def test_only_rooms_of_the_configuration_are_labels() -> None:
    found = samples(STATE)
    assert found["netplay_clients", "55440 Frid…"] == 2
    assert found["netplay_clients", "other"] == 1
    assert "kQ8o" not in metrics.text(STATE)


def test_no_whole_id_is_a_label_for_whoever_knows_it_is_let_in() -> None:
    assert "FridayNightRoom1" not in metrics.text(STATE)
    assert 'netplay_clients{port="55440",room="Frid…"} 2.0' in metrics.text(STATE).splitlines()


def test_rooms_that_begin_alike_are_told_apart_by_their_port_and_counted_together_where_they_share_it() -> None:
    rooms = [{"id": f"FridayNightRoom{number}", "port": port} for number, port in ((1, 55440), (2, 55435), (3, 55435))]
    sessions = [{"id": room["id"], "clients": [client()] * number} for number, room in enumerate(rooms, 1)]
    found = samples({**STATE, "rooms": rooms, "sessions": sessions})
    counted = {labels: value for (name, labels), value in found.items() if name == "netplay_clients"}
    assert counted == {"55440 Frid…": 1, "55435 Frid…": 5, "other": 0}


def test_nobody_is_named() -> None:
    text = metrics.text(STATE)
    assert "anna" not in text
    assert "203.0.113.7" not in text


def test_an_idle_relay_has_metrics_too() -> None:
    found = samples({**STATE, "sessions": [], "outcomes": {}, "rooms": []})
    assert found["netplay_sessions", ""] == 0
    assert found["netplay_clients", "other"] == 0


def test_a_relay_that_does_not_count_sessions_yet_has_metrics_too() -> None:
    state = {name: value for name, value in STATE.items() if name != "session_outcomes"}
    assert not [name for name, _ in samples(state) if name.startswith("netplay_sessions_ended")]


def test_without_the_library_the_command_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name.startswith("prometheus_client"):
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(metrics.LibraryMissingError, match="apt-get install python3-prometheus-client"):
        metrics.text(STATE)


# With what a relay says of itself while somebody plays.


def assert_of_a_game(relay: Relay, found: Samples) -> None:
    assert found["netplay_sessions", ""] == 1
    assert found["netplay_connections", ""] == relay.server.board.connections == 4
    assert found["netplay_clients", f"{relay.server._config.listen.port} Frid…"] == 1, "who only waits is not linked"
    assert found["netplay_paused", ""] == 1
    assert found["netplay_waiting_bytes", ""] == 0
    assert 0 < found["netplay_worst_rtt_seconds", ""] < 5


async def one_plays_and_one_waits(relay: Relay, host: FakeHost, link: Stream, client: FakeClient) -> FakeClient:
    """Let a client pause its game, and another one wait for its link."""
    for to_host, data in netplay.handshake()[1:]:
        await (client if to_host else link).send(data)
        assert await (link if to_host else client).read(len(data)) == data
    await client.send(netplay.pause("friend"))
    assert await link.read(len(netplay.pause("friend"))) == netplay.pause("friend")
    host.makes_links = False
    waits = await FakeClient.join(relay.address, relay.port, host.session)
    await relay.until(lambda: relay.server.board._waiting, "it waits for its link")
    return waits


async def test_a_relay_with_a_game_has_metrics_and_its_command_shows_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def answer(_sock: Any, _request: Any) -> dict[str, Any]:
        return status.of(relay.server, relay.server._config)

    config = Config(rooms=(RoomConfig("FridayNightRoom1"),))
    async with running(config) as relay, playing(relay.address, relay.port) as (host, link, client):
        waits = await one_plays_and_one_waits(relay, host, link, client)
        control = ControlSocket(tmp_path / "control.sock", {"status": answer})
        control.open(None)
        try:
            done = await asyncio.to_thread(main, ["metrics", "--socket", str(tmp_path / "control.sock")])
        finally:
            control.close()
        assert done == 0
        assert_of_a_game(relay, parsed(capsys.readouterr().out))
        await waits.close()
        await relay.until_outcome("left-waiting")
