"""Why a game stutters: what was measured on real RetroArch, and what must not be taken for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from relay import pace
from relay.pace import Cause, Verdict

GOOD = {"rtt": 0.015, "jitter": 0.002, "retransmits": 0, "silence": None}
# Frames behind as they were measured with RetroArch 1.14.0, two looks a second.
SLOW_CLIENT = [58, 59, 61, 60, 59, 59, 61, 60, 58, 61, 61, 59]
SLOW_HOST = [-59, -58, -59, -61, -59, -58, -58, -58, -58, -59, -60, -61]
SLOW_KEEPER = [-56, -52, -59, -61, -59, -57, -42, -48, -56, -58, -58, -61]
LOSSY = [0, 24, 3, 5, 35, 61, 53, 45, 51, 61, 7, 14]
ONSET = [2, 18, 33, 49, 60, 59, 58, 58]
HICCUPS = [1, 2, 58, 3, 0, 1, 60, 30, 2, 1, 0, 57]


@dataclass
class Hosted:
    """A game that ben joined, as the relay tells it every half second; fps is the host's pace."""

    behind: list[int]
    fps: float = 24.0
    every: float = 0.5
    age: float = 60.0
    to_client: list[dict[str, Any]] = field(default_factory=lambda: [GOOD])
    to_host: list[dict[str, Any]] = field(default_factory=lambda: [GOOD])
    seen: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    last_seen: dict[str, Any] = field(default_factory=dict)
    more: tuple[Hosted, ...] = ()

    def client(self, number: int, nick: str = "ben", port: int = 1) -> dict[str, Any]:
        """Return ben at the look of that number."""
        final = number == len(self.behind) - 1
        frame = 1000 + round(number * self.every * self.fps)
        seen = {"client": {"nick": nick}, "host": {"nick": "anna"}, "role": "playing", "paused_by": "", "stalls": 0}
        seen |= {"frame": frame, "client_frame": frame - self.behind[number], "savestates": 1, "savestate_bytes": 500}
        seen |= {"coming": 0, "lately": [], **self.seen, **(self.last_seen if final else {})}
        way = [ways[min(number, len(ways) - 1)] for ways in (self.to_client, self.to_host)]
        client = {"address": "198.51.100.4", "port": port, "age": self.age + number * self.every, "waiting_bytes": 0}
        return {**client, "to_client": way[0], "to_host": way[1], "seen": seen, **(self.last if final else {})}

    def state(self, number: int) -> dict[str, Any]:
        """Return what the relay tells at the look of that number."""
        others = [other.client(number, f"other{port}", port) for port, other in enumerate(self.more, 2)]
        session = {"id": "room", "clients": [self.client(number), *others]}
        return {"age": 500 + number * self.every, "sessions": [session], "tables": []}

    def verdicts(self) -> list[Verdict]:
        """Judge it."""
        return pace.judged([pace.of(self.state(number)) for number in range(len(self.behind))])["room"]


def coreless(ahead: list[int], fps: float = 24.0, master: int = 1, **more: Any) -> list[Verdict]:
    """Judge a game without a host: anna and ben, who is so many frames ahead of the clock; master keeps time."""
    looks = []
    for number, frames in enumerate(ahead):
        count = 1000 + round(number * 0.5 * fps)
        players = [
            {"nick": nick, "number": place, "role": "playing", "player": place, "address": nick, "port": 1, "age": 60.0,
             "frame": count + (frames if nick == "ben" else 0), "to_client": GOOD, "waiting_bytes": 0,
             "waits_for_state": False, **more}
            for place, nick in ((1, "anna"), (2, "ben"))
        ]  # fmt: skip
        table = {"port": 55441, "frame": count, "master": master, "paused_by": [], "players": players}
        looks.append(pace.of({"age": 500 + number * 0.5, "sessions": [], "tables": [table]}))
    return pace.judged(looks)["port 55441"]


def causes(verdicts: list[Verdict]) -> list[tuple[Cause, str]]:
    return [(one.cause, one.who) for one in verdicts]


def lossy(each: int = 4, jitter: float = 0.02) -> list[dict[str, Any]]:
    """Return a way on which so many segments are sent again from look to look."""
    return [{**GOOD, "jitter": jitter, "retransmits": number * each} for number in range(20)]


@pytest.mark.parametrize("jitter", [0.002, 0.015, 0.022])
@pytest.mark.parametrize("looks", [3, 5, 12])
@pytest.mark.parametrize("fps", [8.0, 22.7, 30.0, 45.0, 49.0])
def test_a_player_who_stays_far_behind_on_a_good_line_has_a_slow_machine(fps: float, looks: int, jitter: float) -> None:
    (one,) = Hosted(SLOW_CLIENT[:looks], fps, to_client=[{**GOOD, "jitter": jitter}]).verdicts()
    assert (one.cause, one.who, one.other) == (Cause.SLOW_MACHINE, "ben", "anna")
    assert one.rate == pytest.approx(fps, abs=1)
    pace_said = f"the game runs at {one.rate:.0f} frames a second: everybody waits for ben, who is {one.behind} frames"
    assert pace_said in one.sentence
    assert one.behind == max(SLOW_CLIENT[:looks])
    assert "Wi-Fi" not in one.sentence


