"""invoke doctor, status and watch by the owner of a real host: each trouble is made on it, seen, and taken back."""

from __future__ import annotations

import dataclasses
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import home
from tests.support.child import Child
from tests.support.gate_lab import GateLab, a_gate_lab
from tests.support.role_host import PORT
from tests.support.waiting import wait_for
from toolkit.console import ROOT
from toolkit.doctor import bundle, findings, gather, target
from toolkit.doctor.case import Case
from toolkit.doctor.finding import Finding, Severity
from toolkit.errors import TROUBLE_FOUND, WARNINGS_FOUND, UserError
from toolkit.hosts import session as visiting
from toolkit.status import show

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

SOON = 30.0
GAME = """
import asyncio, struct, sys
sys.path.insert(0, sys.argv[3])
from tests.support.fakes import playing

async def play():
    async with playing(sys.argv[1], int(sys.argv[2])) as (host, link, client):
        command = lambda number, body=b"": struct.pack(">II", number, len(body)) + body
        info = b"Nestopia".ljust(32, b"\\0") + b"1.52".ljust(32, b"\\0")
        await link.send(struct.pack(">4s5I", b"RANP", 0x40008, 1, 0, 6, 0x469))
        await client.send(command(0x20, b"Wombat".ljust(32, b"\\0")))
        await link.send(command(0x20, b"Quetzal".ljust(32, b"\\0")) + command(0x22, struct.pack(">I", 1) + info))
        await client.send(command(0x22, struct.pack(">I", 2) + info) + command(0x41))
        print("plays", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(play())
"""


# Does what the relay's program does, but refuses to take over.
REFUSES = """
import runpy, sys
if "self-check" in sys.argv:
    sys.exit("not me")
runpy.run_path("{}/netplay-relay.pyz", run_name="__main__")
"""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GateLab]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("owner")))
        with a_gate_lab(tmp_path_factory.mktemp("gate")) as lab:
            yield lab


def looked_at(lab: GateLab, **more: Any) -> Case:
    """Look at the host over ssh, as the doctor does; not at the network, which is what test_doctor_home.py is for."""
    with visiting.open_session(lab.place) as remote:
        aim = target.of_place(lab.place, remote.link)
        case = Case(aim, [aim.address])
        gather._inside(case, remote, more.get("clock", time.time))
    return case


def found(lab: GateLab, name: str, **more: Any) -> list[Finding]:
    """Return what one finding says of the host now; nothing may be left unjudged."""
    told = [finding for finding in findings.every(looked_at(lab, **more)) if finding.name == name]
    assert not [finding for finding in told if "could not be judged" in finding.sentence], told
    return told


def bad(lab: GateLab, name: str, **more: Any) -> Finding:
    """Return the worst of what one finding says; it must say what to do."""
    worst = max(found(lab, name, **more), key=lambda finding: finding.severity)
    assert worst.cure, worst
    return worst


def test_a_host_as_it_was_deployed_is_well(deployed: GateLab) -> None:
    told = list(findings.every(looked_at(deployed)))
    assert {finding.severity for finding in told} <= {Severity.FINE, Severity.NOTE}, told
    fine = {finding.name for finding in told if finding.severity is Severity.FINE}
    assert fine >= {"login", "service", "listening", "ruleset", "firewalls", "disk", "files", "settings", "versions"}


