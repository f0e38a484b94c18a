"""How clients come into a core-less room, and who does not."""

from __future__ import annotations

import struct

import pytest

from relay.coreless import CorelessSettings
from tests.support import netplay
from tests.support.coreless import ALLOW_PAUSING, INFO, MODE, NICK, SYNC, Talk, state, words_of

OTHER = netplay.info(core="Snes9x")


def test_header_and_name_answer_the_header_at_once_and_ask_for_no_password() -> None:
    talk = Talk()
    key = talk.connect(netplay.client_header())
    header = struct.unpack(">4s5I", talk.streams[key][:24])
    assert header == (b"RANP", 0x00040008, 1, 0, 5, netplay.RA_1_14)
    assert talk.got(key) == [(NICK, netplay.text("relay"))]


def test_a_client_is_asked_before_it_is_told_and_gets_a_sync_of_184_bytes() -> None:
    talk = Talk()
    key = talk.connect(netplay.client_header())
    talk.got(key)
    talk.say(key, netplay.nick("anna"))
    assert talk.got(key) == [(INFO, b"")]
    talk.say(key, netplay.info())
    assert talk.got(key) == [(INFO, netplay.info()[8:])]
    talk.say(key, netplay.info())
    (number, body), (setting, allowed) = talk.got(key)
    assert (number, len(body), setting, allowed) == (SYNC, 184, ALLOW_PAUSING, bytes(4))
    assert words_of(body[:72]) == (0, 1, *[5] * 16)
    assert body[72:152] == bytes(80)
    assert body[152:] == netplay.text("anna")


def test_a_legacy_client_is_sent_nothing_it_would_hang_up_on() -> None:
    talk = Talk()
    key = talk.legacy()
    assert talk.kinds(key) == [NICK, INFO, INFO, SYNC, MODE]


def test_every_client_reads_the_rooms_core_in_its_own_order() -> None:
    talk = Talk()
    talk.join("new")
    talk.play(1, 0, 5)
    old = talk.connect(netplay.client_header(netplay.RA_1_9_0, 0))
    talk.say(old, netplay.nick("old"), netplay.old_info(version="1.50"))
    assert talk.got(old)[-1] == (INFO, netplay.old_info(version="1.52.0")[8:])
    talk.say(old, netplay.old_info(version="1.50"))
    assert talk.got(old)[0][0] == SYNC


@pytest.mark.parametrize("crc", [0, 0x41424344, 0x61000000, 0x00000041])
@pytest.mark.parametrize("core", ["a", "Nestopia", "x" * 28, "x" * 31])
def test_the_order_of_info_is_seen_from_it_whatever_the_crc(core: str, crc: int) -> None:
    for old in (True, False):
        talk = Talk()
        tell = netplay.old_info if old else netplay.info
        implementation = netplay.RA_1_9_0 if old else netplay.RA_1_9_14
        talk.join(header=netplay.client_header(implementation, 0), info=tell(core=core, crc=crc))
        status = talk.room.status()
        assert (status["core"], status["content_crc"]) == (core, f"{crc:08X}")


def test_the_order_of_info_is_seen_whatever_release_the_header_names() -> None:
    for implementation, old in ((netplay.RA_1_9_14, True), (netplay.RA_1_9_0, False), (0x7FFF, True), (0x7FFF, False)):
        talk = Talk()
        talk.join(header=netplay.client_header(implementation, 0), info=netplay.old_info() if old else netplay.info())
        assert talk.room.status()["core"] == "Nestopia"


def test_another_core_is_refused_and_another_content_is_not() -> None:
    talk = Talk()
    talk.join("first")
    assert talk.closed.get(talk.join("other", info=OTHER)) == "other-core"
    talk.join("same core", info=netplay.info(crc=1, version="2"))
    assert len(talk.room.status()["players"]) == 2


