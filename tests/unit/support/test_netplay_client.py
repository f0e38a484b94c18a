"""Whatever a client answers with NAK, or refuses, the simulated one must: each sentence of it is tried here."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest

from tests.support import netplay as np
from tests.support.netplay import kinds
from tests.support.netplay.client import Client
from tests.support.netplay.endings import How
from tests.support.netplay.machine import Machine
from tests.support.netplay.script import Script, sync_four

if TYPE_CHECKING:
    from tests.support.netplay.kinds import Kind

FIVE = pytest.mark.parametrize("kind", kinds.FIVE, ids=lambda kind: kind.release)
STATE = zlib.compress(Machine().save((5, 5)))


def load(frame: int, raw: int = 96, blob: bytes = STATE) -> bytes:
    return np.command(0x42, np.words(frame, raw) + blob)


# A client that plays at frame 10 as number 2, beside player 1, is sent these.
BAD = {
    "INPUT of a client who does not play": (np.game_input(10, 3), "INPUT of client 3, who does not play"),
    "INPUT of a number that there is not": (np.game_input(10, 40), "INPUT of client 40"),
    "INPUT of too many words": (np.game_input(10, 1, 0, 0), "INPUT with 2 words of client 1, whose pads have 1"),
    "INPUT without words": (np.command(3, np.words(10, 1)), "INPUT with 0 words"),
    "INPUT that is too short": (np.command(3, np.words(10)), "INPUT of 4 bytes"),
    "INPUT of a later frame": (np.game_input(11, 1), "INPUT 11 of client 1 instead of 10"),
    "NOINPUT of a later frame": (np.no_input(11), "NOINPUT 11 instead of 10"),
    "NOINPUT of another size": (np.command(4, np.words(10, 0)), "NOINPUT of 8 bytes"),
    "MODE playing at another frame": (np.mode(frame=11, number=3, you=False), "MODE at frame 11 instead of 10"),
    "MODE playing at an older frame": (np.mode(frame=9, number=3, you=False), "MODE at frame 9 instead of 10"),
    "MODE playing for who plays": (np.mode(frame=10, number=2), "makes it a player though it is one"),
    "MODE watching for who wants to play": (np.mode(frame=10, number=2, playing=False), "a spectator unprompted"),
    "MODE of another size": (np.command(0x26, bytes(56)), "MODE of 56 bytes"),
    "MODE for a number that there is not": (np.mode(frame=10, number=32, you=False), "MODE for client 32"),
    "LOAD_SAVESTATE of a later frame": (load(11), "LOAD_SAVESTATE at frame 11 instead of 10"),
    "LOAD_SAVESTATE of an older frame": (load(9), "LOAD_SAVESTATE at frame 9 instead of 10"),
    "LOAD_SAVESTATE of another core's size": (load(10, 64), "a savestate for 64 bytes, whose core has 96"),
    "LOAD_SAVESTATE that is far too long": (load(10, 96, bytes(500)), "a savestate of 500 bytes"),
    "LOAD_SAVESTATE without anything": (np.command(0x42), "LOAD_SAVESTATE of 0 bytes"),
    "LOAD_SAVESTATE that is not deflated": (load(10, 96, b"x" * 96), "cannot be inflated"),
    "RESET of another frame": (np.command(0x46, np.words(9)), "RESET at frame 9 instead of 10"),
    "RESET of another size": (np.command(0x46), "RESET of 0 bytes"),
    "PAUSE without a nick": (np.command(0x43), "PAUSE of 0 bytes"),
    "RESUME with something": (np.command(0x44, bytes(4)), "RESUME of 4 bytes"),
    "STALL without a number": (np.command(0x45), "STALL of 0 bytes"),
    "CRC of another size": (np.command(0x40, bytes(4)), "CRC of 4 bytes"),
    "REQUEST_SAVESTATE with something": (np.command(0x41, bytes(4)), "REQUEST_SAVESTATE of 4 bytes"),
    "MODE_REFUSED without a reason": (np.command(0x27), "MODE_REFUSED of 0 bytes"),
    "SPECTATE": (np.command(0x24), "a command 0x24"),
    "PLAY": (np.play(), "a command 0x25"),
}
# Only releases up to 1.9.14 end their game for these.
UNKNOWN = {
    "the setting that forbids pauses": np.command(0x2000, np.words(0)),
    "a ping": np.PING_REQUEST,
    "a chat": np.chat(b"hello", b"player"),
    "a packet of a core": np.netpacket(b""),
    "a second NICK": np.nick("player"),
    "a second INFO": np.info(),
}


@FIVE
@pytest.mark.parametrize(("bad", "why"), BAD.values(), ids=BAD)
def test_a_playing_client_answers_nak_to(kind: Kind, bad: bytes, why: str) -> None:
    script = Script(kind).playing()
    script.say(bad)
    client = script.client
    assert client.ending is not None
    assert client.ending.how is How.NAK
    assert why in client.ending.why
    assert script.heard().endswith(np.command(1))


@FIVE
@pytest.mark.parametrize("unknown", UNKNOWN.values(), ids=UNKNOWN)
def test_a_client_that_does_not_know_a_command_passes_over_it_or_answers_nak(kind: Kind, unknown: bytes) -> None:
    script = Script(kind).playing()
    script.say(unknown)
    ending = script.client.ending
    assert (ending is None) == kind.modern
    assert ending is None or (ending.how is How.NAK and "which it does not know" in ending.why)


@FIVE
def test_what_it_has_had_already_is_passed_over(kind: Kind) -> None:
    script = Script(kind).playing()
    script.say(np.game_input(9, 1), np.no_input(9), np.game_input(10, 1), np.no_input(10), np.game_input(10, 1))
    assert script.client.ending is None
    assert script.game.server == 11


@FIVE
def test_a_number_that_left_must_send_no_more(kind: Kind) -> None:
    script = Script(kind).playing()
    script.say(np.mode(frame=77, number=1, you=False, playing=False))
    assert script.client.ending is None, "the frame of who leaves is not looked at"
    script.say(np.game_input(10, 1))
    assert script.client.ending is not None
    assert "who does not play" in script.client.ending.why


# The handshake.


@FIVE
@pytest.mark.parametrize(
    ("after", "bad", "why"),
    [
        (0, b"HTTP" + bytes(20), "something else than RetroArch"),
        (0, np.host_header(protocol=4), "an old RetroArch"),
        (1, np.info(), "NICK of 32 bytes"),
        (1, np.command(0x20, bytes(31)), "NICK of 32 bytes, not 0x20 of 31"),
        (2, np.command(0x22, bytes(60)), "INFO of 0 or 68 bytes"),
        (2, np.sync(), "INFO of 0 or 68 bytes"),
        (3, np.game_input(10, 1), "SYNC, not 0x3"),
        (3, np.REQUEST_SAVESTATE, "SYNC, not 0x41"),
    ],
    ids=[
        "another program",
        "an old one",
        "no NICK",
        "a short NICK",
        "half an INFO",
        "SYNC too soon",
        "INPUT",
        "REQUEST",
    ],
)
def test_a_client_in_its_handshake_gives_up_at(kind: Kind, after: int, bad: bytes, why: str) -> None:
    script = Script(kind).steps(after)
    script.say(bad)
    ending = script.client.ending
    assert ending is not None
    assert ending.how is How.REFUSED
    assert why in ending.why


@FIVE
def test_another_core_is_refused_and_an_empty_info_is_answered(kind: Kind) -> None:
    script = Script(kind).steps(2)
    script.heard()
    script.say(np.command(0x22))
    assert len(script.heard()) == 76
    script.say((np.old_info if kind.old_info else np.info)("Gambatte"))
    assert script.client.ending is not None
    assert "different cores" in script.client.ending.why


@FIVE
def test_an_info_in_the_other_order_is_another_core(kind: Kind) -> None:
    script = Script(kind).steps(2)
    script.say((np.info if kind.old_info else np.old_info)())
    assert script.client.ending is not None
    assert "different cores" in script.client.ending.why


@FIVE
def test_a_sync_that_is_too_short_is_answered_with_nak(kind: Kind) -> None:
    script = Script(kind).steps(3)
    script.say(np.command(0x23, bytes(183)))
    assert script.client.ending is not None
    assert script.client.ending.how is How.NAK


@pytest.mark.parametrize("kind", kinds.MODERN, ids=lambda kind: kind.release)
@pytest.mark.parametrize("word", [b"FULL", b"DENY"])
def test_a_modern_client_understands_a_refusal(kind: Kind, word: bytes) -> None:
    script = Script(kind)
    script.say(np.host_header(magic=word))
    assert script.client.ending is not None
    assert "host" in script.client.ending.why


def test_a_salt_makes_a_client_wait_for_its_players_password() -> None:
    typed = "friday"
    mute, typing = Script(kinds.RA_1_14), Script(kinds.RA_1_14, password=typed)
    for script in (mute, typing):
        script.heard()
        script.say(np.host_header(salt=0xA9390CDF) + np.nick("player"))
    assert len(mute.heard()) == 40
    assert len(typing.heard()) == 40 + 72
    mute.pass_time(12)
    assert mute.client.ending is not None
    assert mute.client.ending.how is How.UNANSWERED


# Protocol 4.

BAD4 = {
    "INPUT of two words": (np.command(3, np.words(10, 0, 0, 0)), "INPUT of 16 bytes"),
    "INPUT of a server that plays": (np.game_input(10, 1 << 31, 0, 0, 0), "INPUT of player 0x80000000"),
    "INPUT of who does not play": (np.game_input(10, 2, 0, 0, 0), "INPUT of client 3"),
    "INPUT of a later frame": (np.game_input(11, 0, 0, 0, 0), "instead of 10"),
    "MODE of protocol 5": (np.mode(frame=10, number=3, you=False), "MODE of 60 bytes"),
    "MODE at another frame": (np.command(0x26, np.words(9, 2 | 1 << 17)), "MODE at frame 9 instead of 10"),
    "LOAD_SAVESTATE of another frame": (load(11), "LOAD_SAVESTATE at frame 11 instead of 10"),
    "a setting": (np.command(0x2000, np.words(0)), "which it does not know"),
}


@pytest.mark.parametrize(("bad", "why"), BAD4.values(), ids=BAD4)
def test_a_client_of_protocol_4_answers_nak_to(bad: bytes, why: str) -> None:
    script = Script(kinds.RA_1_7_0).playing()
    script.say(bad)
    assert script.client.ending is not None
    assert script.client.ending.how is How.NAK
    assert why in script.client.ending.why


def test_a_client_of_protocol_4_loads_a_state_only_where_the_first_player_is() -> None:
    script = Script(kinds.RA_1_7_0).playing()
    script.say(np.no_input(10), load(11))
    assert script.client.ending is not None
    assert "while the first player is at 10" in script.client.ending.why


def test_a_client_of_protocol_4_refuses_every_other_release() -> None:
    script = Script(kinds.RA_1_7_0)
    script.say(np.words(0x242, 0, 1, 0))
    assert script.client.ending is not None
    assert "its own release" in script.client.ending.why
    assert len(sync_four()) == 8 + 108


def test_a_client_knows_its_own_hash() -> None:
    for kind in (*kinds.FIVE, kinds.RA_1_7_0):
        value = (kind.highest or kind.protocol) << (len(kind.release) & 15)
        for place, letter in enumerate(kind.release.encode()):
            value ^= letter << (place & 15)
        assert value == kind.implementation, kind.release


def test_the_client_is_a_client() -> None:
    assert Client(kinds.RA_1_14, "anna").output() == np.client_header()
    assert Client(kinds.RA_1_9_14, "anna").output() == np.client_header(np.RA_1_9_14, highest=0)
