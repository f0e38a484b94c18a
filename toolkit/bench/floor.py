"""A relay in Python that does nothing but relay: what the language and the kernel cost without anything of ours.

`python floor.py PORT` speaks the tunnel protocol with those who make no mistakes: one epoll, no event loop, no limit,
no time-out, no log, nothing is read along, a slow reader loses bytes and savestates stop half way. It is measured,
never used.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from itertools import count

ID_AT, SIZE = 4, 16
EDGE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET


class Floor:
    """All connections. A link's ends stand in peers, by descriptor; everything else in unknown or hosts."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.epoll = select.epoll()
        self.epoll.register(listener.fileno(), select.EPOLLIN)
        self.peers: dict[int, tuple[socket.socket, socket.socket, int]] = {}
        self.others: dict[int, socket.socket] = {}
        self.hosts: dict[bytes, socket.socket] = {}
        self.clients: dict[bytes, tuple[socket.socket, bytes]] = {}
        self.numbers = count(1)

    def serve(self) -> None:
        """Relay until somebody ends the process."""
        while True:
            for fd, _ in self.epoll.poll(None, 84):
                if pair := self.peers.get(fd):
                    sock, peer, to = pair
                    try:
                        data = os.read(fd, 472)
                        os.write(to, data)
                    except OSError:
                        data = b""
                    if not data:
                        self.end(sock, peer)
                elif fd == self.listener.fileno():
                    sock, _ = self.listener.accept()
                    sock.setblocking(False)
                    self.others[sock.fileno()] = sock
                    self.epoll.register(sock.fileno(), select.EPOLLIN)
                elif other := self.others.get(fd):
                    self.said(other)

    def said(self, sock: socket.socket) -> None:
        """Take a message of the tunnel: a host's, a client's or a link's."""
        try:
            data = sock.recv(4096)
        except OSError:
            data = b""
        word, number, rest = data[:ID_AT], data[ID_AT:SIZE], data[SIZE:]
        if word == b"RATA":
            sock.send(data + bytes(10) + b"\xff\xff\x7f\0\0\1")
        elif word == b"RATL":
            client, head = self.clients.pop(number)
            for one, other in ((sock, client), (client, sock)):
                self.peers[one.fileno()] = one, other, other.fileno()
                self.epoll.modify(one.fileno(), EDGE)
                del self.others[one.fileno()]
            sock.send(head)
        elif word == b"RATS":
            own = next(self.numbers).to_bytes(12, "big")
            if rest:
                self.clients[own] = sock, rest
                self.hosts[number].send(b"RATL" + own)
            else:
                self.hosts[own] = sock
                sock.send(b"RATS" + own)
        else:
            del self.others[sock.fileno()]
            sock.close()

    def end(self, *ends: socket.socket) -> None:
        """End a link."""
        for sock in ends:
            del self.peers[sock.fileno()]
            sock.close()


if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    Floor(listening).serve()
