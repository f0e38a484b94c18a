"""The log: one line for each event, as text or JSON, addresses blurred on demand."""

from __future__ import annotations

import ipaddress
import json
import logging
import time
from collections.abc import Iterator

import pytest

from relay.config import Log
from relay.logs import Events, blur, log, set_up
from relay.outcomes import Outcome

ANNA = ipaddress.ip_address("203.0.113.7")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    handlers, propagate, level = log.handlers[:], log.propagate, log.level
    yield
    log.handlers[:], log.propagate = handlers, propagate
    log.setLevel(level)


def test_text_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(Log()).write(logging.INFO, "ended", "{address} ended: {outcome}", address=ANNA, outcome="left")
    assert capsys.readouterr().err == "INFO 203.0.113.7 ended: left\n"


def test_json_is_an_object_with_the_fields(capsys: pytest.CaptureFixture[str]) -> None:
    events = set_up(Log(format="json"))
    events.write(logging.INFO, "ended", "{address} ended after {seconds}", address=ANNA, seconds=1.23456)
    entry = json.loads(capsys.readouterr().err)
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "level": "info",
        "event": "ended",
        "message": "203.0.113.7 ended after 1.235",
        "address": "203.0.113.7",
        "seconds": 1.235,
    }


def test_json_carries_an_exception(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(Log(format="json"))
    try:
        raise ValueError("boom")
    except ValueError:
        log.exception("it broke")
    assert "ValueError: boom" in json.loads(capsys.readouterr().err)["error"]


def test_blurred_addresses_have_no_host_part(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(Log(addresses="blurred")).write(logging.INFO, "ended", "{address} ended", address=ANNA)
    assert capsys.readouterr().err == "INFO 203.0.113.0/24 ended\n"
    assert blur(ipaddress.ip_address("2001:db8:1:2::7")) == "2001:db8:1::/48"


def test_a_line_has_all_that_any_handler_may_ask_for(caplog: pytest.LogCaptureFixture) -> None:
    before = time.time()
    Events(blurred=False).write(logging.WARNING, "ended", "{address} ended", address=ANNA)
    (record,) = caplog.records
    assert before <= record.created <= time.time()
    assert vars(record).keys() >= vars(logging.makeLogRecord({})).keys()
    assert (
        logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s")
        .format(record)
        .endswith(" netplay-relay WARNING 203.0.113.7 ended")
    )


def test_below_the_level_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(Log(level="warning")).write(logging.INFO, "ended", "{address} ended", address=ANNA)
    assert capsys.readouterr().err == ""


def test_every_outcome_has_a_word_of_its_own_and_an_explanation() -> None:
    words = [outcome.value for outcome in Outcome]
    assert len(set(words)) == len(words)
    assert all(outcome.doc for outcome in Outcome)
