"""Causes before effects, and cures that are commands: what a host's answers come to, without a host."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.statuses import status
from toolkit.doctor import findings
from toolkit.doctor.case import Case
from toolkit.doctor.finding import Finding, Severity
from toolkit.doctor.findings.log import standing
from toolkit.doctor.target import Target
from toolkit.hosts import interpreter, target
from toolkit.hosts.names import parse_host
from toolkit.hosts.remote import Remote
from toolkit.ssh import bounded
from toolkit.ssh.bounded import Done
from toolkit.ssh.connection import MARK, Connection

MYVPS = target.DeployTarget(parse_host("myvps"))
UNITS = ("netplay-relay.socket", "netplay-relay.service")
ACTIVE = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "NRestarts": "0"}
FAILING = {
    **ACTIVE, "ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code", "NRestarts": "4",
}  # fmt: skip


def remote(*, become: bool = False) -> Remote:
    return Remote(MYVPS, Connection("myvps"), become)


def first(**host: Any) -> Finding:
    usual = {"uid": 0, "time": 0.0, "problems": {}, "system": {"init": "systemd"}, "release": {"installed": "f00"}}
    told = {**usual, "relay": None if "services" in host else status(), **host}
    return next(findings.every(Case(Target("192.0.2.1", (55435,), MYVPS), ["192.0.2.1"], host=told)))


def failing(**more: str) -> dict[str, Any]:
    return {"netplay-relay.socket": ACTIVE, "netplay-relay.service": {**FAILING, **more}}


def shut(whose: str, path: str, at: str) -> dict[str, Any]:
    closed = [{"whose": whose, "path": path, "at": at, "mode": "-rw-------", "owner": "root"}]
    return {"account": "netplay-relay", "friends": True, "closed": closed}


def test_a_file_that_is_closed_to_the_relay_explains_what_it_cannot_do() -> None:
    at = "/etc/netplay-relay/relay.toml"
    bad = {"text": "", "good": False, "said": "Permission denied"}
    found = first(access=shut("relay", at, at), services=failing(), settings=bad)
    assert found.name == "access"
    assert found.cure == (f"ssh myvps 'chgrp netplay-relay {at} && chmod g+rX {at} && systemctl restart netplay-relay'")


def test_an_account_that_is_gone_explains_what_it_cannot_do() -> None:
    found = first(access={"account": "", "friends": True, "closed": []}, services=failing())
    assert (found.key, found.cure) == ("account", "invoke deploy --host myvps")


def test_the_agents_state_is_put_right_by_its_start_and_a_file_by_its_owner() -> None:
    found = first(access=shut("agent", "/var/lib/netplay-relay", "/var/lib/netplay-relay"))
    assert found.severity is Severity.WARNING
    assert found.cure == "ssh myvps systemctl restart netplay-relay-firewall"
    at = "/etc/netplay-relay/friends.toml"
    assert f"chown root {at} && chmod u+rwX {at} && systemctl" in first(access=shut("agent", at, at)).cure


def test_settings_that_are_not_there_are_told_so() -> None:
    found = first(settings={"text": "", "good": False, "said": "there is no file /etc/netplay-relay/relay.toml"})
    assert found.sentence == "the host has no relay.toml"


def test_a_unit_that_fails_is_blamed_on_what_was_added_to_it_else_written_again() -> None:
    at = "/etc/systemd/system/netplay-relay.service.d/mine.conf"
    found = first(services=failing(DropInPaths=at))
    assert at in found.sentence
    assert found.cure.splitlines()[0] == (
        "ssh myvps 'systemctl revert netplay-relay.service && "
        "systemctl restart netplay-relay.socket netplay-relay.service'"
    )
    said = "2026-01-01T00:00:00+0000 netplay-relay[7]: it cannot"
    found = first(services=failing(DropInPaths=""), log=[said])
    assert found.cure.splitlines()[0] == "invoke deploy --host myvps"
    assert said in found.evidence


def test_services_that_are_disabled_too_are_enabled_by_the_same_command() -> None:
    down = {**ACTIVE, "ActiveState": "inactive", "UnitFileState": "disabled"}
    assert "systemctl enable --now " in first(services=dict.fromkeys(UNITS, down)).cure


def test_sudo_runs_every_command_of_a_line() -> None:
    case = Case(Target("192.0.2.1", (55435,), MYVPS), remote=remote(become=True))
    words = case.there("id -u && id -un")
    assert words == """ssh myvps sudo 'sh -c '"'"'id -u && id -un'"'"''"""
    # What arrives there, and sudo with it: a stand-in that runs its words.
    done = subprocess.run(
        ["bash", "-c", f"ssh() {{ shift; bash -c \"$*\"; }}; sudo() {{ echo root; \"$@\"; }}; export -f sudo; {words}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert len(done.stdout.splitlines()) == 3
    assert case.there("nft list ruleset") == "ssh myvps sudo 'nft list ruleset'"


@pytest.mark.parametrize(
    ("told", "words", "cure"),
    [
        (
            {"python": "missing", "other": "python3.11", "init": "systemd", "uid": "0"},
            "there is no /usr/bin/python3",
            "ssh myvps 'ln -sfn python3.11 /usr/bin/python3 && systemctl restart netplay-relay-firewall netplay-relay'",
        ),
        (
            {"python": "broken", "installer": "xbps-install", "init": "runit", "uid": "0"},
            "is not a Python that runs",
            "ssh myvps 'xbps-install -f python3 && sv restart netplay-relay-firewall netplay-relay'",
        ),
        (
            {"python": "broken", "other": "python3; reboot", "init": "systemd", "uid": "0"},
            "is not a Python that runs",
            "apt-get install --reinstall",
        ),
    ],
)
def test_a_python_that_does_not_run_is_told_with_what_puts_it_right(
    told: dict[str, str], words: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(f"{MARK}{key}={value}\n" for key, value in told.items())
    monkeypatch.setattr(bounded, "run", lambda *_, **__: Done(0, text, ""))
    error = interpreter.trouble(remote())
    assert error is not None
    assert words in error.message
    assert cure in (error.fix or "")
    # Whatever asks the host by it says so.
    assert words in remote().failed(Done(127, "", "sh: 1: exec: /usr/bin/python3: not found")).message


def test_a_python_that_runs_is_not_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "run", lambda *_, **__: Done(0, f"{MARK}python=runs\n", ""))
    assert interpreter.trouble(remote()) is None


def test_the_questions_tell_a_python_from_what_is_none(tmp_path: Path) -> None:
    for name, text in (("python3", "#!/bin/sh\n"), ("python3.11", "#!/bin/sh\necho True\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    script = interpreter.QUESTIONS.replace("/usr/bin/", f"{tmp_path}/")
    said = subprocess.run(["sh", "-s"], input=script, capture_output=True, text=True, check=True).stdout
    assert f"{MARK}python=broken\n" in said
    assert f"{MARK}other=python3.11\n" in said


def test_an_agent_that_was_started_again_ends_the_errors_of_the_one_before_it() -> None:
    old = "2026-01-01T00:00:00+0000 netplay-relay-firewall[7]: ERROR friends.toml: Permission denied"
    new = old.replace("[7]", "[9]")
    works = "2026-01-01T00:00:05+0000 netplay-relay-firewall[9]: INFO the gate's agent is at work"
    assert standing([old, works]) == []
    assert standing([old, new, works]) == [new]
    relay = "2026-01-01T00:00:00+0000 netplay-relay[7]: ERROR it broke"
    assert standing([relay, works]) == [relay]
