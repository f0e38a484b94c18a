"""The tasks that verify the ruleset and write the allowlist, run on this machine with a stand-in for the program."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.needs import lack
from tests.support.playbooks import play
from tests.support.templates import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PLAYBOOK = """
- name: Look
  hosts: all
  gather_facts: false
  tasks:
    - name: Say how the host is run
      ansible.builtin.set_fact: {service_mgr: runit, cacheable: true}
    - name: Do it
      ansible.builtin.import_role: {name: netplay.relay.firewall, tasks_from: TASKS}
"""
WELL = {"present": True, "agent": 7, "complete": True, "problem": ""}
ANNA = '[[friend]]\nname = "anna"\nip = "203.0.113.7"\n'


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """See whether several walls stand; return what was said and what was wrong."""
    folder = tmp_path_factory.mktemp("verified")
    hosts: dict[str, dict[str, object]] = {}

    def host(name: str, told: dict[str, Any], **variables: object) -> None:
        program = folder / f"{name}.py"
        program.write_text(f"print({json.dumps(told)!r})\n")
        hosts[name] = {"firewall_program": str(program), "__firewall_patience": 1, **variables}

    host("well", WELL)
    host("fallen", {**WELL, "present": False, "agent": None, "problem": "nft says no."})
    host("unkept", {**WELL, "agent": None})
    host("mistaken", {**WELL, "problem": "friends.toml:3: no."}, firewall_friends_file="friends.toml")
    host("lacking", {**WELL, "complete": False}, firewall_friends_file="friends.toml")
    # Its own list was broken by hand, and whoever deploys brings another one afterwards.
    host("others", {**WELL, "complete": False, "problem": "friends.toml:3: no."})
    (folder / "broken.py").write_text("raise SystemExit('netplay-relay: it cannot start')\n")
    hosts["broken"] = {"firewall_program": str(folder / "broken.py"), "__firewall_patience": 1}
    return play(folder, PLAYBOOK.replace("TASKS", "verify"), hosts)[1:]


@pytest.mark.parametrize("name", ["well", "others"])
def test_a_wall_that_stands_and_is_kept_is_enough(verified: tuple[str, str], name: str) -> None:
    assert f"{name}: 0 changed, 2 ok\n" in verified[0]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("fallen", "The firewall rules are not loaded on fallen, so nothing was done that comes after it: nft says"),
        ("unkept", "The firewall rules are loaded, but the firewall agent is not running on unkept, so nothing"),
        ("mistaken", "The firewall rules differ from friends.toml on mistaken, so nothing was"
         " done that comes after it: friends.toml:3: no."),
        ("lacking", "The firewall rules differ from friends.toml on lacking"),
        ("broken", "The firewall rules are not loaded on broken, so nothing was done that comes after it: netplay"),
    ],
)  # fmt: skip
def test_a_wall_that_nobody_keeps_or_that_is_another_one_is_a_failure(
    verified: tuple[str, str], name: str, sentence: str
) -> None:
    assert sentence in verified[1]
    assert "Its log there: /var/log/netplay-relay-firewall/current" in verified[1]


def test_a_list_with_a_mistake_leaves_the_hosts_own(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        lack("files are given to root: run this as root")
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom relay.__main__ import main\nsys.exit(main())\n"
    )
    hosts: dict[str, dict[str, object]] = {}
    for name, text in {"right": ANNA, "wrong": ANNA.replace("113.7", "113.700")}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "friends.toml").write_text("# as it was\n")
        (tmp_path / f"{name}.toml").write_text(text)
        hosts[name] = {
            "firewall_program": str(program),
            "firewall_config_dir": str(tmp_path / name),
            "firewall_friends_file": str(tmp_path / f"{name}.toml"),
        }
    _, said, errors = play(tmp_path, PLAYBOOK.replace("TASKS", "configure"), hosts)
    assert "right  changed  Install the list of friends" in said
    assert (tmp_path / "right" / "friends.toml").read_text() == ANNA
    assert (tmp_path / "wrong" / "friends.toml").read_text() == "# as it was\n"
    assert 'wrong.toml:3: anna: "203.0.113.700" is not an IP address.' in errors
