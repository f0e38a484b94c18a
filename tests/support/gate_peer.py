"""A player's machine and a relay's ports, for the gate's tests: a program that obeys lines on its standard input.

    listen PORT            serve an echo on TCP and UDP, both families
    tcp FROM TO PORT       one connection: "in" or "out"
    udp FROM TO PORT       one datagram and its echo: "in" or "out"
    open NAME FROM TO PORT a connection that stays: "in" or "out"
    say NAME               an echo over it: "alive" or "dead"

A program of its own (standard library alone), so that it can be started in any network namespace.
"""

import contextlib
import select
import socket
import sys
import threading

PATIENCE = 1.0


def echo_tcp(listener: socket.socket) -> None:
    """Accept for ever; one thread for each connection."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=echo_stream, args=(connection,), daemon=True).start()


def echo_stream(connection: socket.socket) -> None:
    """Send back what comes."""
    with contextlib.suppress(OSError), connection:
        while data := connection.recv(4096):
            connection.sendall(data)


def echo_udp(sock: socket.socket) -> None:
    """Send back every datagram."""
    while True:
        data, address = sock.recvfrom(4096)
        sock.sendto(data, address)


def listen(port: int) -> None:
    """Serve an echo on a port."""
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 - in its own namespace
        listener = socket.socket(family, socket.SOCK_STREAM)
        datagrams = socket.socket(family, socket.SOCK_DGRAM)
        for sock in (listener, datagrams):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address, port))
        listener.listen()
        threading.Thread(target=echo_tcp, args=(listener,), daemon=True).start()
        threading.Thread(target=echo_udp, args=(datagrams,), daemon=True).start()


def connect(source: str, target: str, port: int) -> socket.socket:
    """Open a connection. Raises OSError."""
    return socket.create_connection((target, port), PATIENCE, (source, 0))


def datagram(source: str, target: str, port: int) -> bool:
    """Tell whether a datagram comes back."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.connect((target, port))
        try:
            sock.send(b"ping")
            return bool(select.select([sock], [], [], PATIENCE)[0]) and sock.recv(16) == b"ping"
        except OSError:
            return False


def is_alive(connection: socket.socket) -> bool:
    """Tell whether the other end still answers."""
    try:
        connection.sendall(b"ping")
        return connection.recv(16) == b"ping"
    except OSError:
        return False


OPEN: dict[str, socket.socket] = {}


def obey(verb: str, *words: str) -> str:
    """Do what a line says and return the answer."""
    if verb == "listen":
        listen(int(words[0]))
        return "ready"
    if verb == "say":
        return "alive" if is_alive(OPEN[words[0]]) else "dead"
    if verb == "udp":
        return "in" if datagram(words[0], words[1], int(words[2])) else "out"
    try:
        connection = connect(words[-3], words[-2], int(words[-1]))
    except OSError:
        return "out"
    if verb == "open":
        OPEN[words[0]] = connection
    else:
        connection.close()
    return "in"


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(obey(*line.split()) + "\n")
        sys.stdout.flush()
