"""Which releases stay on a host, and what a removal says that stays: the tasks of the role, run on this machine."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.playbooks import play

if TYPE_CHECKING:
    from pathlib import Path

PRUNE = """
- name: Prune
  hosts: all
  gather_facts: false
  tasks:
    - name: Do it
      ansible.builtin.import_role: {name: netplay.relay.relay, tasks_from: prune}
"""
# Accounts are asked of a program that stands in for id.
REMOVE = """
- name: Remove
  hosts: all
  gather_facts: false
  environment: {PATH: "{{ folder }}/bin:/usr/bin:/bin"}
  tasks:
    - name: Do it
      ansible.builtin.import_role: {name: netplay.relay.relay, tasks_from: packages_leave}
"""
YESTERDAY, AHEAD = 1.7e9, 4e9


def pruned(folder: Path, used: dict[str, float], current: str) -> set[str]:
    """Return which releases stay, of those with these times of use (0: never used); two are kept."""
    releases = folder / "install" / "releases"
    for name, at in used.items():
        (releases / name).mkdir(parents=True)
        if at:
            (releases / name / "used").touch()
            os.utime(releases / name / "used", (at, at))
        os.utime(releases / name, (YESTERDAY, YESTERDAY))
    variables = {"relay_install_dir": str(folder / "install"), "relay_release_id": current, "relay_releases_kept": 2}
    status, said, errors = play(folder, PRUNE, {"here": variables})
    assert (status, errors) == (0, ""), said
    return {path.name for path in releases.iterdir()}


@pytest.mark.parametrize(
    ("used", "stays"),
    [
        ({"old": YESTERDAY, "former": YESTERDAY + 8, "now": YESTERDAY + 9}, {"former", "now"}),
        # Two deployments while the clock was ahead, and two since.
        ({"ahead": AHEAD, "former": YESTERDAY + 8, "now": YESTERDAY + 9}, {"former", "now"}),
        ({"old": AHEAD - 9, "former": AHEAD - 1, "now": AHEAD}, {"former", "now"}),
        ({"never": 0, "former": YESTERDAY, "now": YESTERDAY + 9}, {"former", "now"}),
        ({"ahead": AHEAD, "never": 0, "now": YESTERDAY}, {"ahead", "now"}),
        # Deployed by a release that noted nothing.
        ({"former": YESTERDAY, "now": 0, "never": 0}, {"former", "now"}),
    ],
)
def test_the_release_that_ran_before_the_current_one_stays(
    tmp_path: Path, used: dict[str, float], stays: set[str]
) -> None:
    assert pruned(tmp_path, used, "now") == stays


def removed(folder: Path, accounts: str, repository: Path) -> str:
    """Return what is said of what stays on a host with these accounts."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "id"
    program.write_text(f'#!/bin/sh\ncase "$2" in {accounts or "-"}) echo 990;; *) exit 1;; esac\n')
    program.chmod(0o755)
    variables = {"relay_from_package": True, "relay_repository": str(repository)}
    status, said, errors = play(folder, REMOVE, {"voidbox": variables})
    assert (status, errors) == (0, ""), said
    return " ".join(re.findall(r"note: (.*)", said))


def test_a_removal_names_what_packages_leave_and_nothing_that_is_not_there(tmp_path: Path) -> None:
    here = tmp_path / "my packages"
    here.mkdir()
    assert removed(tmp_path, "_netplay_relay", here) == (
        f"These stay on voidbox: the account _netplay_relay (xbps keeps accounts); the repository {here}. To remove "
        f"them, type as root on voidbox: userdel _netplay_relay; rm -r '{here}'"
    )


def test_the_builder_is_named_where_packages_were_built(tmp_path: Path) -> None:
    said = removed(tmp_path, "_netplay_relay|_netplay_builder", tmp_path / "none")
    assert said.endswith("type as root on voidbox: userdel _netplay_relay; userdel -r _netplay_builder")
    assert "repository" not in said


def test_a_host_on_which_nothing_stays_is_told_nothing(tmp_path: Path) -> None:
    assert removed(tmp_path, "", tmp_path / "none") == ""
