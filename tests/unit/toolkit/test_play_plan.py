"""From what was typed to the command: rooms, what differs, the way, the files, and RetroArch's log in sentences."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.machines import GOOD, NESTOPIA, SERIALIZED, FakeMachine
from tests.support.pasted import PASTED
from tests.support.statuses import client, session, status, table
from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.join import rooms as join_rooms
from toolkit.join import show
from toolkit.play import asked, compare, cores, flow, info, launch, settings, target, ways
from toolkit.play.asked import Said
from toolkit.play.content import Content
from toolkit.play.found import Installation
from toolkit.play.launch import Wish
from toolkit.play.log import Follower, sentence
from toolkit.play.target import Target

if TYPE_CHECKING:
    from toolkit.play.cores import Core

GAME = Content("/games/the game.nes", "1234ABCD")
RETROARCH = Installation(
    "distribution", ("/usr/bin/retroarch",), Path("/x/retroarch.cfg"), Path("/x"), Path("/home/me")
)
SESSION = "FridayNightRoom1"
needs_cc = pytest.mark.skipif(
    shutil.which("cc") is None and not os.environ.get("CI"), reason="cc is missing; install with: apt-get install gcc"
)


@pytest.fixture
def mine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path / "m")


def a_core(mine: FakeMachine, name: str = "nestopia", text: str | None = NESTOPIA + GOOD) -> Core:
    return cores.at(mine.core(name, text), mine.data / "cores")


def live(*clients: Any, mode: str = "tunnel", hosted: bool = True) -> Target:
    state = status(
        [{"id": SESSION, "port": 55435, "mode": mode}], [session(SESSION, clients=list(clients))] if hosted else []
    )
    return Target("relay.example.org", join_rooms.rooms_of(state)[0], live=True, owner=" --host myvps")


def test_the_string_of_an_invitation_is_taken_apart() -> None:
    full = target.parse(f"relay.example.org|55440|{SESSION}")
    assert (full.address, full.room.port, full.room.id, full.live) == ("relay.example.org", 55440, SESSION, False)
    assert full.arguments((1, 14, 0)) == (f"--connect=relay.example.org|55440|{SESSION}",)
    assert target.parse("203.0.113.7").arguments((1, 10, 0)) == ("--connect=203.0.113.7|55435",)
    assert live().arguments((1, 14, 0)) == (f"--connect=relay.example.org|55435|{SESSION}",)


@pytest.mark.parametrize("typed", PASTED)
def test_what_comes_along_with_a_copied_invitation_is_left_out(typed: str) -> None:
    found = target.parse(typed)
    assert (found.address, found.room.port) == ("localhost", 55499)
    session = target.parse(typed.replace("55499", f"55499 | {SESSION}"))
    assert (session.room.port, session.room.id) == (55499, SESSION)


@pytest.mark.parametrize("around", ["{}", " {} ", "'{}'", "\u200b{}"])
def test_a_room_and_an_address_may_be_pasted_too(around: str) -> None:
    rooms = join_rooms.rooms_of(status([{"id": SESSION, "port": 55440, "mode": "hosted"}], []))
    assert join_rooms.choose(rooms, around.format("55440")).id == SESSION
    assert show.check_address(around.format("relay.example.org")) == "relay.example.org"


@pytest.mark.parametrize(
    ("release", "port", "arguments"),
    [
        ((1, 22, 2), 55440, ("--connect=relay.example.org|55440",)),
        ((1, 10, 0), 55435, ("--connect=relay.example.org|55435",)),
        ((1, 9, 14), 55440, ("--connect=relay.example.org|55440",)),
        ((1, 9, 13), 55435, ("--connect=relay.example.org|55435",)),
        ((1, 9, 12), 55440, ("--connect=relay.example.org", "--port=55440")),
        ((1, 7, 2), 55440, ("--connect=relay.example.org", "--port=55440")),
        ((1, 7, 1), 55435, ("--connect=relay.example.org", "--port=55435")),
    ],
)
def test_each_release_is_told_what_it_takes(
    release: tuple[int, int, int], port: int, arguments: tuple[str, ...]
) -> None:
    assert target.parse(f"relay.example.org|{port}").arguments(release) == arguments


@pytest.mark.parametrize(
    ("release", "typed", "why", "cure"),
    [
        ((1, 9, 14), f"relay.example.org|55435|{SESSION}", "cannot name a room by its id", "Update RetroArch"),
        ((1, 7, 3), f"relay.example.org|55440|{SESSION}", "cannot name a room by its id", "Update RetroArch"),
        ((1, 7, 1), "relay.example.org|55440", "goes to port 55435", r"In its menu type relay\.example\.org\|55440"),
    ],
)
def test_what_a_release_cannot_be_told_is_said(release: tuple[int, int, int], typed: str, why: str, cure: str) -> None:
    with pytest.raises(UserError, match=why) as refused:
        target.parse(typed).arguments(release)
    assert re.search(cure, str(refused.value.fix))


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "|",
        "relay:55435",
        "relay|0",
        "relay|x",
        "relay|55435|short",
        "relay|1|" + SESSION + "|x",
        "-x|1",
        "a b|1",
        "r|٣",
        "my relay|55435",
        "[2001:db8::1]|55435",
    ],
)
def test_what_is_no_invitation_says_how_one_is_written(typed: str) -> None:
    with pytest.raises(UserError) as caught:
        target.parse(typed)
    assert "--relay 'relay.example.org|55435'" in caught.value.fix
    assert "--address" not in caught.value.fix


def test_who_differs_from_the_host_is_told_before_retroarch_fails(mine: FakeMachine) -> None:
    core = a_core(mine)
    assert compare.to_join(live(client("ben")), core, GAME, Said()) == []
    assert compare.to_join(live(client("ben")), core, Content("x", None), Said()) == []
    (other,) = compare.to_join(live(client("ben", crc="FFFFFFFF")), core, GAME, Said())
    assert (other.stops, "FFFFFFFF" in other.message, "1234ABCD" in other.message) == (True, True, True)
    assert compare.to_join(live(client("ben", crc="00000000")), core, GAME, Said()) == []
    quick = a_core(mine, "quicknes", NESTOPIA.replace('"Nestopia"', '"QuickNES"') + GOOD)
    (dropped,) = compare.to_join(live(client("ben")), quick, GAME, Said())
    assert "drop you without a word" in dropped.message
    (password,) = compare.to_join(live(client("ben", password=True)), core, GAME, Said())
    assert (password.stops, "password" in password.message) == (False, True)
    (nobody,) = compare.to_join(live(hosted=False), core, GAME, Said())
    assert "nobody hosts" in nobody.message
    assert compare.to_join(live(hosted=False, mode="auto"), core, GAME, Said()) == []
    assert compare.to_join(live(client("ben")), core, GAME, Said("nestopia", "1.52.0")) == []
    (older,) = compare.to_join(live(client("ben")), core, GAME, Said("Nestopia", "1.51.0"))
    assert (older.stops, "1.51.0" in older.message) == (False, True)
    (itself,) = compare.to_join(live(client("ben")), core, GAME, Said("FCEUmm", "1.52.0"))
    assert (itself.stops, "nestopia is FCEUmm" in itself.message) == (True, True)


@pytest.mark.parametrize(("mode", "cure"), [("auto", "invoke play.host"), ("coreless", "in another room")])
def test_who_joins_with_a_core_that_links_machines_is_told_that_somebody_must_host(
    mine: FakeMachine, mode: str, cure: str
) -> None:
    core = a_core(mine, "gpsp", NESTOPIA.replace('"Nestopia"', '"gpSP"') + GOOD)
    (found,) = compare.to_join(live(hosted=False, mode=mode), core, GAME, Said())
    assert "gpsp needs somebody to host, to link machines" in found.message
    assert (cure in found.fix, found.stops) == (True, False)


def test_a_room_that_is_hosted_or_needs_no_host_is_not_hosted_again() -> None:
    assert compare.to_host(live(hosted=False)) == []
    assert "hosts FridayNightRoom1 already" in compare.to_host(live())[0].message
    assert compare.to_host(live(hosted=False, mode="auto")) == []
    assert "everybody just connects" in compare.to_host(live(hosted=False, mode="coreless"))[0].message
    playing = join_rooms.rooms_of(status(mode="auto", tables=[table(55435, "anna")]))[0]
    assert "a game without a host goes on" in compare.to_host(Target("relay", playing, live=True))[0].message


def test_a_core_that_retroarch_refuses_stops_unless_it_is_known_to_keep_in_step(mine: FakeMachine) -> None:
    (trap,) = compare.core_alone(a_core(mine, text=NESTOPIA + SERIALIZED), None)
    assert (trap.stops, "keeps in step" in trap.message) == (False, True)
    unknown = a_core(mine, "bnes", NESTOPIA + SERIALIZED)
    (refused,) = compare.core_alone(unknown, a_core(mine))
    assert (refused.stops, "--core nestopia" in refused.fix) == (True, True)
    assert compare.core_alone(a_core(mine, "other", None), None)[0].stops
    assert compare.core_alone(a_core(mine), None) == []
    (heavy,) = compare.core_alone(a_core(mine, "mupen64plus_next", NESTOPIA + GOOD), None)
    assert not heavy.stops


@pytest.mark.parametrize(
    ("release", "own", "heeds"),
    [
        ((1, 9, 14), "", False),
        ((1, 10, 3), "", False),
        ((1, 11, 0), "", True),
        ((1, 14, 0), 'core_info_savestate_bypass = "true"\n', True),
        ((1, 16, 0), 'core_info_savestate_bypass = "true"\n', False),
        ((1, 16, 0), 'core_info_savestate_bypass = "false"\n', True),
    ],
)
def test_a_core_is_refused_only_where_this_retroarch_would(
    mine: FakeMachine, release: tuple[int, int, int], own: str, heeds: bool
) -> None:
    mine.version = ".".join(map(str, release))
    mine.retroarch()
    (mine.data / "retroarch.cfg").write_text(own)
    for name, text in (("bnes", None), ("nestopia", NESTOPIA + SERIALIZED)):
        mine.core(name, text)
        player = flow.look(mine.machine, flow.Request(name, str(mine.game()), hosting=True))
        found = flow.differs(player, live(hosted=False), hosting=True)
        assert any(finding.stops for finding in found) == (heeds and name == "bnes")
        assert player.cured == heeds
        assert any("given a description" in finding.message for finding in found) == (heeds and name == "nestopia")


def test_a_hosts_command_holds_nothing_but_options_and_its_file_the_rest(mine: FakeMachine) -> None:
    core = a_core(mine)
    wish = Wish("-anna", "let me in", "only watch", latency_frames=2, spectate=True)
    plan = launch.host(RETROARCH, core, GAME, live(hosted=False), wish)
    assert plan.argv(Path("/s")) == [
        "/usr/bin/retroarch", "--appendconfig=/s/netplay.cfg", "--verbose", f"--libretro={core.path}", "--nick=-anna",
        "--host", "/games/the game.nes",
    ]  # fmt: skip
    written = settings.parse(plan.config(Path("/s")))
    assert written == {
        "netplay_use_mitm_server": "true", "netplay_mitm_server": "custom", "netplay_public_announce": "false",
        "netplay_custom_mitm_server": "relay.example.org|55435", "config_save_on_exit": "false",
        "netplay_password": "let me in", "netplay_spectate_password": "only watch",
        "netplay_input_latency_frames_min": "2", "netplay_start_as_spectator": "true",
    }  # fmt: skip
    assert "let me in" not in " ".join(plan.argv(Path("/s")))


def test_a_guests_command_names_the_room_and_its_file_changes_almost_nothing(mine: FakeMachine) -> None:
    plan = launch.guest(RETROARCH, a_core(mine), GAME, live().arguments((1, 17, 0)), Wish(), cured=True)
    assert f"--connect=relay.example.org|55435|{SESSION}" in plan.argv(Path("/s"))
    assert settings.parse(plan.config(Path("/s"))) == {
        "config_save_on_exit": "false", "libretro_directory": str(mine.data / "cores"),
        "libretro_info_path": "/s/info", "core_info_savestate_bypass": "true",
    }  # fmt: skip


def test_what_retroarchs_files_cannot_hold_is_refused(mine: FakeMachine) -> None:
    core = a_core(mine)
    for wish in (Wish("n" * 32), Wish("é" * 16), Wish("a\x1b[2J"), Wish("", 'a"b'), Wish("", "a\nb = 1")):
        with pytest.raises(UserError):
            launch.host(RETROARCH, core, GAME, live(), wish).config(Path("/s"))
    for typed in ("16", "-1", "x", "٣"):
        with pytest.raises(UserError):
            launch.frames(typed)
    assert (launch.frames(""), launch.frames("0"), launch.frames("15")) == (None, 0, 15)
    with pytest.raises(UserError, match="a bar in a path"):
        launch.host(RETROARCH, core, GAME, live(), Wish()).argv(Path("/a|b"))


@pytest.mark.parametrize(
    ("one_way", "late", "wanted"),
    [(0.0, 0, 0), (0.016, 1, 0), (0.033, 2, 0), (0.045, 3, 1), (0.090, 6, 4), (9, 540, 15)],
)
def test_the_way_is_told_in_frames(one_way: float, late: int, wanted: int) -> None:
    assert (ways.frames(one_way), ways.latency_frames(one_way)) == (late, wanted)
    said = ways.advice(one_way, one_way)
    assert f"{late} frame" in said
    assert (f"--latency-frames {wanted}" in said) == bool(wanted)


def test_a_relay_that_answers_is_measured_and_one_that_does_not_says_what_to_ask() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert 0 < ways.measure("127.0.0.1", port, hosting=True) < 5
    with pytest.raises(UserError, match="refuses the connection") as caught:
        ways.measure("127.0.0.1", port, hosting=True, owner=" --host myvps")
    assert caught.value.exit_code == HOST_UNUSABLE
    assert "invoke friends.list --host myvps" in caught.value.fix
    with pytest.raises(UserError, match="nobody knows a machine called"):
        ways.measure("no such name.invalid", port, hosting=False)
    with pytest.raises(UserError, match="hosts by IPv4 only"):
        ways.measure("::1", port, hosting=True)


def test_settings_are_read_as_retroarch_reads_them() -> None:
    text = 'a = "one"\n a="two"\nb=bare # x\n# c = "no"\nd = ""\nbroken\ne = "x y"\n'
    assert settings.parse(text) == {"a": "one", "b": "bare", "d": "", "e": "x y"}
    assert settings.parse(settings.render({"k": "v|1"})) == {"k": "v|1"}


def test_a_description_is_cured_and_keeps_the_rest() -> None:
    cured = info.parse("nestopia", info.deterministic(NESTOPIA + SERIALIZED))
    assert (cured.refused, cured.corename, cured.extensions) == ("", "Nestopia", ("nes", "fds"))


def test_the_log_is_told_in_sentences_each_once_and_safely(tmp_path: Path) -> None:
    log = tmp_path / "log"
    follower = Follower(log)
    assert list(follower.new()) == []
    log.write_text(
        '[INFO] [Netplay] You have joined as player 1\n[INFO] nothing\n[INFO] Got connection from: "b\x1b[2J"'
    )
    assert list(follower.new()) == ["you play, as player 1"]
    with log.open("a") as file:
        file.write("\n[INFO] [Netplay] ben has joined as player 2 (ping: 16 ms)\n" * 2)
    assert list(follower.new()) == ["b?[2J connects", "ben plays, as player 2"]
    assert not follower.failed
    with log.open("a") as file:
        file.write("[ERROR] [Netplay] Failed to connect to relay server 10.0.0.1 on port 55435.\n")
    (said,) = follower.new()
    assert "the relay 10.0.0.1 port 55435 does not answer" in said
    assert follower.failed
    for line in ("[INFO] [Netplay] [a] b has joined as player 3", "[INFO]: [netplay] [a] b has joined as player 3"):
        assert sentence(line) == ("[a] b plays, as player 3", False)
    assert sentence("[INFO] [Netplay] Player ben has left the game") == ("ben plays no more", False)
    assert sentence("[ERROR] [Netplay] Core does not support netplay.") is not None
    assert "\x1b" not in "".join(follower.last())


@needs_cc
def test_a_core_is_asked_for_its_name_and_one_that_breaks_is_not_known(tmp_path: Path) -> None:
    source, core = tmp_path / "core.c", tmp_path / "a core.so"
    source.write_text(
        "struct info { const char *name, *version, *extensions; char full, block; };\n"
        'void retro_get_system_info(struct info *i) { i->name = "A \\033 core"; i->version = "1.2"; }\n'
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(core), str(source)], check=True, timeout=60)
    assert asked.ask(core) == Said("A ? core", "1.2")
    source.write_text("void retro_get_system_info(void *i) { __builtin_trap(); }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(core), str(source)], check=True, timeout=60)
    (tmp_path / "no.so").write_bytes(b"\x7fELF")
    assert [asked.ask(path) for path in (core, tmp_path / "no.so", tmp_path / "nowhere")] == [Said()] * 3


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        (
            "A netplay connection attempt failed because the peer is not running RetroArch, or is running an old "
            "version of RetroArch.",
            "your address is not let in",
        ),
        ("A netplay peer is running an old version of RetroArch. Cannot connect.", "too far apart in age"),
        ("Netplay state load out of order!", "join again"),
        ("Failed to resolve host: ", "behind a bar"),
    ],
)
def test_each_sentence_of_older_and_newer_releases_is_explained(line: str, meaning: str) -> None:
    said = sentence(f"[ERROR] [Netplay] {line}")
    assert said is not None
    assert meaning in said[0]
    assert said[1]


@pytest.mark.parametrize(("text", "systems"), [(NESTOPIA, 1), (NESTOPIA + 'systemid = "nes"\n', 1)])
def test_an_info_file_that_we_write_names_a_system(text: str, systems: int) -> None:
    cured = info.deterministic(text + SERIALIZED)
    assert cured.count("systemid = ") == systems
