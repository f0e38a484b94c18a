"""The relay that runs is asked which allowlist it has, and whom it lets in: a file that is right does not say so."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from relay import control_client
from relay.allowlist import Allowlist, digest
from relay.gate import apply, check, status, subject
from relay.gate.apply import Push
from relay.monitoring import report
from tests.support.gate_memory import MemoryGate, friend
from tests.support.plain_relay import PlainRelay
from toolkit.doctor import findings
from toolkit.doctor.case import Case
from toolkit.doctor.finding import Severity
from toolkit.doctor.findings import log
from toolkit.doctor.probe import Talk
from toolkit.doctor.target import Target
from toolkit.friends import commands
from toolkit.hosts.names import parse_host
from toolkit.hosts.target import DeployTarget

ANNA = friend("anna", 'ip = "5.6.7.8"')


def missing(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def no_list(path: Path) -> None:
    path.write_text("anna\n")


def no_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\n")


BREAKAGES = [missing, a_folder, no_list, no_text]


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryGate:
    """Give a gate whose list holds anna, and a place for the relay that runs."""
    gate = MemoryGate(tmp_path)
    text = f"[gate]\nallowlist = {json.dumps(str(gate.places.allowlist))}\n"
    gate.places.settings.write_text(text)
    monkeypatch.setattr(subject, "SOCKET", tmp_path / "control.sock")
    apply.push(gate, Push(ANNA))
    return gate


@pytest.fixture
def relay(gate: MemoryGate, tmp_path: Path) -> Iterator[PlainRelay]:
    with PlainRelay(tmp_path, list, gate.places.settings.read_text()) as running:
        yield running


def mend(gate: MemoryGate) -> None:
    """Do what `invoke friends.push` does there."""
    if gate.places.allowlist.is_dir():
        gate.places.allowlist.rmdir()
    apply.push(gate, Push(ANNA))


def sentences(answer: dict[str, Any], layer: str) -> str:
    return "\n".join(step["sentence"] for step in answer["steps"] if step["layer"] == layer)


@pytest.mark.parametrize("breaks", BREAKAGES)
def test_a_list_that_the_relay_cannot_use_lets_nobody_in_and_all_say_so(
    gate: MemoryGate, relay: PlainRelay, breaks: Callable[[Path], None]
) -> None:
    good = check.check(gate, "anna")
    assert good["verdict"] == "in", good
    assert "The relay that runs lets 5.6.7.8/32 in" in sentences(good, "allowlist")
    assert status.status(gate)["allowlist"] == {"problem": "", "lets_in": True}
    breaks(gate.places.allowlist)
    answer = check.check(gate, "anna")
    assert answer["verdict"] == "out"
    assert "invoke friends.push" in sentences(answer, "allowlist")
    told = status.status(gate)
    assert told["allowlist"]["lets_in"] is False
    assert "cannot be used, so nobody is let in" in told["allowlist"]["problem"]
    assert "cannot be used, so nobody is let in" in status.text(told)
    assert any("invoke friends.push" in problem for problem in commands.problems(told))
    assert "cannot be used" in report.text(relay.status())
    mend(gate)
    assert check.check(gate, "anna")["verdict"] == "in"
    told = status.status(gate)
    assert told["allowlist"] == {"problem": "", "lets_in": True}
    assert log.standing(relay.log.read_text().splitlines()) == []


def test_the_relay_is_asked_about_each_address(gate: MemoryGate, relay: PlainRelay) -> None:
    gate.places.allowlist.write_text("9.9.9.9\n")
    many = [f"9.9.8.{number}" for number in range(70)]
    networks = [ipaddress.ip_network(one) for one in ("9.9.9.9", "5.6.7.8", "2001:db8::/64", *many)]
    found, told = subject.ask_allowed(gate, networks)
    assert found == {network: str(network) == "9.9.9.9/32" for network in networks}
    assert isinstance(told, dict)
    assert (told["path"], told["entries"], told["problem"]) == (str(gate.places.allowlist), 1, "")
    # What the gate wrote is not what lies there now.
    because = check.check(gate, "anna")["because"]
    assert because.startswith("The relay that runs does not let 5.6.7.8/32 in")
    gate.places.allowlist.write_text("# nobody\n")
    assert subject.ask_allowed(gate, [])[0] == {}


@pytest.mark.parametrize("wrong", [None, 7, [7], ["x"], "9.9.9.9", [None]])
def test_a_question_without_addresses_is_refused(gate: MemoryGate, relay: PlainRelay, wrong: Any) -> None:
    answer = control_client.ask(relay.control, "allows", 10.0, addresses=wrong)
    assert "allows needs addresses" in answer["error"]


def test_a_relay_with_another_list_or_none_is_told(gate: MemoryGate, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("9.9.9.9\n")
    for name, settings, words, lets_in in (
        ("other list", f"[gate]\nallowlist = {json.dumps(str(other))}\n", "has another allowlist than", True),
        ("no list", "", "checks nobody, although relay.toml names", None),
    ):
        folder = tmp_path / name
        folder.mkdir()
        with PlainRelay(folder, list, settings) as running:
            told = status.status(gate, running.control)["allowlist"]
            assert words in told["problem"]
            assert told["lets_in"] is lets_in


def test_a_relay_that_does_not_answer_or_is_older_leaves_the_file(gate: MemoryGate) -> None:
    answer = check.check(gate, "anna")
    assert answer["verdict"] == "in"
    assert f"The relay's own {gate.places.allowlist} holds 5.6.7.8/32" in sentences(answer, "allowlist")
    gate.places.allowlist.chmod(0o600)
    assert "may not be able to read" in sentences(check.check(gate, "anna"), "allowlist")
    assert status.status(gate)["allowlist"] == {"problem": "", "lets_in": None}


def test_what_was_read_before_stays_in_force_and_the_next_start_is_thought_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chmod changes neither content nor date."""
    file = tmp_path / "allowlist"
    file.write_text("5.6.7.8\n9.9.9.9\n")
    held = Allowlist(file)
    assert held.told() == {"path": str(file), "entries": 2, "digest": digest(file.read_bytes()), "problem": ""}
    assert Allowlist(None).told() == {"path": None, "entries": 0, "digest": "", "problem": ""}

    def refuses(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuses)
    told = held.told()
    assert told["entries"] == 2
    assert "Permission denied. Where the relay was deployed: invoke friends.push" in told["problem"]