def test_segments_that_a_stopped_process_has_sent_again_are_no_bad_line() -> None:
    """Seven in the first seconds were measured, on loopback."""
    way = [{**GOOD, "jitter": 0.011, "retransmits": 7}]
    assert causes(Hosted(SLOW_CLIENT, 30.0, age=6.0, to_client=way).verdicts()) == [(Cause.SLOW_MACHINE, "ben")]


def test_a_host_whose_clients_are_all_ahead_has_a_slow_machine() -> None:
    (one,) = Hosted(SLOW_HOST, 29.0, more=(Hosted(SLOW_HOST), Hosted([-20, *SLOW_HOST[1:]]))).verdicts()
    assert (one.cause, one.who, one.behind) == (Cause.SLOW_MACHINE, "anna", 61)
    assert "everybody waits for anna, who is 61 frames behind" in one.sentence


def test_whoever_keeps_time_is_named_where_nobody_hosts() -> None:
    ahead = [-gap for gap in SLOW_KEEPER]
    assert causes(coreless(ahead)) == [(Cause.SLOW_MACHINE, "anna")]
    assert causes(coreless([-gap for gap in SLOW_CLIENT])) == [(Cause.SLOW_MACHINE, "ben")]


def test_a_time_keeper_whom_nobody_may_know_is_nobody() -> None:
    assert coreless([60] * 12, role=None, nick="") == []


def test_several_slow_ones_are_all_named_and_nobody_else() -> None:
    slow = [gap - 1 for gap in SLOW_CLIENT]
    found = Hosted([0] * 12, 29.0, more=(Hosted(SLOW_CLIENT), Hosted(slow), Hosted([1] * 12))).verdicts()
    assert sorted(causes(found)) == [(Cause.SLOW_MACHINE, "other2"), (Cause.SLOW_MACHINE, "other3")]


@pytest.mark.parametrize("fps", [60.0, 50.0, 30.0, 24.0, 75.5])
@pytest.mark.parametrize("behind", [[0] * 12, [2, 1, 0, 3, -2, 1, 0, 1, 2, 0, 1, 0], [-14] * 12])
def test_a_core_may_run_at_any_pace(fps: float, behind: list[int]) -> None:
    assert Hosted(behind, fps).verdicts() == []
    assert coreless([-gap for gap in behind], fps) == []


@pytest.mark.parametrize("fps", [60.0, 90.0, 240.0])
def test_a_game_that_is_fast_or_fast_forwarded_is_not_slow(fps: float) -> None:
    assert Hosted(SLOW_CLIENT, fps).verdicts() == []
    assert Hosted(SLOW_HOST, fps).verdicts() == []
    assert coreless([60] * 12, fps) == []


def test_a_paused_game_is_paused_and_nothing_else() -> None:
    (one,) = Hosted([61] * 12, 0.0, seen={"paused_by": "anna"}).verdicts()
    assert (one.cause, one.sentence) == (Cause.PAUSED, "the game is paused by anna")


def test_right_after_a_pause_nothing_is_judged_by_what_was_before() -> None:
    game = Hosted([61] * 3, 0.0)
    looks = [game.state(number) for number in range(3)]
    for look in looks[:2]:
        look["sessions"][0]["clients"][0]["seen"]["paused_by"] = "anna"
    assert pace.judged([pace.of(look) for look in looks]) == {"room": []}


@pytest.mark.parametrize(("behind", "who"), [(61, "ben"), (-61, "anna")])
@pytest.mark.parametrize("event", ["host-resumed", "client-resumed"])
def test_a_game_that_does_not_go_on_after_a_pause_says_whose_fault_it_is(behind: int, who: str, event: str) -> None:
    (one,) = Hosted([behind] * 4, 0.0, seen={"lately": [event]}).verdicts()
    assert (one.cause, one.who) == (Cause.STUCK, who)
    assert "Allow Pausing OFF" in one.sentence


def test_one_who_sends_nothing_on_a_line_that_works_hangs() -> None:
    assert causes(Hosted([61] * 4, 0.0).verdicts()) == [(Cause.FROZEN, "ben")]
    assert causes(Hosted([-61] * 4, 0.0).verdicts()) == [(Cause.FROZEN, "anna")]


def test_a_line_that_confirms_nothing_is_dead() -> None:
    (one,) = Hosted([61] * 4, 0.0, to_client=[{**GOOD, "silence": 3.2}]).verdicts()
    assert (one.cause, one.who) == (Cause.DEAD_LINE, "ben")
    assert "nothing confirmed for 3 s" in one.sentence
    assert causes(Hosted([-61] * 4, 0.0, to_host=[{**GOOD, "silence": 3.2}]).verdicts()) == [(Cause.DEAD_LINE, "anna")]


