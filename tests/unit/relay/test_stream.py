"""Watching netplay go by."""

from __future__ import annotations

import gc
import json
import sys
from typing import Any

import pytest

from relay.netplay.framing import MOST_HELD
from relay.netplay.observed import clean
from relay.netplay.releases import RELEASES, guess, implementation
from relay.netplay.watcher import Role, Watcher
from tests.support import netplay as np

MEGABYTE = 1 << 20


def watched(talk: np.Talk, names: bool = True) -> Watcher:
    watcher = Watcher(names)
    for to_host, data in talk:
        watcher.feed(to_host, data)
    return watcher


def seen(talk: np.Talk, names: bool = True) -> dict[str, Any]:
    return watched(talk, names).seen.as_dict()


def kept(thing: object) -> bytes:
    """Return whatever text and bytes an object holds, through all its parts."""
    found, todo, known = b"", [thing], set()
    while todo:
        one = todo.pop()
        if id(one) in known or isinstance(one, type) or callable(one):
            continue
        known.add(id(one))
        found += one.encode() if isinstance(one, str) else one if isinstance(one, bytes) else b""
        todo += gc.get_referents(one)
        todo += [getattr(one, name) for name in getattr(type(one), "__slots__", ()) if hasattr(one, name)]
    return found


# A game, from the first byte on.


def test_a_handshake_tells_who_plays_what_with_whom() -> None:
    nestopia = {"core": "Nestopia", "core_version": "1.52.0", "content_crc": "852CD204"}
    facts = seen(np.handshake())
    assert facts["client"] == {"nick": "friend", "retroarch": "1.10.1 or 1.14.0", **nestopia}
    assert facts["host"] == {"nick": "player", "retroarch": "1.10.1 or 1.14.0", **nestopia}
    assert facts["protocol"] == 6
    assert facts["password"] is False
    assert (facts["role"], facts["client_number"], facts["player"], facts["pads"]) == ("playing", 1, 2, [2])
    assert not facts["stopped"]


def test_before_the_first_byte_nothing_is_known_and_nothing_invented() -> None:
    facts = seen([])
    assert facts["client"] == facts["host"]
    assert facts["client"] == {"nick": "", "retroarch": "", "core": "", "core_version": "", "content_crc": None}
    unknown = ("protocol", "password", "client_number", "player", "frame", "client_frame", "behind")
    assert [facts[name] for name in unknown] == [None] * len(unknown)
    assert facts["role"] == "joining"


def test_a_client_is_joining_until_it_is_in_and_watches_until_it_plays() -> None:
    talk = np.handshake()
    assert seen(talk[:6])["role"] == "joining"
    assert seen(talk[:7])["role"] == "watching"
    facts = seen([*talk, (False, np.mode(playing=False, pads=0))])
    assert (facts["role"], facts["player"], facts["pads"]) == ("watching", None, [])


def test_a_spectator_watches_while_others_come_and_go() -> None:
    others = np.mode(you=False, playing=False, number=2, pads=0) + np.mode(you=False, number=2, pads=4, name="third")
    facts = seen([*np.handshake()[:7], (False, others + np.game_input(74, 0) + np.game_input(74, 2))])
    assert (facts["role"], facts["player"], facts["client"]["nick"]) == ("watching", None, "friend")
    assert facts["frame"] == 74


def test_the_host_s_frames_are_counted_whoever_else_plays() -> None:
    talk: np.Talk = [(False, np.game_input(75, 0) + np.game_input(75, 1) + np.game_input(75, 3, 1, 2, 3))]
    facts = seen(np.handshake() + talk)
    assert (facts["frame"], facts["frames"]) == (75, 3)


def test_a_host_that_watches_counts_its_frames_too() -> None:
    facts = seen([*np.handshake()[:7], (False, np.no_input(74) + np.no_input(75))])
    assert (facts["frame"], facts["frames"]) == (75, 3)


def test_how_far_a_player_is_behind_the_host_is_known() -> None:
    facts = seen([*np.handshake(), (True, np.game_input(75, 1)), (False, np.game_input(99, 0))])
    assert (facts["frame"], facts["client_frame"], facts["behind"]) == (99, 75, 24)


