"""invoke watch: the sentences and the report cards that a relay's states make."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from relay.outcomes import Outcome
from tests.support.statuses import client, session, status
from toolkit.watch import cards, causes
from toolkit.watch.people import Player, key_of
from toolkit.watch.story import WAIT, Card, Story

ROOM = "FridayNightRoom1"
WAY = {"rtt": 0.030, "jitter": 0.001, "retransmits": 0}


class Relay:
    """What a relay tells, a second apart."""

    def __init__(self) -> None:
        self.story = Story()
        self.now = 100.0
        self.sessions: list[dict[str, Any]] = []
        self.ended: list[dict[str, Any]] = []
        self.count = 0
        self.pid = 7
        self.tells()

    def tells(self, **more: Any) -> list[str | Card]:
        """Tell the state and return what the story makes of it."""
        self.now += 1.0
        told = {"pid": self.pid, "age": self.now, "ended": self.ended}
        state = {**status(sessions=copy.deepcopy(self.sessions)), **told, **more}
        self.ended = []
        return list(self.story.feed({"relay": state}, self.now))

    def ends(self, kind: str, outcome: str = "left", **more: Any) -> None:
        """Add an ending to the next state."""
        self.count += 1
        entry = {"number": self.count, "kind": kind, "session": ROOM, "address": "198.51.100.4", "outcome": outcome}
        if kind == "client":
            entry |= {"bytes_from_client": 10, "bytes_from_host": 20, "to_client": WAY, "to_host": WAY, "seen": None}
        self.ended.append({**entry, "seconds": 60.0, **more})


@pytest.fixture
def relay() -> Relay:
    """Return a relay whose first state, with nobody there, was told."""
    return Relay()


def joined(relay: Relay, **seen: Any) -> dict[str, Any]:
    """Let ben join a room; return his state, to be changed."""
    ben = client("ben", **seen)
    relay.sessions = [session(ROOM, clients=[ben])]
    relay.tells()
    return ben


def test_whoever_was_there_before_is_shown_and_not_told(relay: Relay) -> None:
    fresh = Story()
    state = {**status(sessions=[session(ROOM, clients=[client("ben")])]), "ended": []}
    assert list(fresh.feed({"relay": state}, 1.0)) == []
    assert [player.name for player in fresh.rooms[ROOM].there] == ["ben"]


def test_a_room_that_opens_and_a_player_who_joins_are_told(relay: Relay) -> None:
    relay.sessions = [session(ROOM)]
    assert relay.tells() == [f"room {ROOM}: opened by 203.0.113.7 on port 55435"]
    relay.sessions = [session(ROOM, clients=[client("ben")])]
    assert relay.tells() == [f"room {ROOM}: ben plays as player 2, Nestopia"]
    assert relay.tells() == []


def test_a_room_without_a_host_is_told_like_any_other(relay: Relay) -> None:
    relay.sessions = [{"id": ROOM, "port": 55441, "mode": "coreless", "age": 1.0, "clients": []}]
    assert relay.tells() == [f"room {ROOM}: opened on port 55441"]


def test_a_game_without_a_host_is_told_like_any_other_to_its_end(relay: Relay) -> None:
    joined = {"address": "198.51.100.4", "port": 9, "role": "playing", "player": 1, "nick": "ben"}
    table = {"port": 55441, "age": 1.0, "joins": 1, "core": "Nestopia", "players": [joined], "paused_by": []}
    opened = ["room port 55441: opened on port 55441", "room port 55441: ben plays as player 1, Nestopia"]
    assert relay.tells(tables=[table]) == opened
    assert relay.tells(tables=[{**table, "paused_by": ["ben"]}]) == ["room port 55441: paused by ben"]
    entry = {"number": 1, "kind": "player", "table": 55441, "address": "198.51.100.4", "port": 9, "seconds": 90.0}
    entry |= {"outcome": "frozen", "reason": "no input since frame 7", "to_client": WAY}
    entry |= {"bytes_from_client": 10, "bytes_to_client": 20}
    relay.ended = [entry]
    left, card = relay.tells(tables=[])
    assert left.startswith("room port 55441: ben left after 1 min (frozen): the others had to wait for its input")
    assert left.endswith("; no input since frame 7")
    assert isinstance(card, Card)
    text = " ".join(cards.lines(card.room, 200))
    assert "room port 55441 is over" in text
    assert "its end" not in text
    assert "the others had to wait for its input for too long; only it was dropped (no input since frame 7)" in text


@pytest.mark.parametrize(("outcome", "explained"), [("left", False), ("room-failed", True)])
def test_the_end_of_a_game_without_a_host_is_on_its_card(relay: Relay, outcome: str, explained: bool) -> None:
    joined = {"address": "198.51.100.4", "port": 9, "role": "playing", "player": 1, "nick": "ben"}
    table = {"port": 55441, "age": 1.0, "joins": 1, "core": "Nestopia", "players": [joined], "paused_by": []}
    relay.tells(tables=[table])
    player = {"number": 1, "kind": "player", "table": 55441, "address": "198.51.100.4", "port": 9, "seconds": 300.0}
    player |= {"outcome": outcome, "reason": "", "to_client": WAY, "bytes_from_client": 10, "bytes_to_client": 20}
    end = {"number": 2, "kind": "table", "table": 55441, "outcome": outcome, "seconds": 300.0, "joins": 1}
    relay.ended = [player, end]
    _, card = relay.tells(tables=[])
    assert isinstance(card, Card)
    told = cards.lines(card.room, 200)
    assert told[0] == "room port 55441 is over: 5 min"
    assert any(line.strip().startswith(f"its end: {outcome}") for line in told) == explained


def test_a_pause_is_told_once_for_a_room_and_counted_for_each_player(relay: Relay) -> None:
    both = [client("ben"), {**client("cleo"), "port": 5}]
    relay.sessions = [session(ROOM, clients=both)]
    relay.tells()
    for one in both:
        one["seen"] |= {"paused": True, "paused_by": "anna"}
    assert relay.tells() == [f"room {ROOM}: paused by anna"]
    assert relay.tells() == []
    for one in both:
        one["seen"] |= {"paused": False, "paused_by": ""}
    assert relay.tells() == [f"room {ROOM}: goes on"]
    assert [player.pauses for player in relay.story.rooms[ROOM].there] == [1, 1]


def test_desyncs_are_told_as_they_come(relay: Relay) -> None:
    ben = joined(relay)
    ben["seen"]["desyncs"] = 2
    assert relay.tells() == [f"room {ROOM}: ben: 2 desyncs, 2 so far"]


def test_bytes_are_shown_by_the_second(relay: Relay) -> None:
    ben = joined(relay)
    ben["bytes_from_client"] += 1200
    relay.tells()
    assert relay.story.rooms[ROOM].there[0].rates == (1200.0, 0.0)


def test_a_card_is_made_when_the_session_and_all_its_links_have_ended(relay: Relay) -> None:
    joined(relay)
    relay.sessions = []
    relay.ends("session", "host-left", joins=1)
    assert relay.tells() == []
    relay.ends("client", "peer-left")
    told = relay.tells()
    assert told[0] == f"room {ROOM}: ben left after 1 min (peer-left)"
    assert isinstance(told[1], Card)
    assert not relay.story.rooms


def test_a_card_does_not_wait_for_ever_for_a_link(relay: Relay) -> None:
    joined(relay)
    relay.sessions = []
    relay.ends("session", "host-left", joins=1)
    relay.tells()
    relay.now += WAIT
    assert [type(told) for told in relay.tells()] == [Card]


def test_a_host_that_is_back_at_once_leaves_the_card_of_its_game_behind(relay: Relay) -> None:
    joined(relay)
    relay.ends("session", "replaced", joins=1)
    relay.sessions[0] = session(ROOM)
    relay.tells()
    told = relay.tells()
    assert isinstance(told[0], Card)
    assert told[1] == f"room {ROOM}: opened by 203.0.113.7 on port 55435"


def test_a_relay_that_was_restarted_ends_what_it_does_not_know_any_more(relay: Relay) -> None:
    joined(relay)
    relay.sessions, relay.pid = [], 8
    relay.tells()
    relay.now += WAIT
    assert [type(told) for told in relay.tells()] == [Card]


def test_after_an_upgrade_in_place_endings_are_counted_anew_and_told(relay: Relay) -> None:
    for _ in range(5):
        relay.ends("refused", "no-session")
    relay.tells()
    relay.count = 0
    relay.ends("refused", "no-session")
    assert len(relay.tells()) == 1


@pytest.mark.parametrize("word", ["no-session", "ambiguous", "not-linked"])
def test_whoever_did_not_get_in_is_told_with_the_reason(relay: Relay, word: str) -> None:
    relay.ends("refused", word)
    assert relay.tells() == [f"198.51.100.4 did not get in ({word}): {Outcome(word).doc}"]


def test_trouble_with_the_relay_is_told_once_and_its_end_too(relay: Relay) -> None:
    line = {"relay": None, "problem": "the relay does not run"}
    assert list(relay.story.feed(line, 1)) == ["the relay does not run"]
    assert list(relay.story.feed(line, 2)) == []
    assert relay.tells() == ["the relay answers again"]


def test_a_wall_that_goes_and_is_put_back_is_told(relay: Relay) -> None:
    healed = {"count": 0, "at": None, "what": ""}
    gate = {"present": True, "healed": healed, "agent": 5}
    assert list(relay.story.feed({"gate": gate}, 1)) == []
    (gone,) = relay.story.feed({"gate": {**gate, "present": False}}, 2)
    assert "THE FIREWALL RULES ARE NOT LOADED" in str(gone)
    back = {**gate, "healed": {**healed, "count": 1, "what": "the table was gone"}}
    assert list(relay.story.feed({"gate": back}, 3)) == ["the firewall rules were loaded again: the table was gone"]
    (keeper,) = relay.story.feed({"gate": {**back, "agent": None}}, 4)
    # Which service manager the host has is not told here.
    assert "invoke doctor" in str(keeper)
    assert "systemctl" not in str(keeper)
    assert list(relay.story.feed({"gate": None, "problem": "x"}, 5)) == []


def plays(relay: Relay, ben: dict[str, Any], seconds: int, fps: int, behind: int = 0) -> list[str]:
    """Let a game go on at a pace, ben so many frames behind; return what is told of it."""
    told: list[str] = []
    seen = ben["seen"]
    for _ in range(seconds):
        seen["frame"] = seen.get("frame", 1000) + fps
        seen["client_frame"] = seen["frame"] - behind
        ben["age"] += 1
        told += [str(what) for what in relay.tells()]
    return told


def ended(relay: Relay, **end: Any) -> str:
    """End the game; return its card as one line."""
    relay.sessions = []
    relay.ends("client", "peer-left", **end)
    relay.ends("session", "host-left", joins=1)
    cards_told = [told for told in relay.tells() if isinstance(told, Card)]
    return " ".join(cards.lines(cards_told[0].room, 500))


def test_whom_everybody_waits_for_is_told_once_and_stands_on_the_card(relay: Relay) -> None:
    ben = joined(relay)
    assert plays(relay, ben, 10, 60) == []
    told = plays(relay, ben, 40, 23, behind=58)
    sentence = "the game runs at 23 frames a second: everybody waits for ben, who is 58 frames behind"
    assert [sentence in one for one in told] == [True]
    assert told[0].startswith(f"room {ROOM}: ")
    uneven = {**WAY, "jitter": 0.015, "retransmits": 7}
    card = ended(relay, to_client=uneven, to_host={**uneven, "retransmits": 2}, seen=ben["seen"])
    assert re.search(r"! for 3\d s the game ran at 23 frames a second: everybody waited for ben, who was 58", card)
    # What a slow game makes of the jitter, and a machine that stops of the segments, is not laid to the line.
    assert "Wi-Fi" not in card
    assert "nothing went wrong" not in card


def test_a_slow_host_is_told_by_name(relay: Relay) -> None:
    ben = joined(relay)
    plays(relay, ben, 10, 60)
    (told,) = plays(relay, ben, 20, 23, behind=-59)
    assert "everybody waits for anna, who is 59 frames behind" in told


@pytest.mark.parametrize("fps", [30, 50, 60])
def test_a_core_with_a_pace_of_its_own_is_told_nothing_of(relay: Relay, fps: int) -> None:
    ben = joined(relay)
    assert plays(relay, ben, 30, fps, behind=1) == []
    assert "nothing went wrong" in ended(relay, seen=ben["seen"])


def test_a_slow_game_that_has_recovered_is_told_anew_when_it_is_slow_again(relay: Relay) -> None:
    ben = joined(relay)
    told = [plays(relay, ben, 10, 60)]
    for _ in range(2):
        told += [plays(relay, ben, 20, 23, behind=58), plays(relay, ben, 60, 60)]
    assert [len(each) for each in told] == [0, 1, 0, 1, 0]


def test_a_moment_of_being_behind_is_neither_told_nor_on_the_card(relay: Relay) -> None:
    ben = joined(relay)
    plays(relay, ben, 10, 60)
    told = plays(relay, ben, 1, 30, behind=45)
    assert told + plays(relay, ben, 30, 60) == []
    assert "nothing went wrong" in ended(relay, seen=ben["seen"])


def test_what_happened_right_before_an_end_is_on_the_card(relay: Relay) -> None:
    joined(relay)
    card = ended(relay, reason="a savestate was loaded by hand")
    assert "! right before its end: a savestate was loaded by hand" in card
    assert "nothing went wrong" not in card


def player(seconds: float = 60.0, outcome: str = "left", **more: Any) -> Player:
    """Return ben, who has left."""
    seen = more.pop("seen", {})
    ben = client("ben", **seen)
    ways = {"to_client": WAY, "to_host": WAY, **more}
    made = Player({**ben, **ways}, 0.0)
    made.end({**ben, **ways, "outcome": outcome, "seconds": seconds})
    return made


def test_a_good_game_has_no_cause_for_complaint() -> None:
    assert causes.of(player()) == []


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"to_client": {**WAY, "retransmits": 40}}, "packets to ben were lost (40 segments"),
        ({"to_host": {**WAY, "retransmits": 40}}, "packets to anna were lost"),
        ({"to_client": {**WAY, "jitter": 0.02}}, "the way to ben was uneven (jitter 20 ms)"),
        ({"to_client": {**WAY, "rtt": 0.2}}, "ben and anna are 230 ms apart: input is 7 frames late"),
        ({"outcome": "overrun"}, Outcome.OVERRUN.doc),
        ({"outcome": "kicked"}, "ended as kicked: the owner ended it"),
        ({"seen": {"desyncs": 3}}, "3 times the games differed"),
        ({"seen": {"stalls": 1}}, "once the host had this player wait"),
        ({"seen": {"role": "joining", "refusal": "full"}}, "no place left"),
        ({"seen": {"role": "joining", "password": True, "password_sent": True}}, "the password was wrong"),
        ({"seen": {"role": "joining", "password": True}}, "none was typed"),
        ({"seen": {"role": "joining"}}, "another core"),
    ],
)
def test_what_went_wrong_is_said_in_words(bad: dict[str, Any], words: str) -> None:
    (sentence,) = causes.of(player(**bad))
    assert words in sentence


def test_a_loss_now_and_then_is_none() -> None:
    assert causes.of(player(3600.0, to_client={**WAY, "retransmits": 40})) == []


def test_games_that_differed_with_different_content_say_so() -> None:
    peers = {"client": {"nick": "ben", "content_crc": "AAAA0000"}, "host": {"nick": "anna", "content_crc": "BBBB0000"}}
    (sentence,) = causes.of(player(seen={"desyncs": 1, **peers}))
    assert "not the same content (BBBB0000 there, AAAA0000 here)" in sentence


def test_the_first_measures_of_a_connection_do_not_count_when_others_follow() -> None:
    ben = {**client("ben"), "to_client": {**WAY, "jitter": 0.5}}
    made = Player(ben, 0.0)
    for second in range(1, 20):
        made.take({**ben, "to_client": {**WAY, "jitter": 0.5 if second < 3 else 0.001}}, second)
    assert made.ways["to_client"].jitter == pytest.approx(0.001)


def test_a_card_fits_into_its_width_and_says_who_and_how(relay: Relay) -> None:
    joined(relay, desyncs=2)
    relay.ends("client", seen=client("ben", desyncs=2)["seen"])
    relay.ends("session", "host-stuck", joins=1)
    relay.sessions = []
    (card,) = [told for told in relay.tells() if isinstance(told, Card)]
    wide, narrow = cards.lines(card.room, 200), cards.lines(card.room, 40)
    assert wide[0] == f"room {ROOM} is over: 1 min, hosted by anna"
    assert Outcome.HOST_STUCK.doc in wide[1]
    assert "ben: 1 min, Nestopia, to it 30 ms ±1, to the host 30 ms ±1, 10 B in, 20 B out, 2 desyncs" in wide[2]
    assert max(map(len, narrow)) <= 40
    assert " ".join(" ".join(narrow).split()) == " ".join(" ".join(wide).split())


def test_clients_are_told_apart_by_where_they_connect_from() -> None:
    assert key_of({"address": "203.0.113.7", "port": 4}) != key_of({"address": "203.0.113.7", "port": 5})
    assert key_of({"address": "203.0.113.7"}) == ("203.0.113.7", 0)
