"""A session made through a relay, up to the point where both players exchange input.

Through ours it is made as RetroArch does it: a host asks for a session, a client joins it, the host brings the other
end of the link. The others forward plain TCP to a listener of the benchmark. What goes over the link afterwards is the
same for all: a netplay handshake, so that whatever looks at the stream sees a game.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from relay.protocol import tunnel

HOST = "127.0.0.1"
PATIENCE = 10.0
# Every player has an address of its own, as on the internet: a relay may treat those of one house differently.
HOSTS, CLIENTS = 1, 2

HEADER = tunnel.NETPLAY + struct.pack(">5I", 0x00040008, 1, 6, 5, 0x469)
NICK, INFO, SYNC, PLAY, MODE = 0x20, 0x22, 0x23, 0x25, 0x26
_CORE, _VERSION = b"Nestopia".ljust(32, b"\0"), b"1.52".ljust(32, b"\0")
_YOU_PLAY = 1 << 31 | 1 << 30 | 1


class LinkError(Exception):
    """A relay did not make a link: it closed a connection, or said nothing for PATIENCE seconds."""


@dataclass(frozen=True, slots=True)
class Link:
    """The two ends of a game. control is the host's connection to a tunnel relay, which stays open beside it."""

    host: socket.socket
    client: socket.socket
    control: socket.socket | None = None

    def close(self) -> None:
        """End all connections at once; nothing of them stays behind in the kernel."""
        for sock in (self.host, self.client, self.control):
            if sock is not None:
                # A reset instead of a farewell: thousands of sockets waiting out their TIME_WAIT would tell in the
                # next measurement.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()


def listener() -> socket.socket:
    """Open the listener that plain relays forward to, on any free port."""
    return socket.create_server((HOST, 0), backlog=4096)


def address(group: int, number: int) -> str:
    """Return the loopback address of a player: 127.1.x.y for hosts, 127.2.x.y for clients."""
    return f"127.{group}.{number >> 8 & 255}.{number & 255}"


def through_tunnel(port: int, number: int) -> Link:
    """Make the session of this number through a relay that speaks the tunnel protocol. Raises LinkError."""
    opened: list[socket.socket] = []
    try:
        opened.append(control := _connect(port, HOSTS, number))
        control.sendall(tunnel.session_message(tunnel.NO_ID))
        session = _receive(control, tunnel.MESSAGE_SIZE)
        opened.append(client := _connect(port, CLIENTS, number))
        client.sendall(session + HEADER)
        client_id = _receive(control, tunnel.MESSAGE_SIZE)[tunnel.MAGIC_SIZE :]
        opened.append(host := _connect(port, HOSTS, number))
        control.sendall(tunnel.ADDRESS + client_id)
        _receive(control, tunnel.MESSAGE_SIZE + 16)
        host.sendall(tunnel.link_message(client_id))
        _receive(host, len(HEADER))
    except OSError as error:
        for sock in opened:
            sock.close()
        raise LinkError(str(error)) from error
    return Link(host, client, control)


def through_plain(port: int, number: int, backend: socket.socket) -> Link:
    """Make the link of this number through a relay that forwards to backend; with backend's own port, through none."""
    opened: list[socket.socket] = []
    try:
        opened.append(client := _connect(port, CLIENTS, number))
        client.sendall(HEADER)
        backend.settimeout(PATIENCE)
        opened.append(host := backend.accept()[0])
        _prepare(host)
        _receive(host, len(HEADER))
    except OSError as error:
        for sock in opened:
            sock.close()
        raise LinkError(str(error)) from error
    return Link(host, client)


def greet(link: Link) -> None:
    """Go through the rest of a netplay handshake. Raises LinkError."""
    nick = b"player".ljust(32, b"\0")
    info = struct.pack(">I", 0x1234ABCD) + _CORE + _VERSION
    sync = struct.pack(">II", 0, 1) + bytes(64 + 16 + 64) + nick
    mode = struct.pack(">III", 0, _YOU_PLAY, 1) + bytes(16) + nick
    try:
        for sender, receiver, message in (
            (link.host, link.client, HEADER),
            (link.client, link.host, _command(NICK, nick)),
            (link.host, link.client, _command(NICK, nick) + _command(INFO, info)),
            (link.client, link.host, _command(INFO, info)),
            (link.host, link.client, _command(SYNC, sync)),
            (link.client, link.host, _command(PLAY, bytes(4))),
            (link.host, link.client, _command(MODE, mode)),
        ):
            sender.sendall(message)
            _receive(receiver, len(message))
    except OSError as error:
        raise LinkError(str(error)) from error


def _command(number: int, payload: bytes) -> bytes:
    return struct.pack(">II", number, len(payload)) + payload


def _connect(port: int, group: int, number: int) -> socket.socket:
    sock = socket.create_connection((HOST, port), timeout=PATIENCE, source_address=(address(group, number), 0))
    _prepare(sock)
    return sock


def _prepare(sock: socket.socket) -> None:
    sock.settimeout(PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _receive(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise ConnectionError(f"the connection was closed after {len(data)} of {size} bytes")
        data += more
    return data