def test_the_host_settles_the_client_s_name() -> None:
    talk = [*np.handshake()[:6], (False, np.sync("friend (2)", number=3))]
    facts = seen(talk)
    assert (facts["client"]["nick"], facts["client_number"]) == ("friend (2)", 3)


def test_a_sync_may_carry_a_saved_game() -> None:
    talk = [*np.handshake()[:6], (False, np.sync(sram=bytes(8192)) + np.game_input(73, 0))]
    facts = seen(talk)
    assert (facts["role"], facts["frame"], facts["stopped"]) == ("watching", 73, False)


# Passwords and refusals.


def test_a_password_is_seen_to_be_asked_for_and_sent_and_never_kept() -> None:
    talk = np.handshake(wants_password=True)
    assert (seen(talk[:4])["password"], seen(talk[:4])["password_sent"]) == (True, False)
    watcher = watched(talk)
    assert watcher.seen.as_dict()["password_sent"] is True
    assert watcher.seen.role is Role.PLAYING
    for cut in range(72):
        assert b"5ecret" not in kept(watched([*talk[:4], (True, np.password()[:cut])]))


def test_a_wrong_password_shows_as_a_host_that_never_tells_its_core() -> None:
    facts = seen(np.handshake(wants_password=True)[:5])
    assert (facts["password_sent"], facts["host"]["core"], facts["role"]) == (True, "", "joining")


@pytest.mark.parametrize(("magic", "refusal"), [(b"FULL", "full"), (b"DENY", "banned")])
def test_a_host_that_refuses_has_said_why(magic: bytes, refusal: str) -> None:
    for answer in (magic, np.host_header(magic=magic)):
        facts = seen([(True, np.client_header()), (False, answer)])
        assert (facts["refusal"], facts["stopped"], facts["protocol"]) == (refusal, False, None)


def test_a_host_that_finds_no_common_protocol_refuses_too() -> None:
    facts = seen([(True, np.client_header()), (False, np.host_header(protocol=0))])
    assert facts["refusal"] == "old version"


# Versions.


@pytest.mark.parametrize(
    ("word", "name"),
    [(0x469, "1.10.1 or 1.14.0"), (0x459, "1.12.0"), (0x455, "1.22.2"), (0x529, "1.9.14"), (0x259, "1.9.0")],
)
def test_a_release_is_known_by_its_hash(word: int, name: str) -> None:
    assert guess(word) == name


def test_every_release_is_among_those_its_hash_names() -> None:
    for protocol, names in RELEASES.items():
        for name in names.split():
            assert name in guess(implementation(name, protocol)).split(" or ")


def test_a_release_that_is_not_known_is_shown_by_its_hash() -> None:
    assert guess(0xDEADBEEF) == "unknown (0xdeadbeef)"


def test_retroarch_1_21_speaks_protocol_7() -> None:
    facts = seen(np.handshake(np.client_header(np.RA_1_21, 7), np.host_header(np.RA_1_21, protocol=7)))
    assert (facts["protocol"], facts["client"]["retroarch"], facts["role"]) == (7, "1.21.0", "playing")


def test_a_legacy_client_joins_a_modern_host_by_protocol_5() -> None:
    talk: np.Talk = [
        (True, np.client_header(np.RA_1_9_14, highest=0)),
        (False, np.host_header(protocol=5)),
        (False, np.nick("player")),
        (True, np.nick("friend")),
        (False, np.info()),
        (True, np.info()),
        (False, np.sync() + np.game_input(73, 0)),
        (True, np.play()),
        (False, np.savestate(74, 900) + np.game_input(74, 0) + np.mode()),
    ]
    facts = seen(talk)
    assert (facts["protocol"], facts["client"]["retroarch"], facts["host"]["retroarch"], facts["player"]) == (
        5,
        "1.9.14",
        "1.10.1 or 1.14.0",
        2,
    )


def test_an_old_client_s_info_with_the_crc_at_its_end_is_understood() -> None:
    talk = [(True, np.client_header(np.RA_1_9_0, highest=0)), (True, np.nick("friend")), (True, np.old_info())]
    client = seen(talk)["client"]
    assert (client["core"], client["core_version"], client["content_crc"]) == ("Nestopia", "1.50-WIP", "852CD204")