def a_case(allowlist: dict[str, Any], entries: int = 1, **more: Any) -> Case:
    gate = {"allowlist": allowlist, "entries": [{"network": "5.6.7.8/32"}] * entries}
    host = {"gate": gate, "problems": {}, "time": 0.0}
    return Case(
        Target("203.0.113.10", (55435,), DeployTarget(parse_host("myvps"))), ["203.0.113.10"], host=host, **more
    )


@pytest.mark.parametrize(
    ("allowlist", "severity", "cure"),
    [
        ({"problem": "cannot be used", "lets_in": False}, Severity.TROUBLE, "invoke friends.push"),
        ({"problem": "cannot be used", "lets_in": True}, Severity.WARNING, "invoke friends.push"),
        ({"problem": "checks nobody", "lets_in": None}, Severity.WARNING, "invoke deploy"),
        ({"problem": "", "lets_in": True}, Severity.FINE, ""),
        ({"problem": "", "lets_in": None}, None, ""),
    ],
)
def test_the_doctor_says_what_the_relay_has(allowlist: dict[str, Any], severity: Severity | None, cure: str) -> None:
    found = [one for one in findings.every(a_case(allowlist)) if one.name == "allowlist"]
    assert [one.severity for one in found] == ([] if severity is None else [severity])
    assert all(one.cure.startswith(cure) for one in found)


def test_whoever_is_on_the_list_and_denied_is_not_told_to_be_added() -> None:
    case = a_case({"problem": "", "lets_in": True}, talk=Talk("denied", "10.0.0.2"))
    assert case.host is not None
    case.host["came_from"] = "5.6.7.8"
    (found,) = [one for one in findings.every(case) if one.name == "protocol"]
    assert (found.severity, found.cure.split(" --")[0]) == (Severity.TROUBLE, "invoke friends.push")


LINES = [
    "2026-11-29T08:00:00+0000 relay[1]: ERROR allowlist /etc/list cannot be used, so nobody is let in: gone",
    "2026-11-29T08:00:01+0000 gate[2]: ERROR this is not TOML. What was applied last stays in force.",
    "2026-11-29T08:00:02+0000 relay[1]: ERROR allowlist /other cannot be used, so nobody is let in: gone",
]


def test_an_error_that_is_over_is_none_any_more() -> None:
    read, over = "relay[1]: INFO allowlist /etc/list read", "gate[2]: INFO over: this is not TOML."
    assert log.standing(LINES) == LINES
    assert log.standing([*LINES, read]) == LINES[1:]
    assert log.standing([*LINES, over]) == [LINES[0], LINES[2]]
    assert log.standing([read, over, *LINES]) == LINES
    assert log.standing([*LINES, read, LINES[0]])[-1] == LINES[0]


@pytest.mark.parametrize(
    ("now", "severity"), [("2026-11-29T08:30:00", Severity.WARNING), ("2026-11-29T10:00:00", Severity.NOTE)]
)
def test_an_error_of_hours_ago_is_a_note(now: str, severity: Severity) -> None:
    from datetime import datetime

    case = a_case({"problem": "", "lets_in": None})
    assert case.host is not None
    case.host |= {"log": LINES, "time": datetime.fromisoformat(f"{now}+00:00").timestamp()}
    (found,) = [one for one in findings.every(case) if one.name == "log"]
    assert found.severity is severity
