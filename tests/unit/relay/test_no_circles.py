"""Nothing that ends waits for Python's collector: what a connection had goes with it."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator

import pytest

from relay.net.link import Flow, LinkEnd
from relay.spool import Backlog
from relay.switchboard.connection import Conn, Session
from tests.support import netplay
from tests.support.fakes import FakeClient, FakeHost
from tests.support.relays import running

KINDS = (Backlog, Conn, LinkEnd, Flow, Session)


@pytest.fixture(autouse=True)
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive() -> Counter[str]:
    return Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, KINDS))


async def test_links_and_their_sessions_leave_nothing_behind() -> None:
    async with running() as relay:
        before = alive()
        for number in range(5):
            host = await FakeHost.host(relay.address, relay.port)
            client = await FakeClient.join(relay.address, relay.port, host.session)
            link = await host.link()
            await client.close()
            await link.rest()
            await link.close()
            await host.leave()
            await relay.until(lambda: not relay.server.board.connections, "all have gone")
            relay.server.endings._recent.clear()
            relay.pass_time(120)
            del host, client, link, number
        left = alive() - before
        assert not left, "what refers to each other in a circle is freed by the collector alone"


async def test_players_of_rooms_without_a_host_leave_nothing_behind() -> None:
    async with running() as relay:
        before = alive()
        for number in range(5):
            client = await FakeClient.join(relay.address, relay.port)
            await client.send(netplay.nick(f"n{number}") + netplay.info() * 2 + netplay.play())
            await client.close()
            await relay.until(lambda: not relay.server.board.connections, "all have gone")
            del client
        assert not alive() - before
