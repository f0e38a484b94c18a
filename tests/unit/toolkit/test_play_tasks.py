"""`invoke play.host` and `play.join` as they are typed, on machines where something is missing or wrong."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.machines import FakeMachine
from tests.support.statuses import client, session, status
from tests.support.waiting import wait_for
from toolkit.console import ROOT
from toolkit.errors import BAD_INPUT, HOST_UNUSABLE
from toolkit.hosts import inventory, last, target
from toolkit.hosts.inventory import Entry
from toolkit.hosts.names import parse_host
from toolkit.play import settings
from toolkit.play.printed import KEPT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.typed import Typing
    from tests.unit.toolkit.conftest import FakeSsh

SESSION = "FridayNightRoom1"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    """Be somebody with RetroArch, a core and a game."""
    machine = FakeMachine(tmp_path / "m")
    machine.retroarch()
    machine.core("nestopia")
    machine.game()
    monkeypatch.setenv("HOME", str(machine.home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(machine.home / ".config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine.home / ".cache"))
    monkeypatch.setenv("PATH", f"{machine.bin}:/usr/bin:/bin")
    return machine


@pytest.fixture
def relay() -> Iterator[str]:
    """Return the string of a relay that answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1|{server.getsockname()[1]}"


def test_a_command_is_printed_that_can_be_run_and_its_files_are_there(
    mine: FakeMachine, relay: str, invoke: Typing
) -> None:
    chosen = (
        "--core",
        "nestopia",
        "--content",
        str(mine.home / "game.nes"),
        "--retroarch",
        str(mine.bin / "retroarch"),
    )
    ports = ("--device", "3:257", "--device=4:257")
    done = invoke(
        "play.host", *chosen, "--relay", relay, "--nick", "anna", "--password", "secret word", *ports, "--print"
    )
    assert (done.code, done.stderr) == (0, "")
    argv = shlex.split(done.stdout.splitlines()[-1])
    assert argv[0] == str(mine.bin / "retroarch")
    assert argv[-5:-2] == ["--device=3:257", "--device=4:257", "--nick=anna"]
    assert argv[-2:] == ["--host", str(mine.home / "game.nes")]
    config = Path(next(word for word in argv if word.startswith("--appendconfig=")).partition("=")[2])
    assert settings.read(config)["netplay_custom_mitm_server"] == relay
    assert settings.read(config)["netplay_password"] == "secret word"  # noqa: S105 - made up here
    assert config.stat().st_mode & 0o077 == 0


def test_a_printed_command_stays_what_it_was_when_another_is_printed(
    mine: FakeMachine, relay: str, invoke: Typing
) -> None:
    chosen = ("--core", "nestopia", "--content", str(mine.home / "game.nes"), "--relay", relay, "--print")
    chosen += ("--retroarch", str(mine.bin / "retroarch"))

    def config_of(*words: str) -> Path:
        argv = shlex.split(invoke(*words, *chosen).stdout.splitlines()[-1])
        return Path(next(word for word in argv if word.startswith("--appendconfig=")).partition("=")[2])

    hosting = config_of("play.host", "--password", "secret word")
    before = hosting.read_text()
    assert config_of("play.join") != hosting
    assert hosting.read_text() == before
    assert config_of("play.host", "--password", "secret word") == hosting


def test_the_files_of_printed_commands_do_not_become_ever_more(mine: FakeMachine, relay: str, invoke: Typing) -> None:
    play = mine.home / ".cache/netplay-relay/play"
    for number in range(30):
        (play / f"printed-{number:012x}").mkdir(parents=True)
    chosen = ("--core", "nestopia", "--content", str(mine.home / "game.nes"), "--relay", relay, "--print")
    done = invoke("play.join", *chosen, "--retroarch", str(mine.bin / "retroarch"))
    assert (done.code, done.stderr) == (0, "")
    config = next(word for word in shlex.split(done.stdout.splitlines()[-1]) if word.startswith("--appendconfig="))
    assert Path(config.partition("=")[2]).exists()
    assert len([*play.iterdir()]) == KEPT


def test_what_is_run_is_followed_by_its_exit_code(mine: FakeMachine, relay: str, invoke: Typing) -> None:
    program = mine.bin / "retroarch"
    log = "for word; do case $word in --log-file=*) log=${word#*=};; esac; done"
    text = "[INFO] [Netplay] Failed to connect to host"
    version = program.read_text().splitlines()[1]
    program.write_text(
        f'#!/bin/sh\ncase $1 in --version) {version}; exit;; esac\n{log}\necho "{text}" > "$log"\nexit $CODE\n'
    )
    typed = ("play.join", "--core", "nestopia", "--content", str(mine.home / "game.nes"), "--relay", relay)
    typed += ("--retroarch", str(program))
    done = invoke(*typed, CODE="0")
    assert done.code == 1
    assert "there was no way in: nobody hosts that room" in done.stdout
    assert invoke(*typed, CODE="3").code == 3
    assert not list((mine.home / ".cache" / "netplay-relay" / "play").iterdir())


