"""The hosts of a lab: what is written into a host before its first boot, starting, waiting, looking inside."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.lab import cgroups, inits
from toolkit.lab.programs import DROPPED, ENTER, run, search_path
from toolkit.lab.spec import name_option

if TYPE_CHECKING:
    from toolkit.lab.state import Node, State

BOOT_BOUND: Final = 60.0
"""Seconds a host may take to boot; it takes about one."""
ANSWER_BOUND: Final = 10.0
"""Seconds a host that runs may take to answer."""
_ENVIRONMENT: Final = (
    "HOME=/root",
    "LANG=C.UTF-8",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TERM=linux",
)


def group(state: State, node: Node) -> Path:
    """Return the host's group: `supervisor` and `host` are below it."""
    return cgroups.of_lab(state.name) / node.name


def pid(state: State, node: Node) -> int | None:
    """Return the number of the host's PID 1 as this machine counts, or None when it does not run."""
    try:
        number = int((state.host_directory(node.name) / "pid").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return number if cgroups.holds(group(state, node) / "host", number) else None


def seed(state: State, node: Node, public_key: str) -> str:
    """Write what makes the host itself into its own layer; return its ssh host key's public half.

    Nothing is done again for a host that has booted before: its file system is its own from then on.
    """
    upper = state.host_directory(node.name) / "upper"
    host_key = upper / "etc/ssh/ssh_host_ed25519_key"
    public_half = host_key.with_suffix(".pub")
    if not (upper / "etc/machine-id").exists():
        for directory, mode in (
            (".", 0o755),
            ("etc", 0o755),
            ("etc/ssh", 0o755),
            ("root", 0o700),
            ("root/.ssh", 0o700),
        ):
            (upper / directory).mkdir(mode=mode, parents=True, exist_ok=True)
            (upper / directory).chmod(mode)
        host_key.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"root@{node.name}", "-f", str(host_key)])
        _write(upper / "root/.ssh/authorized_keys", public_key, 0o600)
        _write(upper / "etc/hostname", f"{node.name}\n")
        _write(upper / "etc/resolv.conf", "# A lab host has no name server: /etc/hosts names the lab's nodes.\n")
        _write(upper / "etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")
        # Last: it says that the rest is there. Were it missing at boot, systemd would take the boot for the first
        # one and enable every service that its presets allow, nftables among them.
        _write(upper / "etc/machine-id", f"{uuid.uuid4().hex}\n")
    return public_half.read_text()


def introduce(state: State, node: Node) -> None:
    """Add the nodes of the lab that the host's /etc/hosts does not name yet."""
    number = pid(state, node)
    root = Path(f"/proc/{number}/root") if number else state.host_directory(node.name) / "upper"
    hosts = root / "etc/hosts"
    text = hosts.read_text() if hosts.exists() else ""
    wanted = [f"{address} {other.name}" for other in state.nodes for address in (other.ipv4, other.ipv6)]
    missing = [line for line in wanted if line not in text.splitlines()]
    if missing:
        _write(hosts, text + "".join(f"{line}\n" for line in missing))


def start(state: State, node: Node) -> None:
    """Start the host's supervisor, which boots it; whatever was left of the host before is ended first."""
    own = group(state, node)
    cgroups.kill(own)
    for name in ("supervisor", "host"):
        cgroups.make(own / name)
    argv = [
        *("sh", str(ENTER), "detach", str(own / "supervisor"), sys.executable, "-B", "-m", "toolkit.lab.supervisor"),
        *(state.name, node.name, node.lower, str(own / "host")),
    ]
    with (state.host_directory(node.name) / "console.log").open("a") as log:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=False,
            cwd=Path(__file__).parents[2],
            env={"PATH": search_path(), "LC_ALL": "C"},
        )
    if done.returncode:
        _give_up_at(0, state, node, "its supervisor did not start")


def wait(state: State, node: Node, bound: float = BOOT_BOUND, *, besides: int | None = None) -> str:
    """Wait until the host has booted and sshd answers on both addresses.

    Returns the init's word for the host's state ("running", "degraded"). `besides` is a PID 1 that is on its way out
    and does not count. Raises UserError when `bound` seconds are over or the host died.
    """
    deadline = time.monotonic() + bound
    number = _wait_for_init(state, node, deadline, besides)
    init = inits.of(node.rootfs)
    # systemd waits by itself, but not when it is too young to be asked.
    question = [*inside(number), *init.state, *(["--wait"] if init.name == "systemd" else [])]
    while True:
        word = run(question, check=False, timeout=max(1.0, deadline - time.monotonic())).strip()
        if word in {"running", "degraded"}:
            break
        _give_up_at(deadline, state, node, f"{init.name} says {word or 'nothing'}")
    for address in (node.ipv4, node.ipv6):
        while not sshd_answers(address):
            _give_up_at(deadline, state, node, f"sshd does not answer at {address}")
    return word


def inside(number: int) -> list[str]:
    """Return the start of a command line whose rest runs inside the host with that PID 1, as its root.

    With the host's rights and no more: entering namespaces takes none of this machine's away.
    """
    enter = ["nsenter", f"--target={number}", "--all", "--root", "--wd", "--"]
    return [*enter, "setpriv", f"--bounding-set={DROPPED}", "--", "env", "-i", *_ENVIRONMENT]


def kill(state: State, node: Node) -> None:
    """End everything that the host runs, as a power cut does."""
    cgroups.kill(group(state, node))


def is_supervised(state: State, node: Node) -> bool:
    """Tell whether somebody is there to boot the host again when it restarts."""
    return bool(cgroups.pids(group(state, node) / "supervisor"))


def _wait_for_init(state: State, node: Node, deadline: float, besides: int | None) -> int:
    """Wait for a PID 1 that takes orders; return its number."""
    init = inits.of(node.rootfs)
    while True:
        number = pid(state, node)
        if number and number != besides and Path(f"/proc/{number}/root", init.marker).exists():
            return number
        if number is None and not is_supervised(state, node):
            _give_up_at(0, state, node, "it died")
        _give_up_at(deadline, state, node, f"{init.name} does not answer")


def sshd_answers(address: str) -> bool:
    """Tell whether something says that it speaks ssh at the address."""
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            return connection.recv(8).startswith(b"SSH-2.0")
    except OSError:
        return False


def _give_up_at(deadline: float, state: State, node: Node, what: str) -> None:
    """Pause for a moment; past the deadline raise UserError with the end of the host's console."""
    if time.monotonic() < deadline:
        time.sleep(0.01)
        return
    log = state.host_directory(node.name) / "console.log"
    lines = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
    raise UserError(
        f"the host {node.name} of the lab {state.name} did not come up: {what}",
        fix="\n".join(
            [
                *(f"its console: {line}" for line in lines),
                f"Start over: invoke lab.down{name_option(state.name)}, then invoke lab.up{name_option(state.name)}",
            ]
        ),
        exit_code=HOST_UNUSABLE,
    )


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
