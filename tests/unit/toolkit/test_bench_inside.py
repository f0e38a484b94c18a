"""What runs in the benchmark's network, as far as it can be looked at from outside: texts, orders, handshakes."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from relay import config as settings
from relay.addresses import canonical
from toolkit.bench import contenders, coreless, generator, inside, links, outside, procfs
from toolkit.bench.contenders import BarePython, Site
from toolkit.bench.generator import Load
from toolkit.bench.links import Link
from toolkit.bench.plan import FLOOR
from toolkit.bench.procfs import Usage

SOCKSTAT = "sockets: used 120\nTCP: inuse 5 orphan 0 tw 2 alloc 9 mem 25\nUDP: inuse 0 mem 0\n"
NET_TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:4E21 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:4E22 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
"""


def test_the_order_turns_so_that_everybody_is_first_and_last_equally_often() -> None:
    orders = [inside.turned(list("abcd"), turn) for turn in range(8)]  # type: ignore[arg-type]
    assert Counter(order[0] for order in orders) == Counter(order[-1] for order in orders) == Counter("aabbccdd")
    assert all(sorted(order) == list("abcd") for order in orders)


def test_limits_are_raised_for_the_load_and_everything_else_stays() -> None:
    text = contenders.with_room_for('[watch]\nlinks = false\n[log]\nformat = "json"\n', 400)
    data = tomllib.loads(text)
    assert data["limits"]["sessions"] == 400
    assert data["limits"]["connections"] >= 1200
    assert (data["watch"], data["log"]) == ({"links": False}, {"format": "json"})


def test_limits_that_are_higher_already_stay() -> None:
    assert tomllib.loads(contenders.with_room_for("[limits]\nsessions = 9000\n", 400))["limits"]["sessions"] == 9000


def test_the_relay_accepts_the_configuration_it_is_measured_with() -> None:
    config = settings.parse(contenders.with_room_for("", 400), Path("relay.toml"))
    assert config.limits.sessions == 400


def test_the_relay_runs_as_it_is_deployed(tmp_path: Path) -> None:
    site = Site(tmp_path, "/usr/sbin/haproxy", "/usr/bin/python3", "/x/netplay-relay.pyz", 0)
    relay = contenders.OurRelay("netplay-relay", site, "", 10)
    assert relay.command(20001)[:4] == ["/usr/bin/python3", "-I", "/x/netplay-relay.pyz", "serve"]
    assert relay.command(20001)[-2:] == ["--port", "20001"]


def test_haproxy_forwards_to_the_generator_with_one_thread() -> None:
    text = contenders.haproxy_config(20001, 33000)
    for line in ("nbthread 1", "mode tcp", "bind 127.0.0.1:20001 backlog 4096", "server players 127.0.0.1:33000"):
        assert line in text


def test_every_player_has_an_address_of_its_own() -> None:
    addresses = [links.address(group, number) for group in (links.HOSTS, links.CLIENTS) for number in range(3000)]
    assert len(set(addresses)) == 6000
    assert all(canonical(address).is_loopback for address in addresses)


def test_a_handshake_leaves_nothing_unread_behind() -> None:
    host, client = socket.socketpair()
    with host, client:
        links.greet(Link(host, client))
        for sock in (host, client):
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock.recv(1)


def test_a_relay_that_closes_in_the_handshake_is_said_to() -> None:
    host, client = socket.socketpair()
    far_host, far_client = socket.socketpair()
    with host, client, far_host, far_client:
        far_client.close()
        with pytest.raises(links.LinkError):
            links.greet(Link(host, far_host))


def test_a_load_is_told_to_the_generator_by_descriptors() -> None:
    with socket.socket() as a, socket.socket() as b, socket.socket() as c, socket.socket() as d:
        load = Load([Link(a, b)], stalled=Link(c, d), stall_rate=20)
        assert load.lines() == f"link {a.fileno()} {b.fileno()}\nstall {c.fileno()} {d.fileno()} 20\n"
        assert sorted(load.fds()) == sorted(sock.fileno() for sock in (a, b, c, d))


def test_of_so_many_games_one_is_measured() -> None:
    with contextlib.ExitStack() as opened:
        games = [Link(*(opened.enter_context(socket.socket()) for _ in range(2))) for _ in range(5)]
        words = [line.split()[0] for line in Load(games, measured=3).lines().splitlines()]
        assert words == ["link", "lazy", "lazy", "link", "lazy"]


def test_the_generators_result_is_read_with_what_the_relay_used() -> None:
    line = (
        '{"sent": 10, "received": 10, "blocked": 0, "broken": 0, "busy": 0.5, "latency_us": {"p50": 1.0, "p99": 2.0}, '
        '"late_us": {"p50": 0.5, "p99": 1.0}, "bulk_bytes": 0, "stall_bytes": 7, "stall_ended_s": null}'
    )
    played = generator.parse(line, Usage(500_000_000, 20_000_000), 2.0)
    assert played.whole
    assert (played.relay_busy, played.waited) == (0.25, 0.01)
    assert played.stall_ended_s is None


def test_what_a_process_used_is_a_difference() -> None:
    assert procfs.parse_schedstat("1500 30 7\n") == (1500, 30)
    assert Usage(1500, 30) - Usage(500, 10) == Usage(1000, 20)


def test_this_process_has_memory_and_has_run() -> None:
    pid = os.getpid()
    assert procfs.peak_kb(pid) >= procfs.memory_kb(pid) > 1000
    assert procfs.usage(pid).ran > 0


def test_a_field_that_is_not_in_a_status_is_an_error() -> None:
    assert procfs.parse_status("Name:\tx\nVmRSS:\t  1234 kB\n", "VmRSS") == 1234
    with pytest.raises(KeyError):
        procfs.parse_status("Name:\tx\n", "VmRSS")


def test_rooms_without_a_host_leave_the_settings_of_the_other_parts_alone(tmp_path: Path) -> None:
    site = Site(tmp_path, "", sys.executable, "", 0)
    ours = contenders.OurRelay("netplay-relay", site, "", 10)
    settings_of = Path(ours.command(1)[ours.command(1).index("--config") + 1])
    before = settings_of.read_text()
    for size in coreless.SIZES:
        coreless._relay(site, size)
    assert settings_of.read_text() == before


def test_a_relay_without_any_feature_speaks_the_tunnel(tmp_path: Path) -> None:
    site = Site(tmp_path, "", sys.executable, "", min(os.sched_getaffinity(0)))
    with BarePython(FLOOR, site) as floor:
        made = [floor.link(number) for number in range(3)]
        for link in made:
            links.greet(link)
            link.close()


def test_only_ports_that_are_listened_on_are_listening() -> None:
    assert procfs.listening_ports(NET_TCP) == {20001}


def test_the_kernels_memory_for_tcp_is_read_in_kilobytes() -> None:
    assert procfs.kernel_tcp_kb(SOCKSTAT) == 100


def test_root_needs_no_user_namespace_and_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside.os, "geteuid", lambda: 0)
    assert "--user" not in outside.command()
    monkeypatch.setattr(outside.os, "geteuid", lambda: 1000)
    assert "--user" in outside.command()
