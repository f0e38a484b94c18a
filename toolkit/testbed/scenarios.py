"""Molecule's scenarios as they are written down: their names, what each goes through, the hosts it has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import platformdirs
import yaml

from toolkit.console import ROOT
from toolkit.errors import UserError

PROJECT: Final = ROOT / "ansible"
SCENARIOS: Final = PROJECT / "molecule"
BASE: Final = SCENARIOS / "shared" / "base.yml"
DEFAULT: Final = "default"
# Who shares a machine sets this, and then has testbeds of their own: a lab's name is this and the scenario's.
PREFIX: Final = "NETPLAY_TESTBED"
USUAL_PREFIX: Final = "tb-"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario: its name, the steps of `molecule test`, what hosts.yml says of each relay, its own notes."""

    name: str
    steps: tuple[str, ...]
    relays: dict[str, dict[str, Any]]
    notes: dict[str, Any]

    @property
    def lab(self) -> str:
        """The name of its lab."""
        return os.environ.get(PREFIX, USUAL_PREFIX) + self.name

    @property
    def state(self) -> Path:
        """Where Molecule keeps what it knows of it while it is up."""
        return platformdirs.user_cache_path("netplay-relay") / "testbed" / self.lab

    @property
    def shows_its_end(self) -> bool:
        """Whether its tests go through Molecule's own last step too: one does, and each that has one of its own.

        The others' hosts are taken down as `invoke testbed.down` does it, which costs no further run of Molecule.
        """
        own = (SCENARIOS / self.name / "destroy.yml").exists()
        return "destroy" in self.steps and (own or self.name == DEFAULT)

    @property
    def runs_here(self) -> bool:
        """Whether it is run by who runs all, and not only rendered and linted."""
        return bool(self.notes.get("runs_in_ci", True))


def names() -> list[str]:
    """Return the names of all scenarios, the default one first."""
    found = sorted(path.parent.name for path in SCENARIOS.glob("*/molecule.yml"))
    return sorted(found, key=lambda name: name != DEFAULT)


def load(name: str) -> Scenario:
    """Read a scenario. Raises UserError when there is none of that name."""
    if name not in names():
        raise UserError(f"there is no scenario {name!r}", fix=f"Choose one of: {', '.join(names())}.")
    base, own = _read(BASE), _read(SCENARIOS / name / "molecule.yml")
    steps = own.get("scenario", {}).get("test_sequence") or base["scenario"]["test_sequence"]
    hosts = _read(SCENARIOS / name / "hosts.yml")
    shared = hosts["relays"].get("vars", {})
    relays = {host: {**shared, **(told or {})} for host, told in hosts["relays"]["hosts"].items()}
    notes = hosts.get("all", {}).get("vars", {}).get("testbed_notes", {})
    return Scenario(name, tuple(steps), relays, notes)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found
