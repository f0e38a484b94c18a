"""The order in which tests are begun, and which of them stay in one process."""

from __future__ import annotations

from tests.support import dealing

LAB, GAME, NONE = frozenset({"lab"}), frozenset({"retroarch", "timeout"}), frozenset[str]()
TESTS = [
    ("tests/e2e/test_play.py::test_a", GAME),
    ("tests/e2e/test_play.py::test_b", GAME),
    ("tests/e2e/test_status.py::test_a", GAME),
    ("tests/integration/test_lab.py::test_a", LAB),
    ("tests/integration/test_lab.py::test_b", NONE),
    ("tests/integration/test_scenarios.py::test_a[default]", LAB),
    ("tests/integration/test_scenarios.py::test_a[upgrade]", LAB),
    ("tests/integration/test_scenarios.py::test_a[ufw]", LAB),
    ("tests/unit/test_x.py::test_a", NONE),
]


def test_tests_of_a_file_stay_together_and_scenarios_are_apart() -> None:
    scopes = [dealing.scope(nodeid) for nodeid, _ in TESTS]
    assert scopes[0] == scopes[1] != scopes[2]
    assert scopes[3] == scopes[4]
    assert scopes[5] != scopes[6]


def test_the_long_ones_come_first_and_labs_and_games_take_turns() -> None:
    assert dealing.ordered(TESTS) == [5, 0, 1, 6, 2, 7, 3, 4, 8]


def test_every_test_is_begun_once() -> None:
    assert sorted(dealing.ordered(TESTS)) == list(range(len(TESTS)))
