"""From records to tables and JSON: what counts, what is compared, which targets are met."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from toolkit.bench import progress, records, report
from toolkit.bench.figures import Figure
from toolkit.bench.plan import HAPROXY, LOOPBACK, REFERENCE, RELAY, Plan
from toolkit.bench.records import Bulk, Load, Ramp, Stall
from toolkit.bench.results import Results
from toolkit.bench.targets import AT_LEAST, AT_MOST, Target, targets

MACHINE = {
    "processor": "Some Processor",
    "cores": "2",
    "virtual": "yes",
    "congestion": "cubic",
    "kernel": "6.1",
    "python": "3.11.2",
    "haproxy": "2.6.12",
}


def load(contender: str, turn: int, cpu: float | None, p50: float = 20.0, why: str = "") -> Load:
    """Return a measurement under load."""
    setup, rss = (None, None) if cpu is None else (150.0, 3.0)
    return Load(contender, turn, 250, 90_000, cpu, p50, 80.0, 300.0, 20.0, setup, rss, 0.4, 0.4, 0.0, why)


def stalled(contender: str, turn: int, rss_mb: float, bound_mb: float | None) -> Stall:
    """Return what a stalled reader did."""
    return Stall(contender, turn, rss_mb, 1.0, bound_mb, 100.0, 110.0, 9.0, 1.8 if bound_mb else None, "")


def a_ramp(contender: str, turn: int, sessions: int, limit: str = "relay") -> Ramp:
    """Return how far a relay came."""
    return Ramp(contender, turn, sessions, limit, int(sessions * 1.2), 9000.0, 0.95, 0.8, 0.0, "")


@pytest.fixture
def results() -> Results:
    """Return three rounds, the last of them disturbed for this relay."""
    found = Results(Plan(runs=3))
    found.machine = MACHINE
    for turn in range(3):
        found.add(load(RELAY, turn, 12.0 + turn, why="noise" if turn == 2 else ""))
        found.add(load(HAPROXY, turn, 10.0 + turn))
        found.add(load(REFERENCE, turn, 8.0))
        found.add(load(LOOPBACK, turn, None, p50=4.0))
        found.add(Bulk(RELAY, turn, 2500.0, 0.0, ""))
        found.add(a_ramp(RELAY, turn, 900))
        found.add(a_ramp(HAPROXY, turn, 1000))
        found.add(stalled(RELAY, turn, 8.0, 8.0))
        found.add(stalled(HAPROXY, turn, 0.1, None))
    found.add(a_ramp(REFERENCE, 0, 2000, "generator"))
    return found


def test_a_disturbed_measurement_does_not_count_beside_clean_ones(results: Results) -> None:
    assert results.figure("load", RELAY, "cpu_us") == Figure(12.5, 12.0, 13.0, 2)
    assert [record.round for record in results.unclean] == [2]


def test_where_every_measurement_was_disturbed_they_are_shown_all_the_same() -> None:
    found = Results(Plan(runs=1))
    found.add(load(RELAY, 0, 12.0, why="noise"))
    assert found.figure("load", RELAY, "cpu_us") == Figure(12.0, 12.0, 12.0, 1)


def test_ratios_pair_the_rounds_in_which_both_were_clean(results: Results) -> None:
    found = results.ratio("load", RELAY, HAPROXY, "cpu_us")
    assert found is not None
    assert (found.count, found.low, found.high) == (2, pytest.approx(13 / 11), pytest.approx(1.2))


def test_no_relay_costs_no_cpu_and_is_not_compared(results: Results) -> None:
    assert results.figure("load", LOOPBACK, "cpu_us") is None
    assert results.figure("load", LOOPBACK, "p50_us") == Figure(4.0, 4.0, 4.0, 3)


def test_a_stalled_readers_memory_is_measured_against_the_setting(results: Results) -> None:
    assert results.stall_growth(RELAY) == Figure(1.0, 1.0, 1.0, 3)
    assert results.stall_growth(HAPROXY) is None
    assert results.stall_neighbours(RELAY) == Figure(1.1, 1.1, 1.1, 3)


@pytest.mark.parametrize(
    ("sense", "median", "met"), [(AT_MOST, 1.15, True), (AT_MOST, 1.16, False), (AT_LEAST, 1.14, False)]
)
def test_a_target_is_met_by_the_median(sense: str, median: float, met: bool) -> None:
    assert Target("x", sense, 1.15, "", Figure(median, 0.0, 9.0, 5)).met is met


def test_a_target_that_was_not_measured_is_neither_met_nor_missed() -> None:
    assert Target("x", AT_MOST, 1.0, "", None).met is None


def test_targets_say_what_was_reached(results: Results) -> None:
    found = {(target.what, target.unit): target.met for target in targets(results, RELAY)}
    assert found["CPU a message", "x HAProxy"] is False
    assert found["sessions on a core", "x HAProxy"] is False
    assert found["latency p50", "x HAProxy"] is True
    assert found["savestates on one link", "MB/s"] is True
    assert found["stalled reader: memory", "x the setting"] is True


def printed(results: Results) -> str:
    """Return the tables as text."""
    console = Console(file=io.StringIO(), width=160, highlight=False)
    for table in report.tables(results):
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_tables_name_everybody_and_every_missed_target(results: Results) -> None:
    text = printed(results)
    for expected in (RELAY, HAPROXY, REFERENCE, LOOPBACK, "12.5 [12.0..13.0]", "<= 1.15 x HAProxy", "missed", "met"):
        assert expected in text


def test_a_ramp_that_the_generator_ended_has_a_star_and_a_note(results: Results) -> None:
    assert "2,000*" in printed(results)
    assert report.GENERATOR_NOTE in report.notes(results)


def test_the_notes_say_what_was_disturbed_and_what_it_was_measured_on(results: Results) -> None:
    notes = "\n".join(report.notes(results))
    assert "27 of 28 measurements were clean" in notes
    assert "disturbed: round 3, load, netplay-relay: noise" in notes
    assert "Some Processor, 2 cores, virtual" in notes


def test_a_quick_run_says_that_it_means_nothing_and_names_no_targets(results: Results) -> None:
    results.plan = Plan(quick=True)
    assert report.QUICK_NOTE in report.notes(results)
    assert "missed" not in printed(results)


def test_markdown_has_the_same_tables(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    report.print_markdown(results)
    lines = capsys.readouterr().out.splitlines()
    header = next(number for number, line in enumerate(lines) if line.startswith("| relay | CPU us/message |"))
    assert set(lines[header + 1]) == set("|- ")
    assert lines[header + 2].startswith("| netplay-relay | ")
    assert len({line.count("|") for line in lines[header : header + 3]}) == 1


def test_json_holds_every_measurement_and_every_target(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    report.print_json(results)
    data = json.loads(capsys.readouterr().out)
    assert len(data["records"]) == len(results.records)
    assert data["figures"][RELAY]["load"]["cpu_us"]["median"] == 12.5
    assert data["ratios"][RELAY][HAPROXY]["ramp"]["sessions"]["median"] == 0.9
    assert {target["met"] for target in data["targets"][RELAY]} == {True, False}


@pytest.mark.parametrize(
    "record",
    [load(RELAY, 1, 12.0), Bulk(RELAY, 0, 1.0, 0.0, ""), a_ramp(RELAY, 2, 100), stalled(HAPROXY, 0, 0.1, None)],
)
def test_a_record_survives_the_way_out_of_its_network(record: records.Record) -> None:
    assert records.from_json(json.loads(json.dumps(records.as_json(record)))) == record


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (load(RELAY, 1, 12.0), "12.0 us a message, p50 20.0, p99 80.0 us"),
        (load(LOOPBACK, 1, None), "p50 20.0, p99 80.0 us"),
        (Bulk(RELAY, 0, 1234.5, 0.0, ""), "1,234 MB/s"),
        (a_ramp(RELAY, 2, 100), "100 sessions (the relay's limit)"),
        (stalled(RELAY, 0, 8.1, 8.0), "dropped after 1.8 s, memory +8.10 MB"),
        (stalled(HAPROXY, 0, 0.1, None), "held, memory +0.10 MB"),
    ],
)
def test_progress_says_what_came_out(record: records.Record, words: str) -> None:
    assert words in progress.describe(record)
