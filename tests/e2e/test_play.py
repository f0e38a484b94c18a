"""`invoke play.host` and `play.join`, as people type them, start stock RetroArch that plays through the relay."""

from __future__ import annotations

import os
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.support import retroarch_settings, rom
from tests.support.play import play_in_step
from tests.support.player_side import SERIALIZED, settings_of, typing
from tests.support.waiting import wait_for
from toolkit.join.rooms import rooms_of
from toolkit.play import asked, compare, content, cores, info
from toolkit.play.log import sentence
from toolkit.play.target import Target

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import StartMachine
    from tests.support.namespace import PrivateNetwork
    from tests.support.plain_relay import PlainRelay
    from tests.support.retroarch import Machine

pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(300)]
# invoke, its checks and three connections to the relay come before RetroArch.
WITHIN = 90.0


def zipped(folder: Path) -> str:
    path = folder / "the game.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "pads.nes", "pads.nes")
        archive.writestr("readme.txt", "not a game")
    return str(path)


def test_a_host_a_friend_and_a_watcher_play_by_what_they_typed(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine, tmp_path: Path
) -> None:
    where = ("--relay", f"127.0.0.1|{relay.port}")
    pads = "--device=3:257"
    hosting = typing("host", *where, "--nick", "Anna; id", "--latency-frames", "1", pads)
    player = start("player", hosting, network.command, WITHIN)
    player.wait_until_joined(WITHIN)
    room = f"127.0.0.1|{relay.port}|{relay.session()}"
    joining = typing("join", "--relay", room, "--nick=-ben", pads, edit=zipped)
    friend = start("friend", joining, network.command, WITHIN)
    assert friend.wait_until_joined(WITHIN) == 2
    play_in_step([player, friend])
    start("watcher", typing("join", *where, "--spectate", "--nick", "eve", pads), network.command, WITHIN)
    wait_for(lambda: len(relay.clients()) == 2 and roles(relay) == {"-ben": "playing", "eve": "watching"}, 15, "eve")

    # What the real logs say is known for what it is.
    assert told(player) >= {"you play, as player 1", "-ben connects", "-ben plays, as player 2", "eve connects"}
    assert told(friend) >= {"connected to Anna; id", "you play, as player 2"}

    # The relay has seen the CRC-32 that content.look tells of the plain file and of the zip.
    infos = info.parse("nestopia", SERIALIZED)
    plain = content.look(str(tmp_path / "player" / "pads.nes"), infos)
    seen = next(client["seen"] for client in relay.clients() if client["seen"]["client"]["nick"] == "-ben")
    assert seen["host"]["nick"] == "Anna; id"
    assert seen["host"]["content_crc"] == plain.crc
    assert seen["client"]["content_crc"] == content.look(zipped(tmp_path / "friend"), infos).crc

    # And so another game and another core are found before RetroArch is started.
    live = Target("127.0.0.1", rooms_of(relay.status())[0], live=True)
    core = cores.at(tmp_path / "player" / "cores" / "nestopia_libretro.so", tmp_path / "player" / "info")
    said = asked.ask(core.path)
    assert (said.name, said.version) == (live.room.core, live.room.core_version)
    assert compare.to_join(live, core, plain, said) == []
    other = tmp_path / "other.nes"
    other.write_bytes((tmp_path / "player" / "pads.nes").read_bytes() + b"\0")
    (found,) = compare.to_join(live, core, content.look(str(other), infos), said)
    assert found.stops
    assert "your game is another one" in found.message

    assert player.quit() == 0
    assert settings_of(tmp_path / "player").read_bytes() == (tmp_path / "player" / "before.cfg").read_bytes()
    # What was made for one run is gone with it.
    assert list((tmp_path / "player" / ".cache" / "netplay-relay" / "play").iterdir()) == []


def test_where_nobody_hosts_two_who_join_play(network: PrivateNetwork, relay: PlainRelay, start: StartMachine) -> None:
    machines = []
    for name in ("anna", "ben"):
        joining = typing("join", "--relay", f"127.0.0.1|{relay.port}", "--nick", name)
        machines.append(start(name, joining, network.command, WITHIN))
        machines[-1].wait_until_joined(WITHIN)
    play_in_step(machines, frames=30)
    (table,) = relay.status()["tables"]
    assert sorted(player["nick"] for player in table["players"]) == ["anna", "ben"]


def told(machine: Machine) -> set[str]:
    meant = (sentence(line) for line in machine.console.log.read_text(errors="replace").splitlines())
    return {said for said, _ in filter(None, meant)}


def roles(relay: PlainRelay) -> dict[str, str]:
    return {client["seen"]["client"]["nick"]: client["seen"]["role"] for client in relay.clients() if client["seen"]}


@pytest.mark.parametrize("relay_toml", ['[coreless]\nmode = "tunnel"\n'], ids=["nobody hosts"])
def test_what_retroarch_only_notes_in_its_log_is_said_in_a_sentence_with_an_exit_code(
    network: PrivateNetwork, relay: PlainRelay, tmp_path: Path
) -> None:
    retroarch_settings.require()
    folder = tmp_path / "friend"
    hers = typing("join", "--relay", f"127.0.0.1|{relay.port}", own_log=False)
    # Of a person whose RetroArch is in German: what it notes in its log is in that language, too.
    own = {"network_cmd_enable": "false", "network_remote_enable": "false", "user_language": "4"}
    retroarch_settings.write_folder(folder, hers, own)
    rom.write(folder / "pads.nes")
    assert hers.command is not None
    argv = network.command(hers.command(folder, ["--max-frames=60"]))
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (1, "")
    assert "there was no way in: nobody hosts that room" in done.stdout.replace("\n", " ")
