"""Whoever knows a session's id is let in, so no log has one, whatever happens and in whichever form it is written."""

from __future__ import annotations

import base64
import dataclasses
import io
import ipaddress
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.config import Config, Log, RoomConfig, parse
from relay.limits import Limits
from relay.logs import JsonFormatter
from relay.outcomes import Outcome
from relay.switchboard.connection import Conn, Session, SessionEnded, SessionOpened, State
from relay.tomlfile import ConfigError
from tests.support import wire
from tests.support.fakes import FakeClient, FakeHost, Stream, playing
from tests.support.relays import Relay, running

ROOM = "GrandmasSunday42"
ADDRESS = ipaddress.ip_address("203.0.113.7")


class Journal:
    """All that any logger says while it is attached, as text and as JSON."""

    def __init__(self) -> None:
        self._written = io.StringIO()
        self._handlers = [logging.StreamHandler(self._written) for _ in range(2)]
        self._handlers[0].setFormatter(JsonFormatter())
        self._handlers[1].setFormatter(logging.Formatter("%(levelname)s %(message)s %(args)r"))

    def attach(self, logger: logging.Logger) -> None:
        for handler in self._handlers:
            logger.addHandler(handler)

    def detach(self, logger: logging.Logger) -> None:
        for handler in self._handlers:
            logger.removeHandler(handler)

    @property
    def text(self) -> str:
        return self._written.getvalue()

    def assert_without(self, *ids: bytes) -> None:
        for each in ids:
            for form in (base64.b64encode(each).decode(), each.hex(), repr(each)[2:-1], str(list(each))):
                assert form not in self.text


@pytest.fixture
def journal() -> Iterator[Journal]:
    written, root = Journal(), logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    written.attach(root)
    yield written
    written.detach(root)
    root.setLevel(level)


async def ends_of_all_kinds(relay: Relay) -> list[bytes]:
    """Let sessions and clients end in every way that players and strangers can bring about; return the sessions."""
    at = (relay.address, relay.port)
    first = await FakeHost.host(*at, source="127.0.0.2")
    assert await (await FakeClient.join(*at, b"never-issued")).rest() == b""
    silent = await FakeHost.host(*at, makes_links=False, source="127.0.0.3")
    assert (await (await FakeClient.join(*at)).rest())[:4] == b"FULL"  # ambiguous
    late = await FakeClient.join(*at, silent.session)
    await relay.until(lambda: silent.asked, "the host is asked for a link")
    assert (await (await FakeClient.join(*at, silent.session)).rest())[:4] == b"FULL"  # session full
    relay.pass_time(11)
    assert (await late.rest())[:4] == b"FULL"  # not linked
    left = await FakeClient.join(*at, silent.session)
    await relay.until(lambda: len(silent.asked) == 2, "the host is asked again")
    await left.close()
    await relay.until_outcome("left-waiting")
    waiting = await FakeClient.join(*at, silent.session)
    await relay.until(lambda: len(silent.asked) == 3, "the host is asked once more")
    await silent.control.send(b"nonsense")
    assert await waiting.rest() == b""  # host gone, because it broke the protocol
    stray = await Stream.open(*at)
    await stray.send(wire.link(silent.asked[0]))
    assert await stray.rest() == b""
    client = await FakeClient.join(*at, first.session)
    await (await first.link()).read(24)
    relay.server.kick([ipaddress.ip_network("127.0.0.1")])
    assert await client.rest() == b""
    relay.server.drain()
    await first.leave()
    await relay.until_outcome("host-left")
    return [first.session, silent.session, *first.asked, *silent.asked]


async def test_no_whole_session_id_is_in_the_log_however_things_end(journal: Journal) -> None:
    config = Config(limits=Limits(clients_per_session=1), rooms=(RoomConfig(ROOM),))
    async with running(config) as relay:
        ids = await ends_of_all_kinds(relay)
        ended = {outcome.value for outcome in relay.server.board.outcomes}
    assert {
        *("no-session", "ambiguous", "session-full", "not-linked", "left-waiting", "host-gone", "host-broke-protocol"),
        *("unclaimed", "kicked", "host-left"),
    } <= ended
    assert "session Gran… opened" in journal.text, "the beginning is there, to tell sessions apart"
    journal.assert_without(*ids)


@pytest.mark.parametrize("outcome", Outcome)
async def test_no_outcome_has_a_session_id_in_its_line(journal: Journal, outcome: Outcome) -> None:
    session = a_session()
    async with running() as relay:
        written = relay.server._journal
        written.opened(SessionOpened(session))
        for kind in ("host", "client", "link", "unknown"):
            written.ended(dataclasses.replace(session.host, kind=kind, outcome=outcome), 7, 2)
        written.closed(SessionEnded(session, outcome))
    assert journal.text.count(outcome.value) >= 5
    journal.assert_without(session.id, session.host.client_id)


async def test_the_lan_is_told_no_more_of_a_session_id_than_the_log() -> None:
    async with running(Config(rooms=(RoomConfig(ROOM),))) as relay:
        host = await FakeHost.host(relay.address, relay.port)
        (unseen,) = relay.server.lan_rooms()
        client = await FakeClient.join(relay.address, relay.port)
        link = await host.link()
        (unnamed,) = relay.server.lan_rooms()
        assert [unseen.name, unnamed.name] == ["Gran…", "Gran…"]
        for stream in (client, link):
            await stream.close()
        await host.leave()


async def test_an_error_in_the_relay_is_logged_without_ids_and_addresses_of_what_it_was_about(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any) -> None:
        raise RuntimeError("something broke")

    config = Config(log=Log(addresses="blurred"))
    async with running(config) as relay, playing(relay.address, relay.port) as (host, _link, client):
        monkeypatch.setattr(relay.server.board, "received", breaks)
        await host.control.send(wire.PING)
        await relay.until(lambda: "something broke" in journal.text, "the error is logged")
        monkeypatch.undo()
        assert client
    assert f"serving <host, port {host.control.source[1]}, HOSTING>" in journal.text, "which one it was can be told"
    assert "127.0.0.1" not in journal.text
    journal.assert_without(host.session, *host.asked)


def test_connections_and_sessions_show_themselves_without_ids() -> None:
    session = a_session()
    for shown in (repr(session), repr(session.host), str({"of": [session, session.host]})):
        assert "Gran…" in shown or "40000" in shown
        assert "203.0.113.7" not in shown, "addresses are for those who blur them if they are to be blurred"
        assert base64.b64encode(session.id).decode() not in shown
        assert str(session.id) not in shown


@pytest.mark.parametrize(
    "text",
    [
        f'[[room]]\nid = "{ROOM}"\n[[room]]\nid = "{ROOM}"',
        f'[[room]]\nid = "{ROOM} "',
        f'[[room]]\nid = ["{ROOM}"]',
        f'[[room]]\nid = "{ROOM}"\nname = "x"',
    ],
)
def test_a_mistake_in_the_settings_is_told_without_the_id_for_the_service_logs_it(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, Path("relay.toml"))
    assert ROOM not in str(caught.value)


def a_session() -> Session:
    host = Conn(ADDRESS, 40000, 55435, True, 0.0, State.HOSTING, client_id=b"client-of-it", kind="host")
    host.session = Session(base64.b64decode(ROOM), host, 0.0)
    return host.session
