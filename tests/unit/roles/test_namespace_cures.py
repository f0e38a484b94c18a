"""What preflight says of a kernel that allows no namespaces: the tasks of the role, with what a module would tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.support.playbooks import play
from tests.support.templates import ROOT

TASKS = ROOT / "ansible" / "roles" / "preflight" / "tasks" / "sandbox.yml"
CURE = "sysctl -w user.max_user_namespaces=10000; sysctl -w user.max_net_namespaces=10000"


def told(folder: Path, **sandbox: object) -> tuple[int, str]:
    """Run the tasks but the one that tries; return how that ended and what was said."""
    tasks = [task for task in yaml.safe_load(TASKS.read_text()) if "netplay.relay.netplay_sandbox" not in task]
    words = yaml.safe_load((ROOT / "ansible/roles/preflight/vars/main.yml").read_text())["__preflight_words"]
    found = {"failed_at": {}, "without": {}, "forbidden": [], "container": "", **sandbox}
    facts = {"name": "Facts", "ansible.builtin.set_fact": {"service_mgr": "systemd", "cacheable": True}}
    variables = {"preflight_sandbox": found, "__preflight_words": words}
    tasks = [facts, *tasks]
    playbook = yaml.safe_dump([{"name": "Tell", "hosts": "all", "gather_facts": False, "tasks": tasks}])
    status, said, errors = play(folder, playbook, {"myvps": variables})
    return status, " ".join((said + errors).split())


@pytest.mark.parametrize("forbidden", [["net", "user"], ["user", "net", "mnt"]])
def test_a_sandbox_that_is_had_in_part_is_told_with_the_sysctls_that_give_the_rest(
    tmp_path: Path, forbidden: list[str]
) -> None:
    status, said = told(tmp_path, without={"netplay-relay": ["user", "net"]}, forbidden=forbidden)
    assert status == 0, said
    cures = {each.strip() for each in said.partition("To have it, type there: ")[2].split(" myvps: ")[0].split(";")}
    assert cures == set(CURE.split("; "))


def test_a_sandbox_that_is_had_in_part_for_another_reason_has_no_sysctl_to_type(tmp_path: Path) -> None:
    status, said = told(tmp_path, without={"netplay-relay": ["user"]}, forbidden=[])
    assert status == 0, said
    assert "user namespaces (PrivateUsers=)" in said
    assert "sysctl" not in said


def test_one_that_is_not_had_at_all_is_refused_with_the_sysctls(tmp_path: Path) -> None:
    failed = {"netplay-relay": "Failed at step NAMESPACE spawning x: No space left on device"}
    status, said = told(tmp_path, failed_at=failed, forbidden=["user", "net"])
    assert status != 0
    assert f"Type there as root: {CURE}, and take the 0 out of /etc/sysctl.d" in said


def test_no_template_refers_to_a_group_by_two_backslashes() -> None:
    """In a block scalar YAML leaves both, and what was found is then printed as a backslash and 1."""
    files = [*(ROOT / "ansible").glob("roles/*/*/*.yml"), *(ROOT / "ansible").glob("playbooks/**/*.yml")]
    assert files
    for file in files:
        for token in yaml.scan(file.read_text(encoding="utf-8")):
            if isinstance(token, yaml.ScalarToken):
                assert not re.search(r"\\\\\d", token.value), f"{file}: {token.value}"