def test_a_way_in_that_is_shut_leaves_what_can_be_seen_from_outside(deployed: GateLab, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(f"Host {deployed.place.host.alias}\n  Port 9\n\n{deployed.lab.ssh_config.read_text()}")
    config.chmod(0o600)
    place = dataclasses.replace(deployed.place, ssh_config=config)
    told = {one.name: one for one in findings.every(looked_at(dataclasses.replace(deployed, place=place)))}
    assert told["login"].severity is Severity.TROUBLE
    assert "nothing answers on its ssh port" in told["login"].sentence
    assert "could not be judged" not in str(told)


def test_a_relay_that_was_stopped_is_told(deployed: GateLab) -> None:
    deployed.host.run("systemctl", "stop", "netplay-relay.socket", "netplay-relay.service")
    try:
        told = {finding.name: finding for finding in findings.every(looked_at(deployed))}
        assert "nobody listens" in told["listening"].sentence
        services = found(deployed, "service")
        sentences = [finding.sentence for finding in services]
        assert sentences[:2] == [
            "nobody holds the relay's port: it is stopped",
            "the relay does not run: it is stopped",
        ]
        assert any("does not answer" in sentence for sentence in sentences)
        with pytest.raises(UserError, match=r"no socket|no answer"):
            show.fetch(deployed.place)
        look = show.look(deployed.place)
        assert (look.relay, bool(look.gate)) == (None, True)
        for finding in services[:2]:
            subprocess.run(shlex.split(finding.cure), check=True, timeout=60)
        assert [finding.severity for finding in found(deployed, "service")] == [Severity.FINE]
    finally:
        deployed.host.run("systemctl", "start", "netplay-relay.socket", "netplay-relay.service")


def test_a_port_that_another_program_holds_is_told_with_its_name(deployed: GateLab) -> None:
    deployed.host.run("systemctl", "stop", "netplay-relay.socket", "netplay-relay.service")
    deployed.host.run("systemd-run", "--unit=squatter", "python3", "-m", "http.server", str(PORT))
    try:
        listens = f"ss -Hltn sport = :{PORT}".split()
        wait_for(lambda: deployed.host.run(*listens), SOON, "the squatter")
        worst = bad(deployed, "listening")
        assert worst.severity is Severity.TROUBLE
        assert "held by another program" in worst.sentence
        assert "python3" in worst.evidence
    finally:
        deployed.host.run("systemctl", "stop", "squatter")
        deployed.host.run("systemctl", "start", "netplay-relay.socket", "netplay-relay.service")


def test_a_wall_that_fell_with_nobody_to_put_it_back_is_told(deployed: GateLab) -> None:
    deployed.host.run("systemctl", "stop", "netplay-relay-firewall")
    deployed.host.run("nft", "delete", "table", "inet", "netplay")
    try:
        told = found(deployed, "ruleset")
        assert "the firewall rules are not loaded" in told[0].sentence
        assert any("firewall agent is not running" in finding.sentence for finding in told)
        # The relay's own list still keeps strangers out, and tells them so.
        relay = deployed.lab.node("relay").ipv4
        argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "doctor", "--json", f"--relay={relay}"]
        code, seen = home.findings(deployed.lab.command("stranger", argv), deployed.host.folder)
        assert code == TROUBLE_FOUND
        assert "your address is not on its list" in seen["protocol"][0]["sentence"]
        assert "invoke friends.add NAME --ip ADDRESS" in seen["protocol"][0]["cure"]
    finally:
        deployed.host.run("systemctl", "start", "netplay-relay-firewall")


def test_a_wall_that_lacks_a_friend_is_told_with_the_address(deployed: GateLab) -> None:
    friend = deployed.lab.node("friend").ipv4
    deployed.host.run("systemctl", "stop", "netplay-relay-firewall")
    try:
        rules = deployed.host.run("nft", "list", "table", "inet", "netplay")
        name = next(line.split()[1] for line in rules.splitlines() if line.strip().startswith("set ") and "4" in line)
        deployed.host.run("nft", "delete", "element", "inet", "netplay", name, "{", friend, "}")
        worst = bad(deployed, "ruleset")
        assert worst.severity is Severity.TROUBLE
        assert friend in worst.evidence
    finally:
        deployed.host.run("systemctl", "start", "netplay-relay-firewall")


def test_another_firewall_that_drops_the_port_is_told_with_what_opens_it(deployed: GateLab) -> None:
    # The agent would open the port there: whoever comes later than a deployment, and while it rests, is not opened.
    deployed.host.run("systemctl", "stop", "netplay-relay-firewall")
    deployed.host.run("nft", "add table inet office")
    deployed.host.run("nft", "add chain inet office input { type filter hook input priority 0; policy drop; }")
    deployed.host.run("nft", "add rule inet office input tcp dport 22 accept")
    deployed.host.run("nft", "add rule inet office input ct state established accept")
    deployed.host.run("nft", "add rule inet office input meta l4proto icmpv6 accept")
    try:
        worst = bad(deployed, "firewalls")
        assert worst.severity is Severity.TROUBLE
        assert "table inet office, chain input" in worst.sentence
        assert "nft insert rule inet office input" in worst.cure
    finally:
        deployed.host.run("nft", "delete table inet office")
        deployed.host.run("systemctl", "start", "netplay-relay-firewall")


@pytest.mark.parametrize(("apart", "words"), [(-330.0, "5 min ahead of"), (330.0, "5 min behind")])
def test_clocks_that_differ_are_told(deployed: GateLab, apart: float, words: str) -> None:
    """A stand-in: nobody sets a clock here, this machine's own is read wrong instead."""
    worst = bad(deployed, "clock", clock=lambda: time.time() + apart)
    assert worst.severity is Severity.WARNING
    assert words in worst.sentence