def test_a_crc_that_looks_like_text_is_still_a_crc() -> None:
    talk = [*np.handshake()[:4], (False, np.info(crc=0x41424344))]
    host = seen(talk)["host"]
    assert (host["core"], host["content_crc"]) == ("Nestopia", "41424344")


def test_an_empty_info_is_a_question() -> None:
    facts = seen([*np.handshake()[:4], (False, np.command(0x22) + np.info())])
    assert facts["host"]["core"] == "Nestopia"


# What goes wrong, and what goes on.


def test_a_desync_is_a_savestate_asked_for_not_one_sent_because_somebody_joined() -> None:
    joined: np.Talk = [(False, np.savestate(200, 800)), (False, np.savestate(300, 810))]
    facts = seen(np.handshake() + joined)
    assert (facts["desyncs"], facts["savestates"], facts["savestate_bytes"]) == (0, 3, 810)
    desync: np.Talk = [(False, np.CHECKSUM), (True, np.REQUEST_SAVESTATE), (False, np.savestate(183, 1221))]
    facts = seen(np.handshake() + desync)
    assert (facts["desyncs"], facts["savestates"], facts["savestate_bytes"]) == (1, 2, 1221)
    assert seen(np.handshake() + desync + desync)["desyncs"] == 2


NEW = implementation("1.22.2", 7)
ASKS: np.Talk = [(True, np.REQUEST_SAVESTATE), (False, np.savestate(190, 900))]
DESYNC: np.Talk = [(False, np.CHECKSUM), *ASKS]


def new_game() -> np.Talk:
    """Return the beginning of a game of RetroArch 1.22.2, who asks for a state when it is let in to play."""
    return np.handshake(np.client_header(NEW, 7), np.host_header(NEW, protocol=7)) + ASKS


def others_mode(*, playing: bool) -> np.Talk:
    """Return what a client is told when another one begins to play, or ceases to."""
    return [(False, np.mode(you=False, playing=playing, number=2, pads=4 if playing else 0))]


def test_a_state_that_1_21_asks_for_after_a_mode_is_no_desync() -> None:
    talk = new_game()
    for playing in (True, False, True):
        talk += others_mode(playing=playing) + ASKS
    # It says nothing when it begins to watch, and asks when it plays again.
    talk += [(False, np.mode(playing=False, pads=0)), (False, np.mode()), *ASKS]
    # Two who come at once, and what it asks for crosses the second on its way.
    talk += others_mode(playing=True) + others_mode(playing=True) + ASKS + ASKS
    assert seen(talk)["desyncs"] == 0
    assert seen(talk + DESYNC)["desyncs"] == 1
    assert seen(talk + DESYNC + others_mode(playing=False) + ASKS + DESYNC)["desyncs"] == 2


def test_a_desync_is_counted_where_1_21_has_not_asked_for_a_mode_for_long() -> None:
    later: np.Talk = [(False, np.game_input(frame, 0, 0)) for frame in range(100, 1000)]
    assert seen(new_game() + others_mode(playing=True) + later + DESYNC)["desyncs"] == 1


def test_an_older_client_asks_after_no_mode() -> None:
    assert seen(np.handshake() + others_mode(playing=True) + ASKS)["desyncs"] == 1


def test_what_a_client_has_yet_to_ask_for_is_handed_over() -> None:
    watcher = watched(new_game() + others_mode(playing=True))
    successor = Watcher.restored(json.loads(json.dumps(watcher.save())), names=True)
    for to_host, data in ASKS + DESYNC:
        successor.feed(to_host, data)
    assert successor.seen.as_dict()["desyncs"] == 1
    assert not {"modes", "mode_frame", "asks_after_mode"} & successor.seen.as_dict().keys()


def test_resets_stalls_and_pings_are_counted() -> None:
    facts = seen([*np.handshake(), (False, np.STALL + np.RESET + np.STALL), (True, np.PING_REQUEST * 3)])
    assert (facts["stalls"], facts["resets"], facts["pings"]) == (2, 1, 3)


