"""Where the listening sockets come from: an older program, the service manager, or ourselves."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from relay.config import Config
from relay.logs import log
from relay.net import lan_discovery, sockets
from relay.protocol import lan


class CannotListenError(Exception):
    """No listening socket; str() says why and what to type, errno what the system said, if it was asked."""

    def __init__(self, words: str, number: int | None = None) -> None:
        super().__init__(words)
        self.errno = number


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
        streams = _reconcile(config, [_listener(sockets.inherit(fd)) for fd in state["listeners"]])
    elif passed := inherited_sockets():
        return _activated(config, passed)
    else:
        streams = _open(config, _wanted(config))
    return Listeners(streams, _open_datagrams(config) if config.lan.answer else [])


def _activated(config: Config, found: list[socket.socket]) -> Listeners:
    streams = [_listener(sock) for sock in found if sock.type == socket.SOCK_STREAM]
    datagrams = [sock for sock in found if sock.type == socket.SOCK_DGRAM]
    if not config.lan.answer:
        for sock in datagrams:
            sock.close()
        datagrams = []
    return Listeners(streams, datagrams, activated=True)


def _listener(sock: socket.socket) -> socket.socket:
    return sockets.Listener(fileno=sock.detach())


def _wanted(config: Config) -> list[tuple[str, int]]:
    return [(address, port) for port in config.ports for address in config.listen.bind]


def _reconcile(config: Config, kept: list[socket.socket]) -> list[socket.socket]:
    """Return the sockets of an older program as the configuration now wants them.

    Games are going on: whatever is not to be had is no reason to end them, and is only said.
    """
    if config.listen.port == 0:
        return kept
    old: dict[tuple[int, bool], list[socket.socket]] = {}
    for sock in kept:
        old.setdefault(_place(*_name(sock)), []).append(sock)
    wanted: dict[tuple[int, bool], list[tuple[str, int]]] = {}
    for name in _wanted(config):
        wanted.setdefault(_place(*name), []).append(name)
    serving = []
    for place, names in wanted.items():
        serving += _replace(config, names, old.pop(place, []))
    # What is wanted no more is kept, should nothing else be left.
    left = [sock for socks in old.values() for sock in socks]
    if not serving:
        return left
    for sock in left:
        sock.close()
    return serving


def _name(sock: socket.socket) -> tuple[str, int]:
    address, port = sock.getsockname()[:2]
    return address, port


def _place(address: str, port: int) -> tuple[int, bool]:
    """Return where an address is in the way of others: a port, of IPv4 or of IPv6."""
    return port, ":" in address


def _replace(config: Config, wanted: list[tuple[str, int]], kept: list[socket.socket]) -> list[socket.socket]:
    """Return what serves one port of one family from now on: if nothing new is to be had, what did before."""
    staying = [sock for sock in kept if _name(sock) in wanted]
    leaving = [sock for sock in kept if _name(sock) not in wanted]
    here = {_name(sock) for sock in staying}
    opened = []
    for name in wanted:
        if name not in here:
            try:
                opened += _open_instead(config, name, leaving)
            except CannotListenError as error:
                log.error("%s", error)
    if leaving and not (staying or opened):
        shown = ", ".join(_name(sock)[0] for sock in leaving)
        log.warning("port %d stays open on %s, as before", wanted[0][1], shown)
        return leaving
    for sock in leaving:
        sock.close()
    return [*staying, *opened]


def _open_instead(config: Config, name: tuple[str, int], leaving: list[socket.socket]) -> list[socket.socket]:
    """Open a listener, in the place of those that leave if need be. Raises CannotListenError; then they stand again.

    Linux lets nobody listen on one address of a port while somebody does on all of them, and the other way round.
    """
    try:
        return _open(config, [name], required=False)
    except CannotListenError as error:
        if not leaving or error.errno != errno.EADDRINUSE:
            raise
    names = [_name(sock) for sock in leaving]
    while leaving:
        leaving.pop().close()
    try:
        return _open(config, [name], required=False)
    except CannotListenError:
        leaving += _open(config, names)
        raise


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
            raise CannotListenError(_cannot_listen(address, port, error), error.errno) from error
    if required and not opened:
        raise CannotListenError("no address is left to listen on. Name one this machine has: --bind 127.0.0.1")
    return opened


def _open_datagrams(config: Config) -> list[socket.socket]:
    """Open LAN discovery, where RetroArch could list the relay; where that fails, the games matter more."""
    if not lan_discovery.can_be_listed(config.listen.bind):
        return []
    try:
        return [sockets.datagrams(lan_discovery.EVERY, lan.PORT)]
    except OSError as error:
        hint = f"See who has the port with: ss -lunp 'sport = :{lan.PORT}'"
        log.warning("LAN discovery is left out: UDP port %d: %s. %s", lan.PORT, error.strerror, hint)
        return []


def _cannot_listen(address: str, port: int, error: OSError) -> str:
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    hints = {
        errno.EACCES: "Ports below 1024 are root's: take a higher one with --port N",
        errno.EADDRNOTAVAIL: "This machine does not have that address; those it has: ip -brief address",
        errno.EADDRINUSE: f"See who has the port with: ss -ltnp 'sport = :{port}'   Or take another one: --port N",
    }
    return f"cannot listen on {where}: {reason}.\n{hints.get(error.errno or 0, 'Name another address: --bind ADDR')}"


FIRST_FD = 3


def inherited_sockets(environ: MutableMapping[str, str] = os.environ, first_fd: int = FIRST_FD) -> list[socket.socket]:
    """Return the sockets passed to this process, and take the variables out of environ so that no child sees them."""
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    return [sockets.inherit(fd) for fd in range(first_fd, first_fd + int(count))]