def test_a_full_disk_is_told(deployed: GateLab) -> None:
    deployed.host.run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/var/log")
    try:
        worst = bad(deployed, "disk")
        assert worst.severity is Severity.TROUBLE
        assert "the host's disk at /var/log is full" in worst.sentence
    finally:
        deployed.host.run("umount", "/var/log")


def test_a_disk_with_little_room_is_told(deployed: GateLab) -> None:
    deployed.host.run("mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", "/var/log")
    try:
        deployed.host.run("fallocate", "-l", "395M", "/var/log/much")
        assert "nearly full" in bad(deployed, "disk").sentence
    finally:
        deployed.host.run("umount", "/var/log")


@pytest.mark.parametrize(("files", "severity"), [(512, Severity.WARNING), (24, Severity.TROUBLE)])
def test_a_limit_of_open_files_is_told(deployed: GateLab, files: int, severity: Severity) -> None:
    pid = deployed.host.property("netplay-relay.service", "MainPID")
    before = deployed.host.run("prlimit", "--pid", pid, "--nofile", "--noheadings", "--output", "SOFT,HARD").split()
    deployed.host.run("prlimit", "--pid", pid, f"--nofile={files}:{before[1]}")
    try:
        worst = bad(deployed, "files")
        assert worst.severity is severity
        assert f"{files} allowed" in worst.evidence
    finally:
        deployed.host.run("prlimit", "--pid", pid, f"--nofile={before[0]}:{before[1]}")


def test_settings_that_differ_and_settings_with_a_mistake_are_told(deployed: GateLab) -> None:
    path = "/etc/netplay-relay/relay.toml"
    deployed.host.run("cp", "-p", path, "/root/kept")
    try:
        deployed.host.run("sh", "-c", f"echo '# mine' >> {path}")
        assert "is not what the host has" in bad(deployed, "settings").sentence
        deployed.host.run("sh", "-c", f"echo 'porrt = 1' >> {path}")
        worst = bad(deployed, "settings")
        assert worst.severity is Severity.TROUBLE
        assert "porrt" in worst.evidence
    finally:
        deployed.host.run("cp", "-p", "/root/kept", path)


def test_friends_that_were_written_and_not_pushed_are_told(deployed: GateLab) -> None:
    kept = deployed.friends_file.read_text()
    deployed.friends_file.write_text(kept + '\n[[friend]]\nname = "late"\nip = "198.51.100.77"\n')
    try:
        worst = bad(deployed, "settings")
        assert "198.51.100.77" in worst.evidence
        assert "invoke friends.push" in worst.cure
    finally:
        deployed.friends_file.write_text(kept)


def test_a_release_that_refuses_to_start_is_told_with_the_line_of_the_log(deployed: GateLab) -> None:
    current = deployed.host.run("readlink", "-f", "/opt/netplay-relay/current").strip()
    broken = f"{current.rpartition('/')[0]}/00000000badbad00"
    deployed.host.run("mkdir", "-p", broken)
    deployed.host.run("sh", "-c", f"cat > {broken}/netplay-relay.pyz <<'END'\n{REFUSES.format(current)}END\n")
    deployed.host.run("ln", "-sfn", broken, "/opt/netplay-relay/current")
    try:
        deployed.host.run("systemctl", "kill", "--signal=HUP", "--kill-who=main", "netplay-relay.service")
        log = ["journalctl", "--unit=netplay-relay.service", "--lines=20", "--quiet"]
        wait_for(lambda: "not fit" in deployed.host.run(*log), SOON, "the refusal in the log")
        told = {finding.name: finding for finding in findings.every(looked_at(deployed))}
        assert "is not the one that is installed" in told["versions"].sentence
        assert told["log"].severity is Severity.WARNING
        assert "the new program is not fit" in told["log"].evidence
    finally:
        deployed.host.run("ln", "-sfn", current, "/opt/netplay-relay/current")
        deployed.host.run("rm", "-r", broken)


@contextmanager
def a_game(lab: GateLab) -> Iterator[None]:
    """Let a host and a client play in which a desync was seen: fakes, over the lab's network."""
    relay = lab.lab.node("relay").ipv4
    argv = lab.lab.command("friend", [sys.executable, "-c", GAME, relay, str(PORT), str(ROOT)])
    with Child(argv, log=lab.host.folder / "game.log", cwd=ROOT) as game:
        assert game.line(within=SOON) == "plays"
        yield