def test_a_pause_is_known_with_who_holds_the_game() -> None:
    talk = np.handshake()
    talk.append((True, np.pause("friend")))
    assert (seen(talk)["paused"], seen(talk)["paused_by"]) == (True, "friend")
    talk += [(True, np.RESUME), (False, np.pause("third"))]
    assert (seen(talk)["paused"], seen(talk)["paused_by"]) == (True, "third")
    talk.append((False, np.RESUME))
    assert (seen(talk)["paused"], seen(talk)["paused_by"]) == (False, "")


def test_a_game_two_hold_goes_on_when_both_let_go() -> None:
    talk = [*np.handshake(), (True, np.pause("friend")), (False, np.pause("player")), (True, np.RESUME)]
    assert seen(talk)["paused_by"] == "player"
    assert not seen([*talk, (False, np.RESUME)])["paused"]


def test_a_game_may_be_paused_already_when_somebody_joins() -> None:
    assert seen([*np.handshake()[:6], (False, np.sync(paused=True))])["paused_by"] == "host"


def test_a_pause_of_one_who_watches_holds_nobody() -> None:
    assert not seen([*np.handshake()[:7], (True, np.pause("friend"))])["paused"]


def test_who_pauses_and_ceases_to_play_holds_nobody_any_more() -> None:
    talk = [*np.handshake(), (True, np.pause("friend")), (False, np.mode(playing=False, pads=0))]
    assert not seen(talk)["paused"]


# Privacy.


def test_chat_is_never_kept_wherever_it_is_cut() -> None:
    says, hears = np.chat(b"my PIN is 1234"), np.chat(b"my PIN is 1234", b"friend")
    for cut in range(1, len(hears)):
        watcher = watched([*np.handshake(), (True, says[:cut]), (False, hears[:cut])])
        assert b"PIN" not in kept(watcher)
        watcher.feed(True, says[cut:] + np.PING_REQUEST)
        watcher.feed(False, hears[cut:] + np.STALL)
        assert b"PIN" not in kept(watcher)
        assert (watcher.seen.pings, watcher.seen.stalls) == (1, 1)


def test_no_nick_is_kept_without_leave_wherever_it_is_cut() -> None:
    talk = [*np.handshake(), (False, np.pause("player")), (True, np.pause("friend"))]
    assert b"friend" in kept(watched(talk)), "with leave they are, and this test would see them"
    for place, (to_host, data) in enumerate(talk):
        for cut in range(1, len(data) + 1):
            memory = kept(watched([*talk[:place], (to_host, data[:cut])], names=False))
            assert b"frie" not in memory
            assert b"play" not in memory.replace(b"playing", b"")
    facts = seen(talk, names=False)
    assert (facts["client"]["nick"], facts["host"]["nick"], facts["paused_by"]) == ("", "", "client")
    assert (facts["client"]["core"], facts["player"]) == ("Nestopia", 2)
    assert seen(talk[:-1], names=False)["paused_by"] == "host"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"anna\0rest", "anna"),
        (b"\x1b[31mred\x07", "?[31mred?"),
        (b"two\r\nlines", "two??lines"),
        ("Zoë".encode(), "Zoë"),
        ("\u202egnp.exe".encode(), "?gnp.exe"),
        (b"\xff\xfe caf\xe9", "?? caf?"),
        ("\x9b31m".encode(), "?31m"),
        (b"x" * 32, "x" * 31),
        (b"x" * 30 + "ë".encode(), "x" * 30 + "?"),
        (b"  spaces  ", "spaces"),
        (b"", ""),
    ],
)
def test_names_come_out_fit_for_a_terminal(raw: bytes, shown: str) -> None:
    assert clean(raw) == shown
    assert len(clean(raw).encode()) <= 31


def test_escape_sequences_do_not_get_through_any_field() -> None:
    evil = "\x1b]0;pwned\x07"
    talk: np.Talk = [
        (True, np.client_header() + np.nick(evil) + np.info(evil, evil)),
        (False, np.host_header() + np.nick(evil) + np.info(evil, evil) + np.sync(evil) + np.mode(name=evil)),
        (False, np.pause(evil)),
    ]
    shown = json.dumps(seen(talk), ensure_ascii=False)
    assert "pwned" in shown
    assert shown.isprintable()


