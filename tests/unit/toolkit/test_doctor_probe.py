"""What the doctor learns from a relay, from what is none, and from a router: over real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from relay import addresses
from relay.config import Config, Gate
from relay.config import Limits as RelayLimits
from relay.protocol import tunnel
from tests.support.namespace import PrivateNetwork
from tests.support.pasted import PASTED
from tests.support.relays import running
from toolkit.console import ROOT
from toolkit.doctor import igd, probe, target
from toolkit.errors import UserError

LOOPBACK = "127.0.0.1"


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for the silent for long."""
    monkeypatch.setattr(probe, "ANSWER", 0.5)
    monkeypatch.setattr(probe, "PAUSE", 0.0)


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Let something that is no relay of ours listen; yield its port."""
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    sock, _ = server.accept()
                    with sock, suppress(OSError):
                        sock.settimeout(5)
                        answer(sock)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


async def test_a_relay_is_known_by_its_answer_and_tells_whom_it_sees() -> None:
    async with running() as relay:
        talk = await asyncio.to_thread(probe.talk, relay.address, relay.port)
        assert talk is not None
        assert (talk.kind, talk.seen, talk.local) == ("relay", LOOPBACK, LOOPBACK)
        await relay.until_outcome("host-left")


async def test_a_ping_before_the_answer_does_not_hide_whom_the_relay_sees() -> None:
    def pinging(sock: socket.socket) -> None:
        sock.recv(16)
        sock.sendall(tunnel.session_message(b"twelve bytes"))
        asked = sock.recv(16)
        if asked.startswith(tunnel.ADDRESS):
            sock.sendall(tunnel.PING * 2 + tunnel.address_message(tunnel.NO_ID, addresses.canonical("192.0.2.7")))

    with answering(pinging) as port:
        talk = await asyncio.to_thread(probe.talk, LOOPBACK, port)
    assert talk is not None
    assert (talk.kind, talk.seen) == ("relay", "192.0.2.7")


async def test_a_relay_that_does_not_let_us_in_says_so(tmp_path: Path) -> None:
    allowlist = tmp_path / "allowlist"
    allowlist.write_text("203.0.113.7\n")
    async with running(Config(gate=Gate(allowlist=allowlist))) as relay:
        talk = await asyncio.to_thread(probe.talk, relay.address, relay.port)
        assert talk is not None
        assert talk.kind == "denied"


async def test_a_relay_without_a_free_session_hangs_up() -> None:
    async with running(Config(limits=RelayLimits(sessions=0))) as relay:
        talk = await asyncio.to_thread(probe.talk, relay.address, relay.port)
        assert talk is not None
        assert talk.kind == "closed"


def hears_out(sock: socket.socket) -> None:
    """Read to the end and say nothing."""
    while sock.recv(1000):
        pass


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda sock: sock.sendall(sock.recv(16)), "old-relay"),
        (lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "other"),
        (lambda sock: sock.sendall(b"SSH-2.0-x\r\n"), "other"),
        (lambda sock: sock.recv(16), "closed"),
        (hears_out, "silent"),
    ],
    ids=["netplay-mitm-server", "web server", "ssh", "hangs up", "says nothing"],
)
def test_what_is_no_relay_is_told_apart(answer: Callable[[socket.socket], None], kind: str) -> None:
    with answering(answer) as port:
        talk = probe.talk(LOOPBACK, port)
    assert talk is not None
    assert talk.kind == kind


def test_a_port_where_nobody_listens_refuses() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    found = probe.reach(LOOPBACK, port)
    assert (found.seconds, found.word) == (None, "refused")
    assert probe.talk(LOOPBACK, port) is None
    assert probe.latency(LOOPBACK, port).samples == []


async def test_round_trips_are_measured() -> None:
    async with running() as relay:
        latency = await asyncio.to_thread(probe.latency, relay.address, relay.port)
        assert len(latency.samples) == probe.SAMPLES
        assert 0 < latency.median < 1
        assert latency.lost == 0


def test_jitter_is_the_mean_step_from_one_to_the_next() -> None:
    assert probe.Latency([0.010, 0.030, 0.010]).jitter == pytest.approx(0.020)
    assert probe.Latency([0.010]).jitter == 0.0


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("relay.example.org|55440", "relay.example.org", 55440),
        ("relay.example.org", "relay.example.org", 55435),
        ("203.0.113.7|55435|FridayNightRoom1", "203.0.113.7", 55435),
        ("2001:db8::7|55435", "2001:db8::7", 55435),
        *((typed, "localhost", 55499) for typed in PASTED),
    ],
)
def test_a_relay_is_typed_as_in_retroarch(text: str, address: str, port: int) -> None:
    found = target.parse(text)
    assert (found.address, found.port) == (address, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|",
        "x|0",
        "x|port",
        "x|\u0663",
        "''",
        "my relay|1",
        "relay.example.org:55435",
        "x; id|1",
        "-oProxyCommand=id",
    ],
)
def test_what_is_no_relay_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(UserError) as caught:
        target.parse(text)
    assert "ADDRESS|55435" in caught.value.fix


FIND = """
import sys
sys.path.insert(0, sys.argv[1])
from toolkit.doctor import igd
print(igd.find("127.0.0.1"))
"""


@pytest.mark.parametrize(
    ("variant", "found"),
    [
        ("", "Router(address='127.0.0.1', external='203.0.113.9')"),
        ("elsewhere", "None"),
        ("bomb", "None"),
        ("huge", "None"),
        ("broken", "None"),
        ("redirect", "None"),
    ],
)
def test_a_router_is_believed_only_as_far_as_it_goes(tmp_path: Path, variant: str, found: str) -> None:
    """The router is a stand-in (tests/support/fake_igd.py), in a network of its own."""
    import subprocess
    import sys

    from tests.support.child import Child

    script = ROOT / "tests" / "support" / "fake_igd.py"
    with PrivateNetwork(tmp_path) as network:
        argv = [sys.executable, "-I", str(script), LOOPBACK, "203.0.113.9", *([variant] if variant else [])]
        with Child(network.command(argv), log=tmp_path / "igd.log") as router:
            assert router.line(within=20) == "up"
            ask = network.command([sys.executable, "-c", FIND, str(ROOT)])
            done = subprocess.run(ask, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip() == found, done.stderr


@pytest.mark.parametrize("local", ["192.0.2.5", "not an address"])
def test_without_a_network_there_is_no_router(local: str) -> None:
    with suppress(OSError):
        assert igd.find(local) is None
