"""What a person sees of a run: its result, or why there is none."""

from __future__ import annotations

import json
import sys

import pytest

from toolkit.bench import outside, records
from toolkit.bench.plan import RELAY, Plan
from toolkit.bench.records import Bulk
from toolkit.errors import UserError

MACHINE = {
    "processor": "Some Processor",
    "cores": "2",
    "virtual": "no",
    "congestion": "cubic",
    "kernel": "6.1",
    "python": "3.11.2",
    "haproxy": "2.6.12",
}
BEGIN = json.dumps({"begin": {"machine": MACHINE, "urgent": True}})
RECORD = json.dumps({"record": records.as_json(Bulk(RELAY, 0, 2500.0, 0.0, ""))})
PLAN = Plan(runs=1, parts=("bulk",))


@pytest.fixture(autouse=True)
def everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the programs that are looked for be there."""
    for name in ("haproxy", "compiler", "cores"):
        monkeypatch.setattr(outside.tools, name, lambda: "")


def pretend(monkeypatch: pytest.MonkeyPatch, *lines: str, code: int = 0) -> None:
    """Let a program that prints these lines and ends with this code stand for what runs inside."""
    program = f"import sys; sys.stdin.read(); print({chr(10).join(lines)!r}); sys.exit({code})" if lines else "exit(1)"
    monkeypatch.setattr(outside, "command", lambda: [sys.executable, "-c", program])


def test_a_run_ends_with_its_tables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pretend(monkeypatch, BEGIN, RECORD)
    outside.bench(PLAN)
    said = capsys.readouterr()
    assert "2,500" in said.out
    assert "Some Processor, 2 cores, physical" in said.out
    assert "1/1 bulk   netplay-relay    2,500 MB/s" in said.err


def test_json_stands_alone_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, BEGIN, RECORD)
    outside.bench(PLAN, as_json=True)
    assert json.loads(capsys.readouterr().out)["figures"][RELAY]["bulk"]["mb_s"]["median"] == 2500.0


def test_an_error_inside_is_an_error_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, BEGIN, json.dumps({"error": {"message": "haproxy: it ended", "fix": "look"}}), code=1)
    with pytest.raises(UserError) as caught:
        outside.bench(PLAN)
    assert (caught.value.message, caught.value.fix) == ("haproxy: it ended", "look")


def test_a_machine_that_allows_no_namespace_gets_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    with pytest.raises(UserError) as caught:
        outside.bench(PLAN)
    assert caught.value.fix == outside.NO_NAMESPACE


def test_a_run_that_breaks_off_is_no_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, BEGIN, RECORD, code=1)
    with pytest.raises(UserError, match="before its end"):
        outside.bench(PLAN)
    assert capsys.readouterr().out == ""
