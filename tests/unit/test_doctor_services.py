"""What the doctor says first of the relay's two units, and what it has typed for both."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from toolkit.doctor.findings import service

GOOD = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "UnitFileState": "enabled"}
DEAD = {**GOOD, "ActiveState": "inactive", "SubState": "dead"}


def told(socket: dict[str, Any], relay: dict[str, Any]) -> list[tuple[str, str]]:
    answers = {"services": {service.SOCKET: socket, service.RELAY: relay}, "relay": {"age": 100.0}}
    case: Any = SimpleNamespace(
        told=answers.get, host={"uid": 0}, ssh="ssh myvps", target=SimpleNamespace(option=" --host myvps")
    )
    return [(one.sentence, one.cure) for one in service.look(case)]


def test_a_masked_service_is_told_before_the_socket_that_it_stopped() -> None:
    sentence, cure = told(DEAD, {**DEAD, "LoadState": "masked"})[0]
    assert "netplay-relay.service is masked" in sentence
    assert cure == "ssh myvps systemctl unmask netplay-relay.service && invoke deploy --host myvps"


def test_a_cure_enables_both_units() -> None:
    off = {**GOOD, "UnitFileState": "disabled"}
    cures = [cure for sentence, cure in told(off, off) if "will not start with the host" in sentence]
    assert cures == ["ssh myvps systemctl enable netplay-relay.socket netplay-relay.service"] * 2