# How bytes are cut, and what they cost.


def test_it_does_not_matter_where_any_chunk_is_cut() -> None:
    talk = [*np.handshake(wants_password=True), *np.playing(frames=2), (True, np.pause("friend")), (True, np.RESUME)]
    whole = seen(talk)
    for place, (to_host, data) in enumerate(talk):
        for cut in range(1, len(data)):
            pieces: np.Talk = [(to_host, data[:cut]), (to_host, data[cut:])]
            assert seen(talk[:place] + pieces + talk[place + 1 :]) == whole


def test_byte_by_byte_it_sees_the_same() -> None:
    talk = [*np.handshake(), *np.playing()]
    assert seen([(to_host, bytes([byte])) for to_host, data in talk for byte in data]) == seen(talk)


def test_all_at_once_it_sees_the_same_of_one_direction() -> None:
    said = b"".join(data for to_host, data in [*np.handshake(), *np.playing()] if not to_host)
    watcher = watched([(False, said)])
    assert (watcher.seen.frame, watcher.seen.frames, watcher.seen.role) == (84, 12, Role.PLAYING)


def test_netpackets_are_passed_over_with_the_four_bytes_their_size_does_not_count() -> None:
    packets = np.netpacket(b"") + np.netpacket(b"x" * 33) + np.netpacket(b"y")
    facts = seen([*np.handshake(), (True, packets + np.PING_REQUEST), (False, packets + np.STALL)])
    assert (facts["pings"], facts["stalls"], facts["stopped"]) == (1, 1, False)


def test_commands_nobody_knows_are_passed_over() -> None:
    facts = seen([*np.handshake(), (True, np.command(0x777, b"z" * 999) + np.PING_REQUEST)])
    assert (facts["pings"], facts["stopped"]) == (1, False)


def test_a_giant_savestate_is_counted_past_and_not_kept() -> None:
    watcher = watched(np.handshake())
    chunk = memoryview(bytearray(64 * 1024))
    watcher.feed(False, np.words(0x42, 64 * MEGABYTE))
    before = sys.getallocatedblocks()
    for _ in range(1024):
        watcher.feed(False, chunk)
    assert sys.getallocatedblocks() - before < 200
    watcher.feed(False, np.STALL)
    assert (watcher.seen.savestate_bytes, watcher.seen.stalls) == (64 * MEGABYTE, 1)


def test_what_lies_in_a_skipped_body_is_not_looked_at() -> None:
    class Untouchable(bytearray):
        """Has a size, and fails the test when anything else is asked of it."""

        def __getitem__(self, place: object) -> Any:
            raise AssertionError(f"looked at {place}")

    watcher = watched([*np.handshake(), (False, np.words(0x42, MEGABYTE))])
    watcher.feed(False, Untouchable(MEGABYTE - 1))
    watcher.feed(False, b"\0" + np.STALL)
    assert watcher.seen.stalls == 1


def test_it_does_not_hold_on_to_the_caller_s_buffer() -> None:
    buffer = bytearray(np.client_header() + np.nick("friend")[:20])
    view = memoryview(buffer)
    watcher = Watcher(names=True)
    watcher.feed(True, view)
    view.release()
    buffer[:] = bytes(4 * len(buffer))  # fails while anybody still looks into it
    watcher.feed(True, np.nick("friend")[20:])
    assert watcher.seen.client.nick == "friend"


# Where it stops.

IMPLAUSIBLE = {
    "a body above 64 MiB": np.words(0x42, 64 * MEGABYTE + 1),
    "a command far from any": b"GET / HTTP/1.1\r\n",
    "a command of no body that is far from any": np.command(0x10000),
    "a nick of another size": np.command(0x20, b"x" * 31),
    "an input without a player": np.command(0x03, b"1234"),
    "an input without a player and more behind it": np.command(0x03, b"1234") + np.RESUME,
    "an input of a size no pads have": np.words(0x03, 5000),
    "a short mode": np.command(0x26, bytes(59)),
    "an info of half the size": np.command(0x22, bytes(34)),
    "a short sync": np.command(0x23, bytes(183)),
}


