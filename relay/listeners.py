"""Where the listening sockets come from: an older program, the service manager, or ourselves."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass, field
from typing import Any

from relay import lan, service, sockets
from relay.config import Config
from relay.observe import log


class CannotListenError(Exception):
    """No listening socket; str() says why and what to type."""


@dataclass(slots=True)
class Listeners:
    """Streams for the relay, datagrams for LAN discovery; activated: they belong to the service manager."""

    streams: list[socket.socket]
    datagrams: list[socket.socket] = field(default_factory=list)
    activated: bool = False


def obtain(config: Config, state: dict[str, Any] | None) -> Listeners:
    """Return the sockets to serve on. Raises CannotListenError.

    state is what an older program left. Its sockets are opened and closed as the configuration now wants, unless they
    are the service manager's.
    """
    if state is not None and state["activated"]:
        found = [sockets.inherit(fd) for fd in (*state["listeners"], *state["datagrams"])]
        return _activated(config, found)
    if state is not None:
        streams = _reconcile(config, [sockets.inherit(fd) for fd in state["listeners"]])
    elif passed := service.inherited_sockets():
        return _activated(config, passed)
    else:
        streams = _open(config, _wanted(config))
    return Listeners(streams, _open_datagrams(config) if config.lan.answer else [])


def _activated(config: Config, found: list[socket.socket]) -> Listeners:
    streams = [sock for sock in found if sock.type == socket.SOCK_STREAM]
    datagrams = [sock for sock in found if sock.type == socket.SOCK_DGRAM]
    if not config.lan.answer:
        for sock in datagrams:
            sock.close()
        datagrams = []
    return Listeners(streams, datagrams, activated=True)


def _wanted(config: Config) -> list[tuple[str, int]]:
    return [(address, port) for port in config.ports for address in config.listen.bind]


def _reconcile(config: Config, kept: list[socket.socket]) -> list[socket.socket]:
    if config.listen.port == 0:
        return kept
    by_name = {sock.getsockname()[:2]: sock for sock in kept}
    wanted = _wanted(config)
    opened = []
    for name in wanted:
        if name not in by_name:
            try:
                opened += _open(config, [name], required=False)
            except CannotListenError as error:
                # Games are going on: a new port that is not to be had is no reason to end them.
                log.error("%s", error)
    staying = [sock for name, sock in by_name.items() if name in wanted]
    # What is wanted no more is kept, should nothing else be left.
    if not (staying or opened):
        return kept
    for name, sock in by_name.items():
        if name not in wanted:
            sock.close()
    return [*staying, *opened]


def _open(config: Config, wanted: list[tuple[str, int]], required: bool = True) -> list[socket.socket]:
    opened: list[socket.socket] = []
    for address, port in wanted:
        try:
            opened.append(sockets.listen(address, port, config.buffers.socket))
        except OSError as error:
            if error.errno == errno.EAFNOSUPPORT:
                log.warning("this machine has no %s: %s is left out", "IPv6" if ":" in address else "IPv4", address)
                continue
            for sock in opened:
                sock.close()
            raise CannotListenError(_cannot_listen(address, port, error)) from error
    if required and not opened:
        raise CannotListenError("no address is left to listen on. Name one this machine has: --bind 127.0.0.1")
    return opened


def _open_datagrams(config: Config) -> list[socket.socket]:
    """Open LAN discovery on the IPv4 addresses; where that fails, the games matter more."""
    opened = []
    for address in config.listen.bind:
        if ":" not in address:
            try:
                opened.append(sockets.datagrams(address, lan.PORT))
            except OSError as error:
                log.warning("LAN discovery is left out on %s: %s", address, error.strerror)
    return opened


def _cannot_listen(address: str, port: int, error: OSError) -> str:
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    hints = {
        errno.EACCES: "Ports below 1024 are root's: take a higher one with --port N",
        errno.EADDRNOTAVAIL: "This machine does not have that address; those it has: ip -brief address",
        errno.EADDRINUSE: f"See who has the port with: ss -ltnp 'sport = :{port}'   Or take another one: --port N",
    }
    return f"cannot listen on {where}: {reason}.\n{hints.get(error.errno or 0, 'Name another address: --bind ADDR')}"
