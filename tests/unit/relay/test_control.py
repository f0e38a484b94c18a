"""The unix socket, and the commands that use it."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from relay import control_client, service_manager
from relay.cli import main
from relay.monitoring import report
from relay.monitoring.status import of
from relay.net.control_socket import ControlSocket
from tests.support.fakes import playing
from tests.support.relays import running


async def fine(_sock: socket.socket, _request: dict[str, Any]) -> dict[str, Any]:
    return {"answer": 42}


async def asked(path: Path, request: str) -> dict[str, Any]:
    return await asyncio.to_thread(control_client.ask, path, request, 5.0)


async def test_a_request_is_answered(tmp_path: Path) -> None:
    server = ControlSocket(tmp_path / "control.sock", {"status": fine})
    server.open()
    assert await asked(tmp_path / "control.sock", "status") == {"answer": 42}
    server.close()


async def test_an_unknown_request_is_told_what_there_is(tmp_path: Path) -> None:
    server = ControlSocket(tmp_path / "control.sock", {"status": fine})
    server.open()
    answer = await asked(tmp_path / "control.sock", "dance")
    assert answer == {"error": "no such request: 'dance'", "requests": ["status"]}
    server.close()


@pytest.mark.parametrize("data", [b"", b"hello\n", b"[1]\n", b"x" * 100_000])
async def test_garbage_ends_its_own_connection_only(tmp_path: Path, data: bytes) -> None:
    server = ControlSocket(tmp_path / "control.sock", {"status": fine})
    server.open()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "control.sock"))
    writer.write(data)
    writer.write_eof()
    try:
        answer = await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        answer = b""
    assert answer == b"" or "error" in json.loads(answer)
    writer.close()
    assert await asked(tmp_path / "control.sock", "status") == {"answer": 42}
    server.close()


async def test_the_socket_is_for_its_own_user_and_group_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    server = ControlSocket(path, {"status": fine})
    server.open()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    server.close()


async def test_what_an_older_program_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    old = ControlSocket(path, {})
    old.open()
    new = ControlSocket(path, {"status": fine})
    new.open()
    old.close()
    assert await asked(path, "status") == {"answer": 42}
    new.close()


async def test_a_request_carries_its_details(tmp_path: Path) -> None:
    async def echo(_sock: socket.socket, request: dict[str, Any]) -> dict[str, Any]:
        return {"was": request}

    path = tmp_path / "control.sock"
    server = ControlSocket(path, {"kick": echo})
    server.open()
    answer = await asyncio.to_thread(control_client.ask, path, "kick", 5.0, addresses=["203.0.113.7"])
    assert answer == {"was": {"do": "kick", "addresses": ["203.0.113.7"]}}
    server.close()


def test_the_service_managers_runtime_directory_is_where_it_goes_by_itself() -> None:
    assert control_client.default_path({"RUNTIME_DIRECTORY": "/run/netplay-relay"}) == Path(
        "/run/netplay-relay/control.sock"
    )
    assert control_client.default_path({}) is None


async def test_status_shows_who_plays() -> None:
    async with running() as relay, playing(relay.address, relay.port) as (host, link, client):
        await client.send(b"x" * 976)
        await link.read(976)
        state = of(relay.server, relay.server._config)
        (session,) = state["sessions"]
        assert session["id"] == host.text
        assert session["host"]["address"] == "127.0.0.1"
        (player,) = session["clients"]
        assert (player["state"], player["bytes_from_client"], player["bytes_from_host"]) == ("linked", 1000, 0)
        assert state["connections"]["now"] == 3
        assert json.dumps(state)
        text = report.text(state)
        assert f"room {host.text} on port {relay.port}" in text
        assert "1.0 kB in" in text


def test_a_relay_that_is_not_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_manager, "status_command", lambda: "rc-service netplay-relay status")
    with pytest.raises(SystemExit) as caught:
        main(["status", "--socket", str(tmp_path / "no.sock")])
    assert "Is the relay running? rc-service netplay-relay status" in str(caught.value.code)


def test_an_idle_relay_says_that_nobody_hosts() -> None:
    state = {
        "program": "netplay-relay 0.1.0",
        "age": 4000,
        "ports": [55435],
        "connections": {"now": 0, "most": 9},
        "draining": True,
        "sessions": [],
        "tables": [],
        "outcomes": {"garbage": 3},
    }
    text = report.text(state)
    assert text.splitlines() == [
        "netplay-relay 0.1.0, up 1 h 6 min, ports 55435, stopping: no new rooms",
        "connections 0 of 9",
        "nobody hosts",
        "",
        "ended: garbage 3",
    ]


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (3e9, "3.0 GB")]
)
def test_sizes_are_short(count: int, shown: str) -> None:
    assert report.size(count) == shown