def test_of_two_cores_at_once_the_first_that_is_in_decides() -> None:
    talk = Talk()
    slow = talk.connect(netplay.client_header())
    talk.say(slow, netplay.nick("slow"), OTHER)
    quick = talk.join("quick")
    talk.say(slow, OTHER)
    assert talk.closed == {slow: "other-core"}
    assert talk.player(quick)["role"] == "playing"


def test_a_room_that_was_left_takes_any_core() -> None:
    talk = Talk()
    for info in (netplay.info(), OTHER):
        key = talk.join(info=info)
        talk.play(key, 0, 3)
        assert talk.room.status()["frame"] == 3
        talk.leave(key)
        assert talk.room.empty
        assert talk.room.next_deadline() is None


def test_names_are_told_apart_within_their_31_bytes() -> None:
    talk = Talk()
    long = "ä" * 15 + "x"
    for number, nick in enumerate(["bob", long, "bob", long, "bob"], start=1):
        talk.join(nick)
        if number > 1:
            talk.say(1, state(0))
    nicks = [player["nick"] for player in talk.room.status()["players"]]
    assert nicks == ["bob", long, "bob (2)", "ä" * 13 + " (2)", "bob (3)"]


def test_a_full_room_says_so() -> None:
    talk = Talk(CorelessSettings(players=1))
    talk.join("first")
    second = talk.connect(netplay.client_header())
    assert talk.streams[second][:4] == b"FULL"
    assert talk.closed == {second: "session-full"}


def test_who_stops_half_way_is_closed_and_holds_up_nobody() -> None:
    talk = Talk()
    first = talk.join("first")
    stuck = [talk.connect(netplay.client_header()), talk.connect(netplay.client_header()[:9])]
    for second in range(18):
        talk.play(first, second * 60, 60)
        talk.wait(1)
    assert talk.closed == dict.fromkeys(stuck, "no-handshake")


@pytest.mark.parametrize(
    "said",
    [netplay.info(), netplay.play(), netplay.game_input(0, 1), netplay.nick("x") * 2, netplay.command(0x48, bytes(8))],
    ids=["info", "play", "input", "two names", "netpacket"],
)
def test_what_no_retroarch_says_in_the_handshake_ends_it(said: bytes) -> None:
    talk = Talk()
    key = talk.connect(netplay.client_header())
    talk.say(key, said)
    assert talk.closed == {key: "broke-protocol"}


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"\0\0\0\1" * 4, b"RANX" + bytes(20)])
def test_what_is_no_header_is_closed(data: bytes) -> None:
    talk = Talk()
    key = talk.connect(data)
    assert talk.closed == {key: "broke-protocol"}


def test_a_protocol_that_is_still_to_come_is_refused_with_words() -> None:
    talk = Talk()
    key = talk.connect(b"RANP" + netplay.words(0, 1, 9, 8, 1))
    assert talk.streams[key][:4] == b"RANP"
    assert talk.closed == {key: "other-protocol"}


def test_everything_arrives_byte_by_byte_as_well() -> None:
    whole, cut = Talk(), Talk()
    opening = netplay.client_header() + netplay.nick("anna") + netplay.info() * 2 + netplay.play()
    game = b"".join(netplay.game_input(frame, 1, 7, 0, 0) for frame in range(5)) + state(5) * 2
    for talk in (whole, cut):
        talk.do(talk.room.connect(1, talk.now))
    for said in (opening, game):
        whole.say(1, said)
        for number in range(len(said)):
            cut.say(1, said[number : number + 1])
    assert whole.streams == cut.streams
    assert whole.room.status() == cut.room.status()
    assert not whole.closed | cut.closed


def test_a_size_that_no_retroarch_sends_is_not_waited_for() -> None:
    for number, size in ((0x42, 1 << 32 - 1), (0x42, 4), (0x03, 300), (0x24, 4), (0x1000, 5000)):
        talk = Talk()
        key = talk.join()
        talk.say(key, netplay.words(number, size))
        assert talk.closed == {key: "broke-protocol"}, hex(number)
