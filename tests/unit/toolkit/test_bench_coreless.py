"""What core-less sessions cost: the settings they are measured with, and what is made of the numbers."""

from __future__ import annotations

from pathlib import Path

from relay import config as settings
from toolkit.bench import coreless, records
from toolkit.bench.contenders import Site
from toolkit.bench.plan import RELAY, Plan
from toolkit.bench.report import coreless_table
from toolkit.bench.results import Results


def measured(players: int, cpu_us: float, why: str = "") -> records.Coreless:
    return records.Coreless(RELAY, 0, players, 1000, cpu_us, 100.0, 200.0, 0.1, 0.0, why)


def test_every_room_that_is_measured_is_one_without_a_host(tmp_path: Path) -> None:
    site = Site(tmp_path, "haproxy", "python3", "relay.pyz", 0)
    for size in coreless.SIZES:
        coreless._relay(site, size)
        config = settings.load(tmp_path / f"coreless-{size}.toml")
        assert len(config.rooms) * size == coreless.PLAYERS
        assert {config.mode_of(room).value for room in config.rooms} == {"coreless"}
        assert [room.port for room in config.rooms] == list(coreless._ports(size))


def test_a_disturbed_measurement_counts_only_where_there_is_no_other() -> None:
    results = Results(Plan(parts=("coreless",)))
    for record in (measured(2, 50.0), measured(2, 900.0, "disturbed"), measured(4, 70.0, "disturbed")):
        results.add(record)
    figures = [results.coreless(players, "cpu_us") for players in (2, 4, 8)]
    assert [figure and figure.median for figure in figures] == [50.0, 70.0, None]
    assert results.as_json()["coreless"][2]["cpu_us"]["median"] == 50.0
    assert coreless_table(results).row_count == len(coreless.SIZES)


def test_a_record_travels_as_json() -> None:
    record = measured(2, 50.0)
    assert records.from_json(records.as_json(record)) == record
