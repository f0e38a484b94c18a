"""When the event loop is woken beside the links: when there is something for it to do, and only then."""

from __future__ import annotations

import asyncio
import select
import socket

from relay.net.poller import Poller


async def test_who_is_forgotten_while_being_told_wakes_the_loop_once() -> None:
    readiness = Poller(asyncio.get_running_loop())
    one, other = socket.socketpair()
    readiness.watch(one.fileno(), lambda _: readiness.forget(one.fileno()), None)
    assert readiness.tell([(one.fileno(), select.EPOLLIN)]) == [], "what that has led to is the loop's to carry out"
    assert readiness.tell([]) is None, "and was carried out"
    readiness.close()
    one.close()
    other.close()
