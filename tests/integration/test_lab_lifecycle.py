"""Up, down and restart of a lab: nothing is done twice, nothing is left behind, whatever was killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.labs import PAIR, Traces, a_lab, a_name
from tests.support.waiting import wait_for
from toolkit.errors import UserError
from toolkit.lab import Lab, LabSpec, NodeSpec, cgroups, hosts, network, sources, state, take_down

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
MARK = "/root/mark"
VOLATILE = "/tmp/volatile"  # noqa: S108  # on a lab host


@pytest.fixture
def name() -> Iterator[str]:
    with a_name() as made:
        yield made


@pytest.fixture
def lab() -> Iterator[Lab]:
    with a_lab() as made:
        yield made


def in_host(lab: Lab, *argv: str, node: str = "relay", check: bool = True) -> str:
    done = subprocess.run(lab.inside(node, argv), capture_output=True, text=True, timeout=60, check=check)
    return done.stdout


def first_process(lab: Lab) -> int:
    number = hosts.pid(lab.state, lab.node("relay"))
    assert number is not None
    return number


def by_ssh(lab: Lab, command: str) -> str:
    argv = ["ssh", "-F", str(lab.ssh_config), lab.ssh_alias("relay"), command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout


def start_up(name: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "toolkit.lab", "--porcelain", "up", "--spec", LabSpec(name, PAIR).to_json()]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def rules_left(traces: Traces) -> list[tuple[str, int]]:
    """Return what this machine's routing still says of a lab, unless its subnet is another's by now."""
    others = {state.index_of(other) for other in state.labs() if other != traces.name}
    return [] if traces.index is None or traces.index in others else network.rules(traces.index)


def test_a_lab_is_up_within_three_seconds_once_its_root_file_system_is_there(lab: Lab) -> None:
    rounds = []
    for _ in range(3):  # the best of three: other tests may have the processors
        lab.down()
        started = time.monotonic()
        Lab.up(LabSpec(lab.name, PAIR))
        rounds.append(time.monotonic() - started)
    assert min(rounds) < 3, rounds


@pytest.mark.parametrize("suite", sources.SUITES)
def test_each_release_makes_a_host_that_runs_and_restarts(suite: str) -> None:
    with a_lab(NodeSpec("relay", "host", suite)) as lab:
        assert f"VERSION_CODENAME={suite}\n" in by_ssh(lab, "cat /etc/os-release")
        assert Lab.status(lab.name).nodes[0].state == "running"
        assert in_host(lab, "systemctl", "is-enabled", "nftables", check=False) == "disabled\n"
        lab.reboot("relay")
        assert Lab.status(lab.name).nodes[0].state == "running"


def test_a_second_up_leaves_healthy_nodes_alone(lab: Lab) -> None:
    before, namespace = first_process(lab), state.State.netns(lab.state, "friend").stat().st_ino
    said: list[str] = []
    again = Lab.up(LabSpec(lab.name, PAIR), said.append)
    assert first_process(again) == before
    assert state.State.netns(again.state, "friend").stat().st_ino == namespace
    assert said == []


def test_a_lab_grows_by_a_second_up_and_its_hosts_learn_the_new_names(lab: Lab) -> None:
    before = first_process(lab)
    grown = Lab.up(LabSpec(lab.name, (*PAIR, NodeSpec("late", "client"), NodeSpec("second", "host"))))
    assert first_process(grown) == before
    assert grown.node("friend") == lab.node("friend")
    assert grown.node("late").ipv4 in in_host(grown, "getent", "ahostsv4", "late")
    assert in_host(grown, "hostname", node="second") == "second\n"
    assert [node.state for node in Lab.status(lab.name).nodes] == ["running", "ready", "ready", "running"]


def test_up_with_fewer_nodes_takes_none_away(lab: Lab) -> None:
    Lab.up(LabSpec(lab.name, PAIR[:1]))
    assert [node.name for node in Lab.load(lab.name).nodes] == ["relay", "friend"]


def test_a_node_does_not_turn_into_another_kind(lab: Lab) -> None:
    with pytest.raises(UserError, match="friend is a client") as caught:
        Lab.up(LabSpec(lab.name, (NodeSpec("friend", "host"),)))
    assert caught.value.fix == f"Take the lab down first: invoke lab.down --name {lab.name}"


def test_down_leaves_nothing_behind(lab: Lab) -> None:
    directory = state.directory(lab.name)
    visitor = subprocess.Popen(lab.command("friend", ["sleep", "600"]))
    by_ssh(lab, "true")  # leaves a shared connection
    traces = Traces.of(lab.name)
    assert visitor.pid in {pid for pid, _ in traces.processes}
    assert {word.split(" ")[0] for word in traces.left()} == {str(directory), "mount", "cgroup", "interface", "process"}
    assert [family for family, _ in rules_left(traces)] == ["-4", "-6"]
    lab.down()
    assert traces.left() == []
    assert rules_left(traces) == []
    assert visitor.wait(timeout=10) == -signal.SIGKILL


def test_down_of_a_lab_that_is_not_there_says_so(name: str) -> None:
    assert take_down(name) is False


def test_loading_a_lab_that_is_not_up_says_what_to_type(name: str) -> None:
    with pytest.raises(UserError, match=f"the lab {name} is not up") as caught:
        Lab.load(name)
    assert caught.value.fix == f"invoke lab.up --name {name}"


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_down_leaves_nothing_of_a_host_whose_first_process_is(lab: Lab, sent: signal.Signals) -> None:
    traces = Traces.of(lab.name)
    os.kill(first_process(lab), sent)
    lab.down()
    assert traces.left() == []


def test_up_mends_a_host_whose_first_process_was_killed_and_its_files_are_there(lab: Lab) -> None:
    in_host(lab, "touch", MARK)
    key = by_ssh(lab, "cat /etc/ssh/ssh_host_ed25519_key.pub")
    os.kill(first_process(lab), signal.SIGKILL)
    wait_for(lambda: Lab.status(lab.name).nodes[0].state == "dead", 10, "the host to be seen as dead")
    assert not Lab.status(lab.name).up
    mended = Lab.up(LabSpec(lab.name, PAIR))
    assert Lab.status(lab.name).up
    assert in_host(mended, "ls", MARK) == f"{MARK}\n"
    assert by_ssh(mended, "cat /etc/ssh/ssh_host_ed25519_key.pub") == key


def test_up_mends_a_network_that_was_taken_apart(lab: Lab) -> None:
    subprocess.run(["umount", "--lazy", str(lab.state.netns("friend"))], check=True)
    assert {node.name: node.state for node in Lab.status(lab.name).nodes} == {"relay": "running", "friend": "dead"}
    mended = Lab.up(LabSpec(lab.name, PAIR))
    in_host(mended, "ping", "-c", "1", "-W", "2", mended.node("friend").ipv6)


STAGES = ["state.json", "netns/_bridge", "netns/friend", "ssh/config", "hosts/relay/console.log", "hosts/relay/pid"]


@pytest.mark.parametrize("stage", STAGES)
def test_down_leaves_nothing_of_an_up_that_was_killed_at(name: str, stage: str) -> None:
    traces = _kill_up_at(name, stage)
    take_down(name)
    wait_for(lambda: not traces.left() or None, 10, f"{traces.left()} to go")
    assert rules_left(traces) == []


def test_down_tries_again_when_a_program_of_a_killed_up_comes_into_its_group_late(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = cgroups.make(cgroups.of_lab(name) / "relay")
    real, late = cgroups.kill, []

    def kill(lab: Path) -> None:
        real(lab)
        if not late:
            late.append(subprocess.Popen(["sleep", "600"]))
            (group / "cgroup.procs").write_text(str(late[0].pid))

    monkeypatch.setattr(cgroups, "kill", kill)
    take_down(name)
    assert late[0].wait(10) == -signal.SIGKILL
    assert Traces.of(name).left() == []


def test_where_no_group_of_processes_can_be_made_a_sentence_says_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    group = cgroups.of_lab(name)
    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(UserError, match=r"\(Permission denied\), so the lab cannot run") as caught:
        cgroups.make(group)
    assert "--privileged" in caught.value.fix


@pytest.mark.parametrize("stage", STAGES)
def test_up_finishes_what_an_up_left_that_was_killed_at(name: str, stage: str) -> None:
    _kill_up_at(name, stage)
    with pytest.raises(UserError, match="is not up"):
        Lab.load(name)
    lab = Lab.up(LabSpec(name, PAIR))
    assert [node.state for node in Lab.status(name).nodes] == ["running", "ready"]
    in_host(lab, "ping", "-c", "1", "-W", "2", lab.node("friend").ipv6)
    assert by_ssh(lab, "hostname") == "relay\n"


def _kill_up_at(name: str, stage: str) -> Traces:
    """Kill an up, with no chance to clean up, as soon as it has made that file."""
    with start_up(name) as process:
        reached = state.directory(name) / stage
        wait_for(lambda: reached.exists() or process.poll() is not None, 30, f"up to make {stage}")
        assert process.poll() is None, "up was over before it could be killed"
        process.kill()
    return Traces.of(name)


def test_two_labs_live_side_by_side_and_do_not_reach_each_other(name: str) -> None:
    with a_lab() as other, ThreadPoolExecutor() as pool:
        one = pool.submit(Lab.up, LabSpec(name, PAIR)).result(60)
        assert one.node("relay").ipv4 != other.node("relay").ipv4
        in_host(one, "ping", "-c", "1", "-W", "2", one.node("friend").ipv4)
        for address in (other.node("relay").ipv4, other.node("relay").ipv6):
            with pytest.raises(subprocess.CalledProcessError):
                in_host(one, "ping", "-c", "1", "-W", "2", address)
        other.down()
        assert Lab.status(name).up


def test_two_ups_of_one_lab_at_once_make_one_lab(name: str) -> None:
    with start_up(name) as first, start_up(name) as second:
        assert [first.wait(60), second.wait(60)] == [0, 0]
    supervisors = cgroups.pids(cgroups.of_lab(name) / "relay/supervisor")
    commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in supervisors]
    assert len([command for command in commands if "toolkit.lab.supervisor" in command]) == 1
    assert Lab.status(name).up


def test_many_rounds_of_several_hosts_leave_nothing_behind(name: str) -> None:
    nodes = tuple(NodeSpec(f"host{number}", "host") for number in range(3))
    for _ in range(3):
        Lab.up(LabSpec(name, nodes))
        traces = Traces.of(name)
        take_down(name)
        assert traces.left() == []


@pytest.mark.parametrize("power_cut", [False, True], ids=["in order", "power cut"])
def test_a_reboot_starts_a_new_first_process_on_the_same_files(lab: Lab, power_cut: bool) -> None:
    before = first_process(lab)
    in_host(lab, "touch", MARK, "/run/volatile", VOLATILE)
    in_host(lab, "nft", "add", "table", "inet", "volatile")
    in_host(lab, "ip", "address", "add", "198.51.100.1/32", "dev", "lo")
    by_ssh(lab, "true")  # a shared connection that will not survive
    lab.reboot("relay", power_cut=power_cut)
    assert first_process(lab) != before
    assert in_host(lab, "systemctl", "is-system-running") == "running\n"
    assert by_ssh(lab, f"ls {MARK} /run/volatile {VOLATILE} 2>/dev/null; true") == f"{MARK}\n"
    assert in_host(lab, "nft", "list", "tables") == ""
    assert "198.51.100.1" not in in_host(lab, "ip", "address")
    in_host(lab, "ping", "-c", "1", "-W", "2", lab.node("friend").ipv4)


def test_an_orderly_reboot_stops_services_in_order_and_a_power_cut_does_not(lab: Lab) -> None:
    unit = "[Service]\nExecStart=sleep infinity\nExecStop=touch /root/stopped\n[Install]\nWantedBy=multi-user.target\n"
    in_host(lab, "sh", "-c", f"printf '{unit}' > /etc/systemd/system/witness.service")
    in_host(lab, "systemctl", "enable", "--now", "--quiet", "witness")
    lab.reboot("relay", power_cut=True)
    assert in_host(lab, "systemctl", "is-active", "witness") == "active\n"
    assert in_host(lab, "ls", "/root/stopped", check=False) == ""
    lab.reboot("relay")
    assert in_host(lab, "ls", "/root/stopped") == "/root/stopped\n"


def test_a_host_that_restarts_itself_comes_back(lab: Lab) -> None:
    before = first_process(lab)
    in_host(lab, "systemctl", "reboot", check=False)
    wait_for(lambda: hosts.pid(lab.state, lab.node("relay")) not in {None, before}, 30, "another first process")
    assert hosts.wait(lab.state, lab.node("relay")) == "running"


def test_a_host_that_powers_itself_off_stays_off_until_the_next_up(lab: Lab) -> None:
    in_host(lab, "systemctl", "poweroff", check=False)
    wait_for(lambda: not hosts.is_supervised(lab.state, lab.node("relay")), 30, "the host's supervisor to end")
    assert Lab.status(lab.name).nodes[0].state == "dead"
    with pytest.raises(UserError, match="is not running"):
        lab.inside("relay", ["true"])
    Lab.up(LabSpec(lab.name, PAIR))
    assert Lab.status(lab.name).up


def test_an_interrupt_from_the_keyboard_does_not_reach_the_hosts(name: str) -> None:
    with start_up(name) as process:
        process.wait(60)
    lab = Lab.load(name)
    session = {os.getsid(pid) for pid in cgroups.pids(cgroups.of_lab(name))}
    assert os.getsid(os.getpid()) not in session
    assert Lab.status(lab.name).up


def test_a_strict_umask_of_the_caller_does_not_reach_the_host(name: str) -> None:
    before = os.umask(0o077)
    try:
        lab = Lab.up(LabSpec(name, PAIR[:1]))
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    as_nobody = (
        "runuser",
        "-u",
        "nobody",
        "--",
        "ls",
        "/",
        "/etc/hosts",
        "/sys/fs/cgroup/system.slice",
        "/var/lib/apt",
    )
    in_host(lab, *as_nobody)


def test_a_command_waits_its_turn_and_says_so(lab: Lab) -> None:
    said: list[str] = []
    with state.locked(state.directory(lab.name)):
        thread = threading.Thread(target=Lab.up, args=(LabSpec(lab.name, PAIR), said.append))
        thread.start()
        wait_for(lambda: said, 10, "the second command to say what it waits for")
        assert thread.is_alive()
    thread.join(30)
    assert said == [f"waiting for another command on the lab {lab.name}"]
