"""What players type and what is read from their machines, against anything."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.statuses import client, session, status, table
from toolkit import known_cores
from toolkit.errors import UserError
from toolkit.join import lines
from toolkit.join import rooms as join_rooms
from toolkit.play import info, launch, target
from toolkit.play import settings as cfg
from toolkit.play.content import Content
from toolkit.play.cores import Core
from toolkit.play.found import Installation
from toolkit.play.log import sentence

MAIN = 55435
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
IDS = st.text(LETTERS, min_size=16, max_size=16)
MODES = st.sampled_from(["tunnel", "coreless", "auto"])
KEYS = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=12)
PRINTED = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='"'), max_size=20)


@st.composite
def states(draw: st.DrawFn) -> dict[str, object]:
    """Draw the status of a relay: rooms with and without ports of their own, hosted or not, games without a host."""
    main = draw(MODES)
    names = draw(st.lists(IDS, max_size=5, unique=True))
    own = [draw(st.booleans()) for _ in names]
    rooms = [
        {"id": name, "port": MAIN + 1 + at if own[at] else MAIN, "mode": draw(MODES) if own[at] else main}
        for at, name in enumerate(names)
    ]
    hosted = [room for room in rooms if room["mode"] != "coreless" and draw(st.booleans())]
    sessions = [session(str(room["id"]), int(str(room["port"])), [client("ben")]) for room in hosted]
    more = draw(st.lists(IDS.filter(lambda name: name not in names), max_size=2, unique=True))
    sessions += [session(name) for name in more if main != "coreless"]
    taken = {each["port"] for each in sessions}
    ports = sorted({MAIN, *(int(str(room["port"])) for room in rooms)})
    played = {int(str(room["port"])): room["mode"] for room in rooms} | {MAIN: main}
    tables = [
        table(port, "eve") for port in ports if played[port] != "tunnel" and port not in taken and draw(st.booleans())
    ]
    return status(rooms, sessions, tuple(ports), tables, main)


@given(states())
def test_no_two_rooms_are_told_by_the_same_string_and_each_line_is_one_that_retroarch_reads(
    state: dict[str, object],
) -> None:
    rooms = join_rooms.rooms_of(state)
    strings = [lines.string("relay.example.org", room) for room in rooms]
    assert rooms
    assert len(set(strings)) == len(strings)
    for room, string in zip(rooms, strings, strict=True):
        meant = target.parse(lines.full_string("relay.example.org", room))
        assert (meant.address, meant.room.port) == ("relay.example.org", room.port)
        assert shlex.split(lines.friend_command("relay.example.org", room))[2] == string
        assert not (room.waits_for_host and room.open)
        assert join_rooms.choose(rooms, room.id or str(room.port)).port == room.port


@given(states())
def test_whoever_is_in_a_room_is_shown_in_it_and_nobody_twice(state: dict[str, object]) -> None:
    rooms = join_rooms.rooms_of(state)
    assert sum(bool(room.host) for room in rooms) == len(state["sessions"])  # type: ignore[arg-type]
    assert sum(room.open for room in rooms) == len(state["tables"])  # type: ignore[arg-type]


@given(st.dictionaries(KEYS, PRINTED))
def test_settings_are_read_as_they_were_written(values: dict[str, str]) -> None:
    assert cfg.parse(cfg.render(values)) == values


@given(st.text())
def test_no_text_breaks_what_reads_settings_descriptions_logs_and_invitations(text: str) -> None:
    cfg.parse(text)
    assert not info.parse("x", info.deterministic(text)).refused
    sentence(text)
    with contextlib.suppress(UserError):
        meant = target.parse(text)
        assert "|" not in meant.address
        assert not meant.address.startswith("-")


@settings(max_examples=50)
@given(st.text(max_size=40), st.text(max_size=40))
def test_a_nick_and_a_password_are_refused_or_reach_retroarch_as_they_are(nick: str, password: str) -> None:
    core = Core("x", Path("/x"), info.Info("x"), Path("/"))
    installation = Installation("path", ("retroarch",), Path("/c"), Path("/d"), Path("/h"))
    try:
        wish = launch.Wish(nick, password)
        plan = launch.host(installation, core, Content("/game", None), target.parse("relay|1"), wish)
        written = cfg.parse(plan.config(Path("/s")))
    except UserError:
        return
    assert written.get("netplay_password", "") == password
    assert [word for word in plan.arguments if word.startswith("--nick=")] == ([f"--nick={nick}"] if nick else [])
    assert known_cores.CORES