@pytest.mark.parametrize("garbage", IMPLAUSIBLE.values(), ids=IMPLAUSIBLE.keys())
def test_a_direction_that_carries_garbage_is_followed_no_longer_and_the_other_is(garbage: bytes) -> None:
    watcher = watched([*np.handshake(), (False, garbage), (False, np.STALL * 5), (True, np.PING_REQUEST)])
    assert watcher.seen.stopped
    assert (watcher.seen.stalls, watcher.seen.pings) == (0, 1)
    assert watcher.seen.host.nick == "player", "what was seen before stays"


def test_what_does_not_begin_with_a_header_is_not_followed() -> None:
    facts = seen([(True, b"POKE" + np.nick("friend")), (False, b"HTTP/1.1 400 Bad Request\r\n")])
    assert facts["stopped"]
    assert (facts["client"]["nick"], facts["refusal"]) == ("", "")


def test_inputs_in_place_of_a_header_are_not_followed() -> None:
    facts = seen([(False, np.game_input(5, 0))])
    assert (facts["stopped"], facts["frames"]) == (True, 0)


# Handing over to a successor.


def test_a_successor_watches_on_from_any_byte() -> None:
    talk = [*np.handshake(), *np.playing(frames=2), (True, np.pause("friend"))]
    stream = [(to_host, bytes([byte])) for to_host, data in talk for byte in data]
    whole = seen(talk)
    for cut in range(0, len(stream), 7):
        state = json.loads(json.dumps(watched(stream[:cut]).save()))
        successor = Watcher.restored(state, names=True)
        for to_host, data in stream[cut:]:
            successor.feed(to_host, data)
        assert successor.seen.as_dict() == whole


def test_a_successor_that_may_keep_no_names_forgets_them() -> None:
    successor = Watcher.restored(watched([*np.handshake(), (False, np.pause("player"))]).save(), names=False)
    assert b"friend" not in kept(successor)
    assert b"player" not in kept(successor)
    successor.feed(True, np.nick("friend"))
    assert successor.seen.client.nick == ""
    assert successor.seen.paused_by == "host"


def test_a_successor_may_get_a_nick_cut_in_two_and_still_keeps_none() -> None:
    cut = watched([(True, np.client_header() + np.nick("friend")[:30])])
    successor = Watcher.restored(cut.save(), names=False)
    successor.feed(True, np.nick("friend")[30:] + np.info())
    assert (successor.seen.client.nick, successor.seen.client.core) == ("", "Nestopia")


def state_with(way: dict[str, Any] | None = None, **seen_: Any) -> dict[str, Any]:
    state = watched(np.handshake()).save()
    state["to_host"] |= way or {}
    state["seen"] |= seen_
    return state


BAD_STATES: dict[str, Any] = {
    "nothing": None,
    "a list": [],
    "an empty object": {},
    "half": {"seen": {}, "to_host": {}},
    "a count that is text": state_with(frames="many"),
    "a field of another version": state_with(color="red"),
    "a role nobody has": state_with(role="king"),
    "a skip below zero": state_with({"skip": -1}),
    "a skip without end": state_with({"skip": float("inf")}),
    "held bytes that are not hex": state_with({"held": "xyz"}),
    "more held than is ever held": state_with({"held": "00" * MOST_HELD}),
}


@pytest.mark.parametrize("state", BAD_STATES.values(), ids=BAD_STATES.keys())
def test_a_state_that_cannot_be_read_gives_a_watcher_that_has_stopped(state: Any) -> None:
    watcher = Watcher.restored(state, names=True)
    assert watcher.seen.stopped
    for to_host, data in np.handshake():
        watcher.feed(to_host, data)
    assert watcher.seen.role is Role.JOINING


def test_a_state_that_holds_whole_commands_was_never_saved_and_stops_the_watcher() -> None:
    watcher = Watcher.restored(state_with({"held": (np.PING_REQUEST * 3).hex()}), names=True)
    watcher.feed(True, b"\0")
    assert watcher.seen.stopped


def test_everything_it_tells_is_plain_json() -> None:
    talk = [*np.handshake(), (False, np.mode(pads=0b1010))]
    facts = seen(talk)
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["player"], facts["pads"]) == (2, [2, 4])