def test_a_game_that_went_wrong_is_told_while_it_is_played_and_leaves_no_name_in_a_bundle(deployed: GateLab) -> None:
    with a_game(deployed):
        wait_for(lambda: bool(found(deployed, "players")), SOON, "the players")
        worst = bad(deployed, "players")
        assert "Wombat plays now, and once the games differed" in worst.sentence
        assert "not the same content (00000001 there, 00000002 here)" in worst.sentence
        state = show.fetch(deployed.place)
        session = state["sessions"][0]["id"]
        case = looked_at(deployed)
        text = bundle.text(case, list(findings.every(case)))
    nodes = [deployed.lab.node(name) for name in ("relay", "player", "friend", "stranger")]
    secrets = ["Wombat", "Quetzal", session, deployed.place.host.alias, *(node.ipv4 for node in nodes)]
    for secret in [*secrets, *(node.ipv6 for node in nodes)]:
        assert secret not in text, secret
    for word in ("## Findings", "player-1", "netplay-relay.service", "## The log's last lines", "listen"):
        assert word in text


def test_an_old_retroarch_and_an_old_invitation_are_told(deployed: GateLab) -> None:
    """The client is a stand-in that sends what RetroArch 1.9.0 sends."""
    script = (
        "import socket,sys; from relay.netplay.releases import implementation as word;"
        "s=socket.create_connection((sys.argv[1],int(sys.argv[2])),10);"
        "s.sendall(b'RATS'+b'nobody here!'+b'RANP'+bytes(16)+word('1.9.0',5).to_bytes(4,'big'));s.recv(1)"
    )
    argv = [sys.executable, "-c", script, deployed.lab.node("relay").ipv4, str(PORT)]
    subprocess.run(deployed.lab.command("friend", argv), check=True, timeout=60, cwd=ROOT)
    told = {finding.name: finding for finding in findings.every(looked_at(deployed))}
    assert "RetroArch 1.9 or older" in told["oldclients"].sentence
    assert "1.9.0" in told["oldclients"].evidence
    endings = [finding.sentence for finding in found(deployed, "outcomes")]
    assert any("no-session" in sentence for sentence in endings)


def invoke(lab: GateLab, task: str, *words: str) -> list[str]:
    """Return the command line of a task about the lab's relay."""
    alias, config = lab.place.host.alias, str(lab.lab.ssh_config)
    return [
        sys.executable, "-m", "invoke", "--search-root", str(ROOT), task, f"--host={alias}", f"--ssh-config={config}",
        *words,
    ]  # fmt: skip


def test_the_doctor_ends_with_a_code_and_writes_a_bundle(deployed: GateLab, tmp_path: Path) -> None:
    file = tmp_path / "doctor.md"
    environment = {**os.environ, "COLUMNS": "40", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        invoke(deployed, "doctor", f"--bundle={file}"), capture_output=True, text=True, timeout=120, env=environment,
        check=False,
    )  # fmt: skip
    assert done.returncode in (0, WARNINGS_FOUND), done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    assert "the firewall rules are loaded" in done.stdout
    assert deployed.lab.node("relay").ipv4 not in file.read_text()


def test_watch_survives_a_dropped_connection_and_a_restart_and_ends_with_ctrl_c(
    deployed: GateLab, tmp_path: Path
) -> None:
    log = tmp_path / "watch.log"
    argv = invoke(deployed, "watch")
    with log.open("w") as out, subprocess.Popen(argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL) as watch:
        try:

            def logged(words: str) -> None:
                wait_for(lambda: words in log.read_text() or watch.poll() is not None, SOON, f"{words!r} in watch")
                assert words in log.read_text()

            def follower() -> str:
                """Return the relay's program over there: it ends with the login that started it."""
                return deployed.host.run("sh", "-c", "pgrep -f '[s]tatus --follow' || true").split("\n")[0]

            logged("connections")
            with a_game(deployed):
                logged("Wombat")
                logged("1 desync")
            logged("is over")
            logged("not the same content")
            parent = deployed.host.run("ps", "-o", "ppid=", "-p", follower()).strip()
            deployed.host.run("kill", "-9", parent)
            logged("the connection to")
            logged(f"connected to {deployed.place.host.alias} again")
            deployed.host.run("systemctl", "restart", "netplay-relay.service")
            logged("the relay answers again")
        finally:
            watch.send_signal(signal.SIGINT)
            code = watch.wait(SOON)
    assert code == 0, log.read_text()
    assert "Traceback" not in log.read_text()
    assert "\x1b" not in log.read_text()
    wait_for(lambda: not follower(), SOON, "the program over there to end")
