"""Who this machine is to a host, as a first deployment writes it down: told where others share the address."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.deploy import run
from toolkit.deploy.run import Request
from toolkit.hosts import inventory, target
from toolkit.hosts.inventory import Entry
from toolkit.hosts.login import LoginFacts
from toolkit.ssh import connection
from toolkit.ssh.connection import Connection

PLACE = target.real("myvps")


def made(visit: LoginFacts, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the friends.toml of a first deployment by a login."""
    monkeypatch.setattr(connection, "other_address", lambda *_: None)
    files = inventory.files_of(PLACE.host)
    run._make_files(PLACE, Entry(PLACE.host), files, visit, Request(), folder)
    return files.friends.read_text()


def a_visit(*, jumps: bool = False) -> LoginFacts:
    return LoginFacts(Connection("myvps"), "myvps", jumps, "root", "192.0.2.1", become=False, gateways=("192.0.2.1",))


def test_a_router_of_the_host_is_told_to_be_everybody_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "192.0.2.1" in made(a_visit(), tmp_path, monkeypatch)
    said = " ".join(capsys.readouterr().out.split())
    assert "is the host's own router: everybody behind it has that address" in said
    assert "invoke friends.remove me --host myvps" in said


def test_behind_a_jump_host_nobody_is_let_in_as_this_machine_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "192.0.2.1" not in made(a_visit(jumps=True), tmp_path, monkeypatch)
    assert "invoke friends.add me --ip ADDRESS --host myvps" in " ".join(capsys.readouterr().out.split())


def test_the_proof_does_not_take_a_jump_host_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(run.proof, "prove_from_here", lambda _host, _port, source, _listed: seen.append(source))
    plan = run.Plan(run.config.Config(), [], None)  # type: ignore[arg-type]
    for visit in (a_visit(jumps=True), a_visit()):
        run._prove(PLACE, visit, plan)
    assert seen == ["", "192.0.2.1"]
