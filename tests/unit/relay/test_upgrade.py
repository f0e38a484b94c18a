"""Changing the program under running games."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from relay import control_client, upgrade
from relay.cli import BAD_INPUT, main
from relay.config import load
from relay.switchboard import snapshot
from relay.upgrade import Verdict
from tests.support import every_setting, needs, wire
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[3]
BOUND = 60.0


# A self-check that says when it begins, and takes until it is let go; where "unfit" lies, it finds itself so.
SLOW_CHECK = """def _self_check(arguments: argparse.Namespace) -> int:
    import time
    unfit = Path("unfit").exists()
    Path("checking").touch()
    while not Path("go").exists():
        time.sleep(0.01)
    return int(unfit)


def _unused(arguments: argparse.Namespace) -> int:"""


@dataclass
class Running:
    """A relay that runs as a program from a copy of the sources, so that a test can install other ones."""

    process: subprocess.Popen[str]
    port: int
    folder: Path
    control: Path

    def ask(self, request: str, **details: Any) -> dict[str, Any]:
        return control_client.ask(self.control, request, BOUND, **details)

    def replace(self, name: str, old: str, new: str) -> None:
        file = self.folder / "relay" / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def line(self, words: str) -> str:
        assert self.process.stderr
        while True:
            line = self.process.stderr.readline()
            assert line, f"the relay ended without saying {words!r}"
            if words in line:
                return line


@contextlib.contextmanager
def serving(folder: Path, config: Path, *arguments: str) -> Iterator[Running]:
    """Run a relay from the sources in a folder; its control socket lies beside its configuration."""
    command = [sys.executable, "-B", "-m", "relay", "serve", "--config", str(config), *arguments]
    environ = {**os.environ, "RUNTIME_DIRECTORY": str(config.parent)}
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env=environ)
    relay = Running(process, 0, folder, config.with_name("control.sock"))
    try:
        match = re.search(r"listening on \[.+\]:(\d+)", relay.line("listening"))
        assert match
        relay.port = int(match.group(1))
        yield relay
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    folder = tmp_path / "release"
    shutil.copytree(ROOT / "relay", folder / "relay", ignore=shutil.ignore_patterns("__pycache__"))
    # A busy machine may take longer over an upgrade than people have for the rest of a header.
    config = tmp_path / "relay.toml"
    config.write_text("[timeouts]\nfirst_bytes = 60\nheader = 60\nlink = 60\n")
    with serving(folder, config, "--bind", "127.0.0.1", "--port", "0") as relay:
        yield relay


def exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = sock.recv(count - len(data))
        assert chunk, f"the stream ended after {len(data)} of {count} bytes"
        data += chunk
    return data


def told(host: socket.socket, count: int) -> bytes:
    """Read that many bytes of what the relay tells a host, without its pings: they come where a machine is slow."""
    while (head := exactly(host, len(wire.PING))) == wire.PING:
        pass
    return head + exactly(host, count - len(head))


def assert_goes_on(client: socket.socket, link: socket.socket) -> None:
    client.sendall(b"input")
    assert exactly(link, 5) == b"input"


def connect(running: Running, data: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", running.port), BOUND)
    sock.sendall(data)
    return sock


@contextlib.contextmanager
def game(running: Running) -> Iterator[tuple[socket.socket, socket.socket, socket.socket]]:
    """Give the control connection, the link and the client of a running game."""
    with connect(running, wire.HOST_HELLO) as host:
        session = told(host, 16)[4:]
        with connect(running, wire.join(session)) as client:
            asked = told(host, 16)
            assert asked[:4] == b"RATL"
            with connect(running, wire.link(asked[4:])) as link:
                assert exactly(link, 24) == wire.header()
                yield host, link, client


def test_a_game_goes_on_in_the_new_program_and_the_process_stays_the_same(running: Running) -> None:
    with game(running) as (host, link, client):
        before = running.ask("status")
        running.replace("__init__.py", '__version__ = "', '__version__ = "9.')
        answer = running.ask("upgrade")
        assert answer["upgraded"].startswith("netplay-relay 9.")
        assert (answer["sessions"], answer["links"]) == (1, 1)
        after = running.ask("status")
        assert after["program"].startswith("netplay-relay 9.")
        assert after["pid"] == before["pid"] == running.process.pid
        assert_goes_on(client, link)
        link.sendall(b"answer")
        assert exactly(client, 6) == b"answer"
        assert after["sessions"][0]["id"] == before["sessions"][0]["id"]
        host.sendall(wire.address_query(b"never-issued"))
        assert told(host, 32)[:4] == b"RATA"


def test_a_new_client_joins_the_session_after_the_upgrade(running: Running) -> None:
    with game(running) as (host, _link, _client):
        running.ask("upgrade")
        with connect(running, wire.header()):
            asked = told(host, 16)
            with connect(running, wire.link(asked[4:])) as link:
                assert exactly(link, 24) == wire.header()


def test_connections_that_are_no_links_yet_go_on(running: Running) -> None:
    """All others: tests/unit/relay/test_handing_over.py, without an exec."""
    with game(running) as (host, _link, _client), connect(running, wire.header()) as waiting:
        asked = told(host, 16)
        with connect(running, wire.header()[:10]) as opening:
            host.sendall(b"RATAnev")
            wait_for(lambda: running.ask("status")["connections"]["now"] == 5, BOUND, "all to be accepted")
            running.ask("status")  # what came before it has been read when it is answered
            running.ask("upgrade")
            host.sendall(b"er-issued")
            assert told(host, 32)[4:16] == b"never-issued"
            opening.sendall(wire.header()[10:])
            assert told(host, 16)[:4] == b"RATL"
            waiting.sendall(b" and more")
            with connect(running, wire.link(asked[4:])) as link:
                assert exactly(link, 33) == wire.header() + b" and more"


class Load(threading.Thread):
    """Sends numbered bytes on one socket and checks on the other that all arrive, in order, until it is stopped."""

    CHUNK = random.Random(7).randbytes(9973)

    def __init__(self, sender: socket.socket, receiver: socket.socket) -> None:
        super().__init__(daemon=True)
        self.sender, self.receiver = sender, receiver
        self.stopped = threading.Event()
        self.sent = self.received = 0
        self.wrong = ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.start()

    def run(self) -> None:
        while not self.stopped.is_set() and not self.wrong:
            self.sender.sendall(self.CHUNK)
            self.sent += len(self.CHUNK)
        self.sender.shutdown(socket.SHUT_WR)

    def _read(self) -> None:
        while chunk := self.receiver.recv(65536):
            start = self.received % len(self.CHUNK)
            expected = (self.CHUNK * (2 + len(chunk) // len(self.CHUNK)))[start : start + len(chunk)]
            if chunk != expected:
                self.wrong = f"wrong bytes within {len(chunk)} after {self.received}"
                return
            self.received += len(chunk)


def test_no_byte_is_lost_or_doubled_through_five_upgrades_under_load(running: Running) -> None:
    with game(running) as (_host, link, client):
        load = Load(client, link)
        for _ in range(5):
            before = load.received
            assert "upgraded" in running.ask("upgrade")
            assert load.received > before, "there was load during the upgrade"
        load.stopped.set()
        load.join(BOUND)
        load.reader.join(BOUND)
        assert not load.wrong
        assert load.received == load.sent


def test_what_waits_for_a_slow_client_is_taken_along(running: Running) -> None:
    blob = random.Random(8).randbytes(6_000_000)
    with game(running) as (_host, link, client):
        link.sendall(blob)
        assert running.ask("status")["sessions"][0]["clients"][0]["waiting_bytes"] > 0
        running.ask("upgrade")
        assert exactly(client, len(blob)) == blob


def test_a_new_program_that_is_broken_changes_nothing(running: Running) -> None:
    with game(running) as (_host, link, client):
        running.replace("cli.py", "import argparse", "import no_such_module_anywhere")
        answer = running.ask("upgrade")
        assert "no_such_module_anywhere" in answer["error"]
        assert_goes_on(client, link)
        assert "upgrade" not in running.ask("status").get("error", "")


def test_a_state_that_cannot_be_written_is_said_and_the_next_upgrade_is_tried_all_the_same(running: Running) -> None:
    deed = "    conns = board.live()\n"
    breaks = '    if __import__("os").path.exists("breaks"):\n        raise KeyError("something broke")\n'
    running.replace("switchboard/snapshot.py", deed, breaks + deed)
    assert "upgraded" in running.ask("upgrade")
    with game(running) as (_host, link, client):
        (running.folder / "breaks").touch()
        for _ in range(2):
            assert "KeyError" in running.ask("upgrade")["error"]
            assert "something broke" in running.line("KeyError: ")
        running.process.send_signal(signal.SIGHUP)
        assert "something broke" in running.line("KeyError: ")
        assert_goes_on(client, link)
        (running.folder / "breaks").unlink()
        assert running.ask("upgrade")["links"] == 1
        assert_goes_on(client, link)


def test_a_reload_that_comes_while_an_earlier_one_fails_its_check_is_not_lost(running: Running) -> None:
    running.replace("cli.py", "def _self_check(arguments: argparse.Namespace) -> int:", SLOW_CHECK)
    (running.folder / "unfit").touch()
    running.process.send_signal(signal.SIGHUP)
    wait_for((running.folder / "checking").exists, BOUND, "the new program to be asked")
    (running.folder / "unfit").unlink()
    running.process.send_signal(signal.SIGHUP)
    for _ in range(2):
        running.ask("status")  # it has heard the signal when it answers
    (running.folder / "go").touch()
    assert "0 sessions" in running.line("upgraded in place")


def test_a_broken_configuration_changes_nothing(tmp_path: Path) -> None:
    # The self-check is asked with the configuration the service runs with.
    config = tmp_path / "relay.toml"
    config.write_text("")
    with serving(ROOT, config, "--bind", "127.0.0.1", "--port", "0") as relay:
        config.write_text("[listen]\nprot = 1\n")
        assert "relay.toml:2: [listen] has no setting prot" in relay.ask("upgrade")["error"]
        assert relay.process.poll() is None


# A busy machine may take longer over an upgrade than people have for the rest of a header.
PATIENT = {"timeouts.first_bytes": "60", "timeouts.header": "60", "timeouts.link": "60"}


def test_each_setting_is_taken_up_by_the_same_process_while_a_game_goes_on(tmp_path: Path) -> None:
    """As a deployment has it: the file is written, and whoever asks the relay to change knows the new one alone."""
    config = tmp_path / "relay.toml"
    config.write_text(every_setting.settings([], tmp_path, PATIENT))
    (tmp_path / "others").write_text("127.0.0.1\n")
    changes = [[name] for name in every_setting.names() if name not in every_setting.PORTS_AND_BINDINGS]
    with (
        serving(ROOT, config, "--bind", "127.0.0.1", "--port", "0") as relay,
        game(relay) as (_host, link, client),
    ):
        # Each of them, and back from the one before; then all at once, and back.
        for changed in [*changes, [name for each in changes for name in each], []]:
            config.write_text(every_setting.settings(changed, tmp_path, PATIENT))
            places = control_client.places(load(config).control.socket, relay.control)
            answer = control_client.ask_first(places, "upgrade", BOUND)
            assert answer.get("links") == 1, (changed, answer)
            assert control_client.ask_first(places, "status")["pid"] == relay.process.pid
            assert_goes_on(client, link)


@pytest.mark.parametrize("configured", ["other.sock", "none/other.sock"])
def test_a_relay_is_found_at_the_usual_place_too(tmp_path: Path, configured: str) -> None:
    """By whoever has other settings; also where it cannot have its socket at the place that its settings name."""
    config = tmp_path / "relay.toml"
    config.write_text(f'[control]\nsocket = "{tmp_path}/{configured}"\n')
    with serving(ROOT, config, "--bind", "127.0.0.1", "--port", "0") as relay:
        usual, named = tmp_path / "control.sock", tmp_path / configured
        for place in (None, tmp_path / "gone.sock", named):
            places = control_client.places(place, usual)
            wait_for(lambda places=places: control_client.find(places).exists(), BOUND, "the socket")
            assert control_client.ask(control_client.find(places), "status")["pid"] == relay.process.pid
            assert control_client.ask_first(places, "status")["pid"] == relay.process.pid
        config.write_text("")
        assert "upgraded" in relay.ask("upgrade")
        assert not usual.is_symlink()


def test_a_room_with_the_port_that_the_command_line_names_ends_no_game(tmp_path: Path) -> None:
    config = tmp_path / "relay.toml"
    config.write_text("")
    port = a_free_port()
    with (
        serving(ROOT, config, "--bind", "127.0.0.1", "--port", str(port)) as relay,
        game(relay) as (_host, link, client),
    ):
        config.write_text(f'[[room]]\nid = "FridayNightRoom1"\nport = {port}\n')
        assert f"port {port} is a room's port already" in relay.ask("upgrade")["error"]
        assert_goes_on(client, link)


def test_a_release_whose_serve_does_not_take_our_arguments_ends_no_game(running: Running) -> None:
    with game(running) as (_host, link, client):
        running.replace("cli.py", '"--bind", action', '"--addresses", action')
        assert "unrecognized arguments: --bind 127.0.0.1" in running.ask("upgrade")["error"]
        assert_goes_on(client, link)


def test_a_release_that_fails_before_it_listens_ends_no_game(running: Running) -> None:
    with game(running) as (_host, link, client):
        running.replace("cli.py", "    sockets.raise_file_limit()\n", '    raise RuntimeError("not on this machine")\n')
        assert "not on this machine" in running.ask("upgrade")["error"]
        assert_goes_on(client, link)


# The options of a self-check are for ever: an older release knows these two, and takes any other for a mistake.
OLDER = """
import argparse, sys
parser = argparse.ArgumentParser()
check = parser.add_subparsers(required=True).add_parser("self-check")
check.add_argument("--state", type=int, required=True)
check.add_argument("--config")
sys.exit(print(parser.parse_args()))
"""


async def asked(monkeypatch: pytest.MonkeyPatch, program: str) -> tuple[Verdict, str]:
    def command(*arguments: str) -> list[str]:
        return [sys.executable, "-c", program, *arguments]

    monkeypatch.setattr(upgrade, "command", command)
    return await upgrade.check("relay.toml")


async def test_an_older_release_can_be_asked_for_its_self_check(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await asked(monkeypatch, OLDER) == (Verdict.READY, "")


def test_an_older_release_that_asks_and_tells_only_its_settings_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(upgrade.SERVE, raising=False)
    config = tmp_path / "relay.toml"
    config.write_text("[lan]\nanswer = true\n")
    asking = ["self-check", "--state", str(snapshot.VERSION), "--config", str(config)]
    assert main(asking) == 0
    config.write_text("[lan]\nanswers = true\n")
    assert main(asking) == BAD_INPUT


async def test_a_self_check_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "CHECK_SECONDS", 0.05)
    verdict, words = await asked(monkeypatch, "import signal; signal.pause()")
    assert (verdict, words) == (Verdict.BROKEN, "it did not answer within 0 s")


def test_a_self_check_is_ended_before_who_asked_for_the_upgrade_has_gone() -> None:
    patience = inspect.signature(control_client.ask).parameters["seconds"].default
    assert 0 < upgrade.CHECK_SECONDS < patience / 2


def test_a_new_program_that_cannot_read_the_state_waits_for_the_last_game(running: Running) -> None:
    with game(running) as (_host, link, client):
        running.replace("switchboard/snapshot.py", "READS = (1, 2, 3)", "READS = (4,)")
        assert "starts after the last one" in running.ask("upgrade")["waiting"]
        with connect(running, wire.HOST_HELLO) as late:
            assert late.recv(1) == b"", "no new rooms"
        assert_goes_on(client, link)
        assert running.process.poll() is None
    assert running.process.wait(BOUND) == 0


def test_the_first_stop_still_lets_the_game_go_on_while_a_new_program_waits(running: Running) -> None:
    with game(running) as (_host, link, client):
        running.replace("switchboard/snapshot.py", "READS = (1, 2, 3)", "READS = (4,)")
        assert "waiting" in running.ask("upgrade")
        running.process.send_signal(signal.SIGTERM)
        assert "games go on for at most 60" in running.line("stopping:")
        assert_goes_on(client, link)


def test_a_later_release_that_reads_the_state_need_not_wait(running: Running) -> None:
    with game(running) as (_host, link, client):
        running.replace("switchboard/snapshot.py", "READS = (1, 2, 3)", "READS = (4,)")
        running.ask("upgrade")
        running.replace("switchboard/snapshot.py", "READS = (4,)", "READS = (1, 2, 3)")
        assert "upgraded" in running.ask("upgrade")
        assert not running.ask("status")["draining"]
        connect(running, wire.HOST_HELLO).close()
        assert_goes_on(client, link)


def test_status_is_answered_all_through_an_upgrade(running: Running) -> None:
    failed: list[str] = []
    answered: list[str] = []
    stopped = threading.Event()

    def watch() -> None:
        while not stopped.wait(0.005):
            try:
                answered.append(running.ask("status")["program"])
            except (OSError, ValueError) as error:
                failed.append(repr(error))

    with game(running):
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        for number in range(1, 4):
            before = len(answered)
            wait_for(lambda before=before: len(answered) > before, BOUND, "an answer before the upgrade")  # type: ignore[misc]
            running.replace("__init__.py", '__version__ = "', f'__version__ = "{number}')
            assert "upgraded" in running.ask("upgrade")
        stopped.set()
        watcher.join(BOUND)
        assert not watcher.is_alive()
    programs = dict.fromkeys(answered)
    assert len(programs) >= 3, f"one program after the other answered, and not only {list(programs)}"
    # One that had been accepted when the program changed is closed without an answer; none is refused.
    assert not [words for words in failed if "Refused" in words], failed
    assert len(failed) <= 3


def test_a_stop_while_the_new_program_is_checked_keeps_its_bound(running: Running) -> None:
    with game(running):
        running.replace("cli.py", "def _self_check(arguments: argparse.Namespace) -> int:", SLOW_CHECK)
        running.process.send_signal(signal.SIGHUP)
        wait_for((running.folder / "checking").exists, BOUND, "the new program to be asked")
        running.process.send_signal(signal.SIGTERM)
        running.line("stopping: games go on")
        (running.folder / "go").touch()
        assert "the relay is stopping" in running.line("so this one goes on")


def test_a_stop_that_comes_when_the_state_is_written_is_obeyed_by_the_new_program(running: Running) -> None:
    deed = "board, conns = snapshot.dump(self.board)"
    suicide = f"{deed}; import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    running.replace("net/server.py", deed, suicide)
    running.ask("upgrade")
    running.replace("net/server.py", suicide, deed)
    with contextlib.suppress(OSError, ValueError):
        running.ask("upgrade")
    assert running.process.wait(BOUND) == 0


def test_while_the_new_program_is_asked_no_other_thread_would_take_a_stop(running: Running) -> None:
    """What the kernel hands to a thread that only waits for the child is lost when exec ends that thread."""
    running.replace("cli.py", "def _self_check(arguments: argparse.Namespace) -> int:", SLOW_CHECK)
    number = running.process.pid
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(running.ask, "upgrade")
        try:
            wait_for((running.folder / "checking").exists, BOUND, "the new program to be asked")
            others = [path for path in Path(f"/proc/{number}/task").iterdir() if path.name != str(number)]
            masks = [re.search(r"^SigBlk:\s+(\w+)$", (path / "status").read_text(), re.MULTILINE) for path in others]
            blocked = [int(mask[1], 16) for mask in masks if mask]
        finally:
            (running.folder / "go").touch()
        assert answer.result().keys() >= {"upgraded"}
    wanted = sum(1 << (held - 1) for held in upgrade.HELD)
    assert [mask & wanted for mask in blocked] == [wanted] * len(others)


@contextlib.contextmanager
def configured(tmp_path: Path, port: int, listen: str) -> Iterator[Running]:
    """Run a relay on a port whose file says where to listen, so that a test can say it anew."""
    config = tmp_path / "relay.toml"
    config.write_text(f"[listen]\nport = {port}\n{listen}\n")
    with serving(ROOT, config) as relay:
        yield relay


def a_free_port(address: str = "127.0.0.1") -> int:
    with socket.create_server((address, 0)) as free:
        return int(free.getsockname()[1])


def test_a_new_port_that_is_taken_ends_no_game(tmp_path: Path) -> None:
    config = tmp_path / "relay.toml"
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with (
            configured(tmp_path, a_free_port(), 'bind = ["127.0.0.1"]') as relay,
            game(relay) as (_host, link, client),
        ):
            config.write_text(config.read_text() + f'[[room]]\nid = "FridayNightRoom1"\nport = {taken}\n')
            assert "upgraded" in relay.ask("upgrade")
            assert f"cannot listen on 127.0.0.1:{taken}" in relay.line("cannot listen")
            assert_goes_on(client, link)


def test_where_the_relay_listens_can_be_changed_to_and_fro_under_a_game(tmp_path: Path) -> None:
    config, every, one = tmp_path / "relay.toml", 'bind = ["0.0.0.0", "::1"]', 'bind = ["127.0.0.1", "::1"]'
    needs.listener_on("::1").close()
    with configured(tmp_path, a_free_port("0.0.0.0"), every) as relay, game(relay) as (_host, link, client):  # noqa: S104
        for before, then, elsewhere in ((every, one, False), (one, every, True)):
            config.write_text(config.read_text().replace(before, then))
            assert "upgraded" in relay.ask("upgrade")
            connect(relay, wire.header()[:5]).close()
            with contextlib.closing(socket.socket()) as sock:
                assert (sock.connect_ex(("127.0.0.2", relay.port)) == 0) is elsewhere
            assert_goes_on(client, link)


def test_sighup_upgrades_too(running: Running) -> None:
    with game(running) as (_host, link, client):
        running.process.send_signal(signal.SIGHUP)
        assert "1 sessions and 1 links go on" in running.line("upgraded in place")
        assert_goes_on(client, link)


def test_no_descriptor_is_left_over_after_many_upgrades(running: Running) -> None:
    def descriptors() -> int:
        return len(os.listdir(f"/proc/{running.process.pid}/fd"))  # noqa: PTH208 - a count

    with game(running):
        running.ask("upgrade")
        before = descriptors()
        for _ in range(3):
            running.ask("upgrade")
        assert descriptors() == before


# Where a program can be killed in the middle of an upgrade: file, what stands there. It says that it has come so far,
# and goes no further, while "hold" names that place.
KILLED_AT = {
    "the self-check": ("cli.py", "def _self_check(arguments: argparse.Namespace) -> int:\n"),
    "writing the state": ("net/server.py", "def capture(self) -> dict[str, Any]:\n"),
    "reading the state": ("net/server.py", "def restore(self, data: dict[str, Any]) -> None:\n"),
}
HOLD = """{line}{indent}import pathlib, time
{indent}while (hold := pathlib.Path("hold")).exists() and hold.read_text() == {place!r}:
{indent}    pathlib.Path("reached").touch()
{indent}    time.sleep(0.01)
"""


@pytest.mark.parametrize("place", KILLED_AT)
def test_a_relay_that_is_killed_in_the_middle_of_an_upgrade_leaves_nothing_in_the_next_ones_way(
    running: Running, tmp_path: Path, place: str
) -> None:
    name, line = KILLED_AT[place]
    indent = "    " if name == "cli.py" else "        "
    running.replace(name, line, HOLD.format(line=line, indent=indent, place=place))
    running.ask("upgrade")
    hold = running.folder / "hold"
    hold.write_text(place)
    try:
        with game(running) as (host, link, client):
            running.process.send_signal(signal.SIGHUP)
            wait_for((running.folder / "reached").exists, BOUND, f"the relay to come to {place}")
            running.process.kill()
            assert running.process.wait(BOUND) == -signal.SIGKILL
            for sock in (host, link, client):
                with contextlib.suppress(ConnectionResetError):
                    assert sock.recv(1) == b"", "the players see the end"
        again_at = ("--bind", "127.0.0.1", "--port", str(running.port))
        with (
            serving(running.folder, tmp_path / "relay.toml", *again_at) as again,
            game(again) as (_host, link, client),
        ):
            assert_goes_on(client, link)
            assert again.ask("status")["pid"] == again.process.pid
            hold.unlink()
            assert again.ask("upgrade")["links"] == 1
    finally:
        hold.unlink(missing_ok=True)  # nobody who was held is left behind


def test_the_new_command_line_is_the_old_one_with_another_subcommand() -> None:
    argv = ["/usr/bin/python3", "-I", "/opt/current/netplay-relay.pyz", "serve", "--config", "/etc/relay.toml"]
    new = upgrade.command("self-check", "--state", "1", argv=argv, own=3)
    assert new[1:] == ["-I", "/opt/current/netplay-relay.pyz", "self-check", "--state", "1"]


def test_without_an_inherited_state_there_is_none() -> None:
    assert upgrade.inherited_state({}) is None


def test_a_state_that_is_no_object_is_refused() -> None:
    fd = os.memfd_create("test")
    os.write(fd, json.dumps([1]).encode())
    os.lseek(fd, 0, os.SEEK_SET)
    with pytest.raises(upgrade.UnusableStateError, match="not an object"):
        upgrade.inherited_state({upgrade.STATE_FD: str(fd)})
