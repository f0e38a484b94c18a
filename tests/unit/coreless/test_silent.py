"""Who keeps others from playing: progress counts, not signs of life, and silent people keep nobody out."""

from __future__ import annotations

import copy
import json

import pytest

from relay.coreless import CorelessRoom, CorelessSettings, Note
from tests.support import netplay
from tests.support.coreless import PLAY, Talk

OTHER = netplay.info(core="Snes9x")
OLDER = netplay.words(0x241, 0, 1, 0)


class Watched(Talk):
    """A talk that keeps what the room has for the log, and in which machines fall silent."""

    def __init__(self, settings: CorelessSettings | None = None) -> None:
        super().__init__(settings) if settings else super().__init__()
        self.quiet: dict[int, float] = {}
        self.room.game.quiet = lambda key: self.now - self.quiet[key] if key in self.quiet else 0.0

    def answered(self, key: int, count: int) -> bool:
        """Tell whether a client was sent so many commands more, and take them."""
        before = self.streams[key]
        if len(found := self.got(key)) < count:
            self.streams[key] = before
        return len(found) >= count

    def die(self, key: int) -> None:
        """Let nothing come from a client's machine any more."""
        self.quiet[key] = self.now


def play_on(talk: Talk, fast: list[int], slow: int, at: int, every: float, burst: int, seconds: float) -> int:
    """Let some play as fast as the slow one lets them, which sends so many frames each so many seconds; count its."""
    frame, slowest, due, end = at, at, talk.now, talk.now + seconds
    while talk.now < end and slow not in talk.closed:
        if talk.now >= due:
            due += every
            for _ in range(min(burst, frame - slowest)):
                talk.play(slow, slowest)
                slowest += 1
        while frame < slowest + 60:
            for key in fast:
                talk.play(key, frame)
            frame += 1
        talk.wait(min(every, 0.1))
    return slowest - at


# Progress, not signs of life.


@pytest.mark.parametrize("master_is_slow", [False, True])
@pytest.mark.parametrize(("every", "burst"), [(3.0, 1), (4.9, 1), (1.0, 1), (0.25, 2), (4.0, 11), (2.0, 11), (4.9, 40)])
def test_a_player_who_makes_next_to_no_progress_is_dropped(every: float, burst: int, master_is_slow: bool) -> None:
    talk = Watched()
    first, second = talk.two()
    slow, fast = (first, second) if master_is_slow else (second, first)
    made = play_on(talk, [fast], slow, 10, every, burst, 60)
    assert talk.closed == {slow: "frozen"}
    assert made < 200


@pytest.mark.parametrize(("every", "burst"), [(1 / 22, 1), (0.1, 2), (1.0, 20), (4.0, 60)])
def test_a_player_on_a_slow_machine_or_a_bad_line_is_not(every: float, burst: int) -> None:
    talk = Watched()
    first, second = talk.two()
    play_on(talk, [first], second, 10, every, burst, 40)
    assert not talk.closed


def test_it_is_told_who_was_dropped_and_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Watched()
    first, second = talk.two()
    noted: list[str] = []
    real = talk.do
    monkeypatch.setattr(
        talk, "do", lambda actions: (noted.extend(a.text for a in actions if isinstance(a, Note)), real(actions))[1]
    )
    play_on(talk, [first], second, 10, 3.0, 1, 60)
    (said,) = [text for text in noted if "dropped" in text]
    assert said.startswith("player 2 was dropped, for the others waited for it: ")
    assert "frames in 5 s" in said


def test_a_pause_is_not_counted() -> None:
    talk = Watched()
    first, second = talk.legacy("first"), talk.legacy("second")
    talk.play(first, 0, 1)
    talk.say(first, netplay.command(0x42, netplay.words(1, 8) + bytes(8)) + netplay.command(0))
    talk.wait(0.2)
    talk.play(first, 1, 60)
    talk.say(second, netplay.pause("second"))
    talk.wait(60)
    assert not talk.closed


def test_a_player_who_stands_still_for_those_who_watch_is_dropped_too() -> None:
    talk = Watched()
    first = talk.join("first")
    talk.play(first, 0, 10)
    talk.join("watcher", play=False)
    for frame in range(10, 20):
        talk.wait(3)
        if first in talk.closed:
            break
        talk.play(first, frame)
    assert talk.closed == {first: "frozen"}