def test_one_who_falls_behind_and_catches_up_on_a_bad_line_has_a_slow_line() -> None:
    assert causes(Hosted(LOSSY, 45.0, to_client=lossy(2)).verdicts())[0] == (Cause.SLOW_LINE, "ben")
    uneven = [{**GOOD, "jitter": 0.149}]
    assert causes(Hosted(LOSSY, 45.0, to_client=uneven).verdicts())[0] == (Cause.SLOW_LINE, "ben")
    # Seen only while he was behind, it may be the line as well; that it is the machine is not said.
    assert causes(Hosted([53, 45, 51], 45.0, to_client=lossy(2)).verdicts())[0] == (Cause.SLOW_LINE, "ben")


def test_a_host_with_a_bad_line_is_named_for_it() -> None:
    found = Hosted([-gap for gap in LOSSY], 45.0, to_host=lossy(2)).verdicts()
    assert causes(found)[0] == (Cause.SLOW_LINE, "anna")


def test_a_slow_machine_on_a_bad_line_has_both() -> None:
    (one,) = Hosted(SLOW_CLIENT, 29.0, to_client=lossy(1)).verdicts()
    assert one.cause is Cause.SLOW_BOTH
    assert "too slow" in one.sentence
    assert "11 segments sent again" in one.sentence


def test_one_who_falls_behind_and_catches_up_on_a_good_line_is_busy() -> None:
    assert causes(Hosted(HICCUPS, 50.0).verdicts()) == [(Cause.BUSY, "ben")]


def test_losses_that_hold_nobody_up_are_told_as_losses() -> None:
    """Ten of a hundred packets lost: 60 frames a second, and he is never far behind."""
    assert causes(Hosted([0, 2, 1, 0, 7, 1, 2, 32, 0, 0, 2, 1], 60.0, to_client=lossy(3)).verdicts()) == [
        (Cause.LOSSY, "ben"), (Cause.UNEVEN, "ben"),
    ]  # fmt: skip


def test_a_machine_that_becomes_slow_is_not_taken_for_a_busy_one() -> None:
    for looks in range(3, len(ONSET) + 1):
        found = causes(Hosted(ONSET[:looks], 40.0).verdicts())
        assert found in ([], [(Cause.SLOW_MACHINE, "ben")]), looks
    assert found


@pytest.mark.parametrize(
    "young",
    [{"age": 2.0}, {"last_seen": {"savestates": 2}}, {"seen": {"role": "watching"}}, {"seen": {"role": "joining"}}],
)
def test_who_has_just_come_was_sent_a_state_or_watches_holds_nobody_up(young: dict[str, Any]) -> None:
    assert Hosted(SLOW_CLIENT[:6], **young).verdicts() == []


@pytest.mark.parametrize(
    "transfer", [{"last_seen": {"coming": 3_000_000}}, {"last": {"waiting_bytes": 3_000_000}}], ids=["to come", "waits"]
)
def test_a_savestate_on_its_way_is_named_and_nobody_is_slow(transfer: dict[str, Any]) -> None:
    (one,) = Hosted(SLOW_CLIENT, **transfer).verdicts()
    assert one.cause is Cause.STATE
    assert one.sentence == "a savestate of 3.0 MB is on its way to ben"


def test_who_is_so_far_away_that_nothing_else_explains_it_is_far() -> None:
    far = [{**GOOD, "rtt": 0.6}]
    assert causes(Hosted([45] * 12, 50.0, to_client=far).verdicts()) == [(Cause.FAR, "ben")]


def test_what_slow_frames_make_of_the_jitter_is_not_the_line_s() -> None:
    way = [{**GOOD, "jitter": 0.02}]
    assert causes(Hosted([1] * 12, 60.0, to_client=way).verdicts()) == [(Cause.UNEVEN, "ben")]
    assert Hosted([1] * 12, 30.0, to_client=way).verdicts() == []
    assert causes(Hosted([1] * 12, 30.0, to_client=[{**GOOD, "jitter": 0.05}]).verdicts()) == [(Cause.UNEVEN, "ben")]


def test_one_look_tells_no_pace_and_still_the_ways() -> None:
    assert Hosted([60]).verdicts() == []
    assert causes(Hosted([0], to_client=[{**GOOD, "rtt": 0.2}]).verdicts()) == [(Cause.FAR, "ben")]


def test_whom_the_host_told_to_wait_waits_for_the_host() -> None:
    assert Hosted([-30] * 6, 50.0).verdicts() == []
    assert causes(Hosted([-30] * 6, 50.0, last_seen={"stalls": 1}).verdicts()) == [(Cause.SLOW_MACHINE, "anna")]


def test_a_relay_that_was_replaced_meanwhile_is_looked_at_anew() -> None:
    game = Hosted(SLOW_CLIENT[:3])
    looks = [game.state(number) for number in range(3)]
    looks[-1]["age"] = 0.2
    assert pace.judged([pace.of(look) for look in looks]) == {"room": []}


@pytest.mark.parametrize("cause", list(Cause))
def test_each_case_is_said_in_both_tenses_whatever_the_names_are(cause: Cause) -> None:
    one = Verdict(cause, "<b|n> {x} %s", "{who}", 23.0, 58, pace.Leg(0.2, 0.05, 9, 3.0), 3_000_000)
    for text in (one.sentence, one.past):
        assert "<b|n> {x} %s" in text
    assert one.sentence != one.past or cause is Cause.FAR