def ended(pid: int) -> bool:
    """Tell whether a process runs no more, also where nobody has asked for its exit code yet."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.timeout(240)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_who_closes_the_terminal_leaves_neither_retroarch_nor_files_behind(
    mine: FakeMachine, relay: str, number: signal.Signals
) -> None:
    program, told = mine.bin / "retroarch", mine.home / "pid"
    version = program.read_text().splitlines()[1]
    # Like RetroArch itself it ends by Ctrl-C, which a terminal sends to both.
    program.write_text(
        f"#!/bin/sh\ncase $1 in --version) {version}; exit;; esac\necho $$ > {told}.new\nmv {told}.new {told}\n"
        "exec sleep 60\n"
    )
    typed = ["play.join", "--core", "nestopia", "--content", str(mine.home / "game.nes"), "--relay", relay]
    argv = [sys.executable, "-m", "invoke", *typed, "--retroarch", str(program), "--log"]
    with subprocess.Popen(argv, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL) as typing:
        wait_for(told.exists, 90, "RetroArch to run")
        (os.killpg if number is signal.SIGINT else os.kill)(typing.pid, number)
        typing.wait(60)
    wait_for(lambda: ended(int(told.read_text())), 30, "RetroArch to have ended")
    assert list((mine.home / ".cache" / "netplay-relay" / "play").iterdir()) == []


@pytest.mark.parametrize("columns", ["100", "40"])
def test_each_thing_that_is_wrong_is_a_sentence_a_next_step_and_an_exit_code(
    mine: FakeMachine, relay: str, invoke: Typing, columns: str
) -> None:
    game, program = str(mine.home / "game.nes"), str(mine.bin / "retroarch")
    nobody = relay.partition("|")[0] + "|1"
    cases = [
        (("--core", "nestopia", "--content", game, "--retroarch", "/nowhere"), "no RetroArch at /nowhere", BAD_INPUT),
        (("--core", "nes", "--content", game, "--retroarch", program), "the core 'nes' is not in", BAD_INPUT),
        (("--core", "nestopia", "--content", "no.nes", "--retroarch", program), "there is no file no.nes", BAD_INPUT),
        (("--core", "nestopia", "--content", game, "--retroarch", program, "--nick", "x" * 40), "31 bytes", BAD_INPUT),
        (("--core", "nestopia", "--content", game, "--retroarch", program, "--host", "x"), "both given", BAD_INPUT),
        (("--core", "nestopia", "--content", game, "--device", "three"), "--device 'three' is no", BAD_INPUT),
        (("--core", "nestopia", "--content", game, "--room", "x"), "--room goes with --host", BAD_INPUT),
    ]
    for words, said, code in cases:
        done = invoke("play.host", *words, "--relay", relay, "--print", COLUMNS=columns)
        assert (done.code, said in done.stderr.replace("\n", " ")) == (code, True), done.stderr
        assert "Traceback" not in done.stderr
        assert "\x1b" not in done.stderr + done.stdout
        assert len(done.stderr.splitlines()) >= 2
    done = invoke("play.join", *cases[0][0][:4], "--retroarch", program, "--relay", nobody)
    assert done.code == HOST_UNUSABLE
    assert "refuses the connection" in done.stderr
    assert "Ask its owner" in done.stderr


def test_a_host_that_was_never_deployed_to_says_so(mine: FakeMachine, invoke: Typing, fake_ssh: FakeSsh) -> None:
    game = str(mine.game())
    typed = ("--core", "nestopia", "--content", game, "--retroarch", str(mine.bin / "retroarch"), "--host", "newvps")
    done = invoke("play.join", *typed)
    assert done.code == HOST_UNUSABLE
    assert "there is no relay on newvps" in done.stderr
    assert not (fake_ssh.folder / "calls").exists()


def test_the_hosts_own_state_tells_which_room_and_what_differs(
    mine: FakeMachine, relay: str, invoke: Typing, fake_ssh: FakeSsh
) -> None:
    port = int(relay.partition("|")[2])
    host = parse_host("127.0.0.1")
    inventory.write(inventory.files_of(host).inventory, Entry(host).render())
    last.remember(target.real("127.0.0.1"))
    playing = session(SESSION, port, [client("ben", crc="FFFFFFFF")])
    fake_ssh.answers(json.dumps(status([{"id": SESSION, "port": port}], [playing], (port,))))
    typed = ("--core", "nestopia", "--content", str(mine.game()), "--retroarch", str(mine.bin / "retroarch"), "--print")
    done = invoke("play.join", *typed)
    assert done.code == BAD_INPUT
    assert "theirs FFFFFFFF" in done.stderr
    assert "--anyway" in done.stderr
    done = invoke("play.join", *typed, "--anyway")
    assert done.code == 0
    assert f"--connect=127.0.0.1|{port}|{SESSION}" in done.stdout.replace("'", "")
    assert "20 ms" in done.stdout or "30 ms" in done.stdout
    done = invoke("play.host", *typed)
    assert done.code == BAD_INPUT
    assert "anna hosts FridayNightRoom1 already" in done.stderr


@pytest.mark.parametrize("task", ["play.host", "play.join"])
def test_who_names_no_relay_and_has_none_is_told_how_one_is_named(mine: FakeMachine, invoke: Typing, task: str) -> None:
    done = invoke(task, "--core", "nestopia", "--content", str(mine.game()))
    assert (done.code, done.stdout) == (BAD_INPUT, "")
    assert f"invoke {task} --relay 'ADDRESS|55435'" in done.stderr


def test_no_retroarch_and_several_are_said_as_they_are_typed(mine: FakeMachine, relay: str, invoke: Typing) -> None:
    typed = ("play.host", "--core", "nestopia", "--content", str(mine.game()), "--relay", relay)
    image = mine.program(mine.home / "RetroArch.AppImage")
    done = invoke(*typed, PATH=str(mine.bin))
    assert done.code == BAD_INPUT
    assert "there are 2 RetroArchs" in done.stderr
    assert f"--retroarch {image}" in done.stderr
    image.unlink()
    (mine.bin / "retroarch").unlink()
    done = invoke(*typed, PATH=str(mine.bin))
    assert done.code == BAD_INPUT
    assert "there is no RetroArch on this machine" in done.stderr
