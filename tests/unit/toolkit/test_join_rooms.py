"""The rooms that players see, out of what a relay says of itself."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from tests.support.statuses import client, session, status, table
from toolkit.errors import UserError
from toolkit.join import lines
from toolkit.join import rooms as join_rooms
from toolkit.join.rooms import Room

FRIDAY = "FridayNightRoom1"
OTHER = "TheOtherRoom0002"
RANDOM = "q83vEjRWeJCrze8S"


def rooms(**more: object) -> list[Room]:
    return join_rooms.rooms_of(status(**more))  # type: ignore[arg-type]


def test_a_relay_without_rooms_has_the_one_that_the_next_host_opens() -> None:
    (room,) = rooms()
    assert (room.id, room.port, room.waits_for_host) == (None, 55435, True)
    assert lines.string("relay", room) == "relay|55435"


def test_a_room_that_a_host_opened_is_told_by_its_port_while_it_is_the_only_one() -> None:
    (room,) = rooms(sessions=[session(RANDOM)])
    assert not room.waits_for_host
    assert lines.string("relay", room) == "relay|55435"
    assert lines.full_string("relay", room) == f"relay|55435|{RANDOM}"
    first, second = rooms(sessions=[session(RANDOM), session("AAAABBBBCCCCDDDD")])
    assert lines.string("relay", first) == f"relay|55435|{RANDOM}"
    assert lines.string("relay", second) == "relay|55435|AAAABBBBCCCCDDDD"


def test_rooms_of_the_settings_come_first_with_whoever_hosts_them() -> None:
    configured = [{"id": FRIDAY, "port": 55440}, {"id": OTHER, "port": 55435}]
    playing = session(OTHER, clients=[client("ben"), {**client("x"), "seen": None}])
    friday, other, extra = rooms(rooms=configured, sessions=[session(RANDOM), playing], ports=(55435, 55440))
    assert (friday.id, friday.alone, friday.waits_for_host) == (FRIDAY, True, True)
    assert (other.host, other.players, other.core, other.content_crc) == ("anna", ("ben",), "Nestopia", "1234ABCD")
    assert (extra.id, extra.host) == (RANDOM, "203.0.113.7")
    assert other.rtts == (0.020, 0.030)
    assert lines.string("relay", friday) == "relay|55440"
    assert lines.string("relay", other) == f"relay|55435|{OTHER}"


def test_the_main_port_has_a_room_too_where_all_rooms_have_ports_of_their_own() -> None:
    friday, main = rooms(rooms=[{"id": FRIDAY, "port": 55440}], ports=(55400, 55440))
    assert (friday.port, main.id, main.port) == (55440, None, 55400)


def test_a_relay_says_which_port_is_the_main_one_and_an_older_one_lets_it_be_seen() -> None:
    state = status([{"id": FRIDAY, "port": 55440}, {"id": OTHER, "port": 55500}], ports=(55440, 55500))
    assert join_rooms.main_port({**state, "main_port": 55500}) == 55500
    del state["main_port"]
    assert join_rooms.main_port(state) == 55440
    assert join_rooms.main_port({**state, "ports": [55435, 55440, 55500]}) == 55435


def test_in_a_room_of_another_mode_nobody_has_to_host() -> None:
    (room,) = rooms(rooms=[{"id": FRIDAY, "port": 55435, "mode": "coreless"}])
    assert (room.waits_for_host, room.can_be_hosted) == (False, False)
    assert lines.full_string("relay", room) == "relay|55435"
    assert "--mitm-session" not in lines.friend_command_1_17("relay", room)
    assert "Nobody has to host" in lines.state_line(room)
    assert "Nobody has to host" in lines.chat("relay", room)
    assert "your public address" in lines.chat("relay", room).splitlines()[1]


def test_where_whichever_comes_first_is_played_a_host_and_a_game_without_one_are_told_apart() -> None:
    (empty,) = rooms(mode="auto")
    assert (empty.waits_for_host, empty.can_be_hosted, empty.open) == (False, True, False)
    (playing,) = rooms(mode="auto", tables=[table(55435, "anna", "")])
    assert (playing.can_be_hosted, playing.players, playing.core) == (False, ("anna", "somebody"), "Nestopia")
    assert lines.state_line(playing).endswith("In it: anna, somebody; core Nestopia 1.52.0, content 1234ABCD.")
    (hosted,) = rooms(mode="auto", sessions=[session(RANDOM)])
    assert hosted.host == "203.0.113.7"
    assert lines.full_string("relay", hosted) == f"relay|55435|{RANDOM}"
    assert "Nobody has to host" not in lines.chat("relay", hosted)


LINKING = ("gpSP", "DoubleCherryGB", "DOSBox-pure", "melonDS DS", "Virtual Jaguar")


@pytest.mark.parametrize("core", LINKING)
@pytest.mark.parametrize("mode", ["auto", "coreless"])
def test_a_core_that_links_machines_needs_somebody_to_host(core: str, mode: str) -> None:
    playing = {**table(55435, "anna"), "core": core}
    (room,) = rooms(mode=mode, tables=[playing])
    for said in (lines.state_line(room), lines.chat("relay", room)):
        assert (
            f"The core {core} needs somebody to host, to link machines: games without a host do not carry its" in said
        )
        assert "Nobody has to host" not in said
        assert ("take another" in said) == (mode == "coreless")
    assert lines.as_dict("relay", room)["core_needs_host"]
    # Where somebody hosts, all is well.
    (hosted,) = rooms(sessions=[session(RANDOM, clients=[client("ben")])])
    hosted = replace(hosted, core=core)
    for said in (lines.state_line(hosted), lines.chat("relay", hosted)):
        assert "packets" not in said


def test_before_a_core_is_known_those_that_need_a_host_are_named() -> None:
    (empty,) = rooms(mode="auto")
    chat = lines.chat("relay", empty)
    assert "Nobody has to host" in chat
    assert all(core in chat for core in LINKING)
    (tunnel,) = rooms()
    assert "gpSP" not in lines.chat("relay", tunnel)


def test_two_rooms_that_share_a_port_need_hosts_and_the_port_itself_does_not() -> None:
    auto = [{"id": name, "port": 55435, "mode": "auto"} for name in (FRIDAY, OTHER)]
    friday, other, port = rooms(rooms=auto, mode="auto", tables=[table(55435, "anna")])
    assert (friday.waits_for_host, other.waits_for_host, port.waits_for_host) == (True, True, False)
    assert (friday.players, port.players) == ((), ("anna",))
    assert [lines.string("relay", room) for room in (friday, port)] == [f"relay|55435|{FRIDAY}", "relay|55435"]
    assert len(rooms(rooms=auto, mode="auto", sessions=[session(FRIDAY)])) == 2


def test_a_room_is_chosen_by_id_by_port_or_by_how_its_id_begins() -> None:
    some = rooms(rooms=[{"id": FRIDAY, "port": 55440}, {"id": OTHER, "port": 55435}])
    assert join_rooms.choose(some, FRIDAY).port == 55440
    assert join_rooms.choose(some, "55435").id == OTHER
    assert join_rooms.choose(some, "friday").id == FRIDAY


@pytest.mark.parametrize("wanted", ["", "nothing", "55441", "--help", "\x1b[2J"])
def test_a_room_that_is_not_there_is_answered_with_those_that_are(wanted: str) -> None:
    some = rooms(
        rooms=[{"id": FRIDAY, "port": 55440}, {"id": "FridayNightRoom2", "port": 55441}, {"id": OTHER, "port": 55435}]
    )
    some = [room for room in some if room.port != 55441 or wanted != "55441"]
    with pytest.raises(UserError) as caught:
        join_rooms.choose(some, wanted)
    assert FRIDAY in caught.value.message
    assert "\x1b" not in caught.value.message
    assert caught.value.fix.endswith(f"--room {FRIDAY}")


def test_a_beginning_that_fits_two_rooms_is_refused() -> None:
    some = rooms(rooms=[{"id": FRIDAY, "port": 55440}, {"id": "FridayNightRoom2", "port": 55441}])
    with pytest.raises(UserError, match="could be several"):
        join_rooms.choose(some, "Friday")


def test_what_is_played_is_told_with_core_and_content_and_password() -> None:
    (room,) = rooms(sessions=[session(RANDOM, clients=[client("ben", password=True)])])
    said = lines.state_line(room)
    assert said == "anna hosts it with ben; core Nestopia 1.52.0, content 1234ABCD. It asks for a password."
    assert "It asks for a password" in lines.chat("relay", room)
    (unknown,) = rooms(sessions=[session(RANDOM, clients=[client("ben", crc="00000000")])])
    assert "content" not in lines.state_line(unknown)


def test_every_command_line_is_one_that_a_shell_splits_as_it_is_meant() -> None:
    import shlex

    (room,) = rooms(sessions=[session(RANDOM)])
    assert shlex.split(lines.friend_command("relay.example.org", room)) == [
        "retroarch", "--connect", "relay.example.org|55435", "-L", "CORE", "GAME",
    ]  # fmt: skip
    assert shlex.split(lines.friend_command_1_17("relay.example.org", room)) == [
        "retroarch", "--connect", "relay.example.org", "--port", "55435", "--mitm-session", RANDOM,
        "-L", "CORE", "GAME",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("room", "releases"),
    [
        (Room("FridayNightRoom1", 55435, alone=True), ["1.9.13 and newer", "1.17 and newer", "1.7.1 to 1.9.12"]),
        (Room("FridayNightRoom1", 55440, alone=True), ["1.9.13 and newer", "1.17 and newer", "1.7.2 to 1.9.12"]),
        (Room("FridayNightRoom1", 55435, host="anna", alone=False), ["1.10 and newer", "1.17 and newer"]),
    ],
    ids=["the default port", "a port of its own", "by its id alone"],
)
def test_each_command_says_which_releases_take_it(room: Room, releases: list[str]) -> None:
    commands = lines.friend_commands("relay", room)
    assert [said.removeprefix("RetroArch ") for said, _ in commands] == releases
    first = releases[0].split()[0]
    needed = "1.10" if first == "1.10" else "1.7.1"
    assert f"You need RetroArch {needed} or newer" in lines.chat("relay", room)
    if len(commands) == 3:
        assert shlex.split(commands[2][1]) == [
            *("retroarch", "--connect", "relay", "--port", str(room.port), "-L", "CORE", "GAME")
        ]
        assert f"With RetroArch {releases[2]}:\n{commands[2][1]}" in lines.chat("relay", room)
