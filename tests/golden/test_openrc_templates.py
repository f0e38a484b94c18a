"""OpenRC's service files: their text, and what the shell and shellcheck say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.templates import assert_golden, program, render, run

if TYPE_CHECKING:
    from pathlib import Path

SERVICES = ("netplay-relay", "netplay-relay-firewall")
VARIABLES: dict[str, Any] = {
    "openrc": {
        "program": "/usr/bin/python3 -I /opt/netplay-relay/current/netplay-relay.pyz",
        "settings": "/etc/netplay-relay/relay.toml",
        "settings_dir": "/etc/netplay-relay",
        "account": "netplay-relay",
        "open_files": 3072,
        "private_kib": 180224,
        "memory_high": 595591168,
        "memory_max": 1400897536,
        "drain_seconds": 60,
        "log": "/var/log/netplay-relay.log",
    }
}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_the_text_that_was_agreed_on(name: str) -> None:
    assert_golden(f"openrc/{name}", render(f"openrc/{name}.j2", **VARIABLES))


@pytest.mark.parametrize("name", SERVICES)
def test_shell_and_shellcheck_have_nothing_to_say_against_it(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(render(f"openrc/{name}.j2", **VARIABLES))
    for argv in (("sh", "-n"), (program("shellcheck"),)):
        said = run(*argv, str(file))
        assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_the_relay_is_given_longer_to_stop_than_it_gives_its_games() -> None:
    assert 'retry="TERM/70/KILL/5"' in render("openrc/netplay-relay.j2", **VARIABLES)