def bring(talk: Watched, key: int, pace: int, seconds: float) -> None:
    """Let a player send so many bytes a second of a savestate of 64 MiB."""
    size = 64 * 1024 * 1024
    talk.say(key, netplay.command(0x42, netplay.words(20, size) + bytes(size))[:16])
    for _ in range(int(seconds * 10)):
        if key in talk.closed:
            return
        talk.say(key, bytes(pace // 10))
        talk.wait(0.1)


@pytest.mark.parametrize("pace", [120_000, 2_500_000])
def test_a_player_whose_savestate_is_on_its_way_is_not_frozen(pace: int) -> None:
    talk = Watched()
    first = talk.join("first")
    talk.play(first, 0, 20)
    talk.join("watcher", play=False)
    bring(talk, first, pace, 20)
    assert not talk.closed


@pytest.mark.parametrize("pace", [10, 1_000, 30_000])
def test_a_savestate_that_drips_excuses_nobody(pace: int) -> None:
    talk = Watched()
    first = talk.join("first")
    talk.play(first, 0, 20)
    talk.join("watcher", play=False)
    bring(talk, first, pace, 20)
    assert talk.closed == {first: "frozen"}


# A newcomer who would be refused.


@pytest.mark.parametrize("since", [0.1, 0.6, 3.0, 4.9, 5.0, 900.0])
@pytest.mark.parametrize("what", ["core", "protocol"])
def test_a_player_who_vanished_alone_does_not_keep_the_next_one_out(since: float, what: str) -> None:
    talk = Watched()
    first = talk.join("first")
    talk.play(first, 0, 100)
    talk.die(first)
    talk.wait(since)
    begun = talk.now
    older = what == "protocol"
    told = netplay.old_info() if older else OTHER
    newcomer = talk.connect(OLDER if older else netplay.client_header())
    # As a client does: it says the next when it was answered, and its name at once.
    for said, answers in (
        (netplay.nick("new"), 2),
        (told, 1),
        (told, 1),
        (netplay.command(0x25) if older else PLAY, 1),
    ):
        talk.say(newcomer, said)
        while not talk.answered(newcomer, answers) and talk.now - begun < 11:
            talk.wait(0.1)
    assert talk.closed == {first: "vanished"}
    assert talk.now - begun < 10, "a client gives up after 11"
    assert talk.player(newcomer)["role"] == "playing"


@pytest.mark.parametrize("since", [0.0, 0.2])
def test_a_player_who_is_there_keeps_its_game(since: float) -> None:
    talk = Watched()
    first = talk.join("first")
    talk.play(first, 0, 100)
    talk.wait(since)
    newcomer = talk.connect(netplay.client_header())
    talk.say(newcomer, netplay.nick("new"))
    talk.say(newcomer, OTHER)
    talk.play(first, 100)
    talk.wait(0.5)
    assert talk.closed == {newcomer: "other-core"}


def test_a_player_who_speaks_again_keeps_its_game_and_the_newcomer_is_refused_then() -> None:
    talk = Watched()
    first = talk.join("first")
    talk.play(first, 0, 100)
    talk.wait(2)
    newcomer = talk.connect(netplay.client_header())
    talk.say(newcomer, netplay.nick("new"))
    talk.say(newcomer, OTHER)
    assert not talk.closed, "it is not known yet"
    talk.play(first, 100, 10)
    talk.wait(0.5)
    assert talk.closed == {newcomer: "other-core"}


def test_one_who_lives_keeps_the_game_of_all() -> None:
    talk = Watched()
    first, second = talk.two()
    talk.die(first)
    talk.wait(4)
    talk.play(second, 10)
    newcomer = talk.connect(netplay.client_header())
    talk.say(newcomer, netplay.nick("new"))
    talk.say(newcomer, OTHER)
    assert talk.closed == {newcomer: "other-core"}


def test_who_watches_is_believed_alive_as_long_as_its_machine_is() -> None:
    for dead in (False, True):
        talk = Watched()
        watcher = talk.join("watcher", play=False)
        if dead:
            talk.die(watcher)
        talk.wait(60)
        newcomer = talk.join("new", info=OTHER)
        assert talk.closed == ({watcher: "vanished"} if dead else {newcomer: "other-core"})


@pytest.mark.parametrize("since", [1.0, 30.0])
def test_a_full_room_makes_room(since: float) -> None:
    talk = Watched(CorelessSettings(players=2))
    first, second = talk.two()
    talk.play(first, 10, 30)
    talk.die(second)
    talk.wait(since)
    talk.play(first, 40)
    third = talk.connect(netplay.client_header())
    for _ in range(16):
        talk.wait(0.5)
        if second not in talk.closed:
            talk.play(first, int(str(talk.player(first)["frame"])))
    assert talk.closed in ({second: "vanished"}, {second: "frozen"})
    talk.say(third, netplay.nick("third"))
    talk.say(third, netplay.info())
    talk.say(third, netplay.info())
    assert talk.number(third) == talk.room.game.peers[third].number == 2


def test_a_full_room_of_living_people_stays_full() -> None:
    talk = Watched(CorelessSettings(players=2))
    first, second = talk.two()
    third = talk.connect(netplay.client_header())
    for key in (first, second):
        talk.play(key, 10)
    talk.wait(0.5)
    assert talk.closed == {third: "session-full"}
    assert talk.streams[third][:4] == b"FULL"


def test_who_waits_is_handed_over_with_what_it_said() -> None:
    talk = Watched()
    first = talk.join("first")
    talk.play(first, 0, 100)
    talk.wait(2)
    newcomer = talk.connect(OLDER)
    talk.say(newcomer, netplay.nick("new"))
    other = copy.copy(talk)
    other.room = CorelessRoom.restored(json.loads(json.dumps(talk.room.save())), CorelessSettings())
    other.wait(4)
    assert other.closed == {first: "vanished"}
    other.say(newcomer, netplay.old_info())
    other.say(newcomer, netplay.old_info())
    assert other.player(newcomer)["spectator"]


def test_who_waits_and_does_not_wait_is_ended() -> None:
    talk = Watched()
    first = talk.join("first")
    talk.play(first, 0, 100)
    talk.wait(2)
    newcomer = talk.connect(OLDER)
    for _ in range(5):
        talk.say(newcomer, netplay.nick("new"))
    assert talk.closed == {newcomer: "broke-protocol"}


# Who reads a large savestate.


def read_on(talk: Watched, key: int, size: int, pace: int) -> None:
    """Let so many bytes wait for a player, who takes so many a second and sends nothing the while."""
    begun = talk.now
    talk.room.game.waits = lambda each: max(0, size - int(pace * (talk.now - begun))) if each == key else 0


@pytest.mark.parametrize("plays", [True, False], ids=["in mid-game", "who has just come"])
@pytest.mark.parametrize("pace", [100_000, 1_000_000])
def test_a_player_who_takes_a_large_savestate_has_some_seconds_more_and_is_dropped_before_all_would_leave(
    pace: int, plays: bool
) -> None:
    talk = Watched()
    first, second = talk.two()
    if plays:
        talk.play(second, 10, 60)
        talk.play(first, 10, 60)
    talk.play(first, 70 if plays else 10, 60)
    read_on(talk, second, 64 * 1024 * 1024, pace)
    talk.wait(8.4)
    assert not talk.closed
    talk.wait(1.2)
    assert talk.closed == {second: "frozen"}


def test_who_has_a_large_savestate_whole_has_time_to_load_it() -> None:
    talk = Watched()
    first, second = talk.two()
    talk.play(first, 10, 60)
    read_on(talk, second, 5_500_000, 1_000_000)
    talk.wait(7)
    talk.play(second, 10, 60)
    talk.wait(2)
    assert not talk.closed


@pytest.mark.parametrize(
    ("size", "pace"), [(0, 0), (60_000, 5_000), (64 * 1024 * 1024, 0)], ids=["nothing", "a little", "for good"]
)
def test_whoever_takes_no_savestate_is_dropped_as_soon_as_ever(size: int, pace: int) -> None:
    talk = Watched()
    first, second = talk.two()
    talk.play(first, 10, 60)
    read_on(talk, second, size, pace)
    talk.wait(5.6)
    assert talk.closed == {second: "frozen"}


def test_who_takes_a_savestate_is_known_after_an_upgrade_of_the_relay() -> None:
    talk = Watched()
    first, second = talk.two()
    talk.play(first, 10, 60)
    read_on(talk, second, 64 * 1024 * 1024, 1_000_000)
    talk.wait(4.9)
    other = copy.copy(talk)
    data = json.loads(json.dumps(talk.room.save()))
    other.room = CorelessRoom.restored(data, CorelessSettings(), waits=talk.room.game.waits)
    other.wait(2)
    assert not other.closed
