"""The lab's command: what it prints, how it refuses, and the shells it opens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.labs import a_lab, a_name
from toolkit.errors import UserError
from toolkit.lab import Lab, LabSpec, NodeSpec, programs, state, take_down

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with a_lab() as made:
        yield made


def command(*argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "toolkit.lab", *argv],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("name", ["x; id", "-x", "../x", "", "Lab", "a" * 21, "x y", "$(id)", "ö", "x\n"])
@pytest.mark.parametrize("action", [Lab.load, Lab.status, take_down, lambda name: LabSpec(name, ())])
def test_a_name_that_is_none_is_refused_before_anything_is_looked_at(
    action: Callable[[str], object], name: str
) -> None:
    with pytest.raises(UserError, match="cannot be the name of a lab"):
        action(name)


@pytest.mark.parametrize("action", ["up", "down", "status", "ssh"])
def test_a_refusal_is_a_sentence_and_not_a_traceback(action: str) -> None:
    done = command(action, "--name=-x; id")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "error: '-x; id' cannot be the name of a lab\n"
        "  Use at most 20 small letters, digits and dashes, a letter first.\n"
    )


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "x"}', '{"name": "x", "nodes": [{"name": "a"}]}', "1"])
def test_a_spec_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="not a lab's spec"):
        LabSpec.from_json(text)


@pytest.mark.parametrize("name", ["_bridge", "-x", "a/b", "", "A"])
def test_a_node_has_a_decent_name(name: str) -> None:
    with pytest.raises(UserError, match="cannot be the name of a node"):
        NodeSpec(name, "client")


def test_a_node_is_named_once() -> None:
    with pytest.raises(UserError, match="names the node a twice"):
        LabSpec("lab", (NodeSpec("a", "client"), NodeSpec("a", "host")))


def test_a_spec_survives_the_way_through_json() -> None:
    spec = LabSpec("lab", (NodeSpec("a", "client"), NodeSpec("b", "host", "trixie")))
    assert LabSpec.from_json(spec.to_json()) == spec


def test_missing_programs_are_named_with_the_one_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(programs, "search_path", lambda: str(tmp_path))
    with pytest.raises(UserError, match=r"does not have: ip, mmdebstrap, nsenter") as caught:
        programs.require(["nsenter", "mmdebstrap", "ip"])
    assert caught.value.fix.removeprefix("sudo ") == (
        "apt-get install --yes --no-install-recommends iproute2 mmdebstrap util-linux"
    )


@pytest.mark.lab
def test_status_tells_the_nodes_as_json_and_as_a_table(lab: Lab) -> None:
    told = json.loads(command("status", "--json", "--name", lab.name).stdout)
    assert told["up"] is True
    assert told["nodes"][0] == {
        "name": "relay",
        "kind": "host",
        "rootfs": "bookworm",
        "state": "running",
        "ipv4": lab.node("relay").ipv4,
        "ipv6": lab.node("relay").ipv6,
    }
    table = command("status", "--name", lab.name).stdout
    for node in lab.nodes:
        assert all(text in table for text in (node.name, node.ipv4, node.ipv6))


@pytest.mark.lab
def test_status_of_no_lab_says_how_to_make_one() -> None:
    with a_name() as name:
        assert command("status", "--name", name).stdout == (
            f"There is no lab {name}. To make it: invoke lab.up --name {name}\n"
        )
        assert json.loads(command("status", "--json", "--name", name).stdout) == {
            "name": name,
            "up": False,
            "nodes": [],
        }


@pytest.mark.lab
def test_exec_runs_a_command_in_a_host_and_on_a_clients_network_and_hands_its_exit_code_on(lab: Lab) -> None:
    in_host = command("exec", "--name", lab.name, "relay", "--", "sh", "-c", "hostname; exit 7")
    assert (in_host.stdout, in_host.returncode) == ("relay\n", 7)
    at_client = command("exec", "--name", lab.name, "friend", "--", "ip", "-brief", "address")
    assert lab.node("friend").ipv4 in at_client.stdout
    assert command("exec", "--name", lab.name, "friend", "--", "echo", "a b", "; id", "--").stdout == "a b ; id --\n"


@pytest.mark.lab
def test_exec_without_a_command_says_so(lab: Lab) -> None:
    done = command("exec", "--name", lab.name, "relay")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error: no command was given")


@pytest.mark.lab
def test_ssh_opens_a_shell_in_a_host_and_on_a_clients_network(lab: Lab) -> None:
    in_host = command("ssh", "--name", lab.name, stdin="hostname; exit 3\n")
    assert (in_host.stdout.splitlines()[-1], in_host.returncode) == ("relay", 3), in_host.stderr
    at_client = command("ssh", "--name", lab.name, "--node", "friend", stdin="ip -brief address; exit 4\n")
    assert lab.node("friend").ipv4 in at_client.stdout
    assert at_client.returncode == 4


@pytest.mark.lab
def test_a_lab_of_another_version_is_told_so_and_can_be_taken_down() -> None:
    with a_lab(NodeSpec("friend", "client")) as made:
        (state.directory(made.name) / "state.json").write_text(f'{{"index": {made.state.index}, "era": "older"}}')
        done = command("status", "--name", made.name)
        assert f"the lab {made.name} was made by another version" in done.stderr
        assert done.returncode == 2
        assert command("down", "--name", made.name).returncode == 0
        assert not state.directory(made.name).exists()
        assert not Path("/sys/class/net", f"nlab{made.state.index}").exists()
