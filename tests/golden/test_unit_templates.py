"""The units: their text, systemd's opinion of it, and how little the relay may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.templates import assert_golden, plugin, program, render, run

if TYPE_CHECKING:
    from pathlib import Path

UNITS = ("netplay-relay.socket", "netplay-relay.service", "netplay-relay-firewall.service")
VARIABLES: dict[str, Any] = {
    "firewall_allowlist_dir": "/etc/netplay-relay",
    "firewall_config_dir": "/etc/netplay-relay",
    "firewall_sandbox_without": [],
    "firewall_program": "/opt/netplay-relay/current/netplay-relay.pyz",
    "relay_addresses": ["0.0.0.0", "::"],  # noqa: S104  # what the relay listens on
    "relay_config_dir": "/etc/netplay-relay",
    "relay_drain_seconds": 60,
    "relay_install_dir": "/opt/netplay-relay",
    "relay_lan_discovery": False,
    "relay_memory_high": 595591168,
    "relay_memory_max": 1400897536,
    "relay_open_files": 3072,
    "relay_ports": [55435],
    "relay_sandbox_without": [],
}
# systemd's own measure, in tenths: 0 is everything closed, 100 everything open.
MOST_EXPOSURE = "10"
# Where a kernel or a container's host does not give all of it.
MOST_EXPOSURE_ANYWHERE = "20"
SANDBOX = plugin("module_utils/netplay_sandbox.py")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    for name in UNITS:
        (tmp_path / name).write_text(render(f"systemd/{name}.j2", **VARIABLES))
    return tmp_path


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_the_text_that_was_agreed_on(name: str) -> None:
    assert_golden(name, render(f"systemd/{name}.j2", **VARIABLES))


def test_systemd_has_nothing_to_say_against_the_units(units: Path) -> None:
    verified = run(program("systemd-analyze"), "--man=no", "verify", *(str(units / name) for name in UNITS))
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_stands_the_check_that_the_role_makes_before_it_lands(units: Path, name: str) -> None:
    """The service first: the socket is not on the host then, and must not be missed."""
    staged = units / "staged.j2"
    (units / name).rename(staged)
    beside = [str(units / "netplay-relay.service")] if name == "netplay-relay.socket" else []
    verified = run(program("systemd-analyze"), "--man=no", "verify", f"{staged}:{name}", *beside)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_systemd_complains_of_a_unit_with_a_mistake(units: Path) -> None:
    service = units / "netplay-relay-firewall.service"
    service.write_text(service.read_text().replace("RestartSec=", "RestartSe="))
    assert "RestartSe" in run(program("systemd-analyze"), "--man=no", "verify", str(service)).stderr


def test_the_relay_is_shut_off_from_nearly_everything(units: Path) -> None:
    asked = ("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", str(units / "netplay-relay.service"))
    judged = run(program("systemd-analyze"), "--man=no", "--no-pager", *asked)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "Overall exposure level" in judged.stdout


def test_what_a_unit_can_do_without_leaves_it_shut_off_enough(units: Path) -> None:
    """All of it at once, which the worst kernel takes away; systemd knows what is left of the unit."""
    kinds = list(SANDBOX.SPARABLE)
    service = units / "netplay-relay.service"
    service.write_text(render("systemd/netplay-relay.service.j2", **{**VARIABLES, "relay_sandbox_without": kinds}))
    for key in (key for keys in SANDBOX.SPARABLE.values() for key in keys):
        assert f"\n{key}=" not in service.read_text()
    asked = ("security", "--offline=true", f"--threshold={MOST_EXPOSURE_ANYWHERE}", str(service))
    judged = run(program("systemd-analyze"), "--man=no", "--no-pager", *asked)
    assert judged.returncode == 0, judged.stdout + judged.stderr


@pytest.mark.parametrize("kind", ["user", "net", "ipc", "uts", "proc"])
def test_of_a_sandbox_nothing_is_left_out_but_what_is_to_be(kind: str) -> None:
    for name, of in (("netplay-relay", "relay"), ("netplay-relay-firewall", "firewall")):
        whole = render(f"systemd/{name}.service.j2", **VARIABLES).splitlines()
        less = render(f"systemd/{name}.service.j2", **{**VARIABLES, f"{of}_sandbox_without": [kind]}).splitlines()
        gone = [line.partition("=")[0] for line in whole if line not in less]
        assert gone == [key for key in SANDBOX.SPARABLE[kind] if any(line.startswith(f"{key}=") for line in whole)]


def test_every_port_is_listened_on_at_every_address() -> None:
    text = render(
        "systemd/netplay-relay.socket.j2",
        **{**VARIABLES, "relay_ports": [55440, 55435, 55440], "relay_addresses": ["192.0.2.1", "2001:db8::1"]},
    )
    listening = [line for line in text.splitlines() if line.startswith("ListenStream=")]
    assert listening == [
        "ListenStream=192.0.2.1:55435",
        "ListenStream=[2001:db8::1]:55435",
        "ListenStream=192.0.2.1:55440",
        "ListenStream=[2001:db8::1]:55440",
    ]


def test_systemd_waits_longer_for_the_relay_than_the_relay_for_its_games() -> None:
    text = render("systemd/netplay-relay.service.j2", **{**VARIABLES, "relay_drain_seconds": 300})
    assert "TimeoutStopSec=310\n" in text


@pytest.mark.parametrize(
    ("addresses", "opened"),
    [
        (["0.0.0.0", "::"], ["ListenDatagram=0.0.0.0:55435"]),  # noqa: S104  # what the relay listens on
        (["192.168.1.2", "10.8.0.1"], ["ListenDatagram=0.0.0.0:55435"]),
        (["2001:db8::1"], []),
    ],
)
def test_lan_discovery_has_its_one_port_where_a_broadcast_arrives(addresses: list[str], opened: list[str]) -> None:
    wanted = {"relay_addresses": addresses, "relay_lan_discovery": True}
    text = render("systemd/netplay-relay.socket.j2", **{**VARIABLES, **wanted})
    assert [line for line in text.splitlines() if line.startswith("ListenDatagram=")] == opened
