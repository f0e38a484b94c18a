"""What the doctor asks on the host, in one go: a program of its own, sent there as text. Prints one JSON object.

It needs root and nothing but Python's standard library, whatever release of the relay is there, and changes nothing.
Each question is asked by itself: one that fails leaves its reason under "problems" and the others their answers.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import pwd
import resource
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

PYTHON = ("/usr/bin/python3", "-I", "-X", "utf8")
PROGRAM = "/opt/netplay-relay/current/netplay-relay.pyz"
CONFIG = Path("/etc/netplay-relay")
UNITS = ("netplay-relay.service", "netplay-relay.socket", "netplay-relay-firewall.service")
PLACES = ("/", "/var/lib/netplay-relay", "/var/log", "/run", "/opt/netplay-relay")
SECONDS = 15
LOG_LINES = 60
# How often the relay is asked while somebody plays, and how many seconds lie between two answers at least.
LOOKS, BETWEEN = 3, 1.0
PROPERTIES = "ActiveState,SubState,Result,NRestarts,MainPID,ExecMainStatus,UnitFileState,NeedDaemonReload,DropInPaths"
# A deployment's account, and that of Void's package.
ACCOUNTS = ("netplay-relay", "_netplay_relay")
AGENT_FILES = (CONFIG / "relay.toml", CONFIG / "friends.toml")
AGENT_FOLDERS = (CONFIG, Path("/var/lib/netplay-relay"))
# Restarts that are more than a bad moment, and seconds after which a relay counts as running well again.
RESTARTS, STEADY = 3, 5.0
# Prints where an account is stopped on its way to each file: a folder, or the file itself; "" where it is not.
STOPPED = """
import json, os, pathlib, sys
def stop(path):
    folders = [one for one in reversed(path.parents) if not os.access(one, os.X_OK)]
    return str(folders[0]) if folders else "" if os.access(path, os.R_OK) else str(path)
print(json.dumps([stop(pathlib.Path(name)) for name in sys.argv[1:]]))
"""


def run(*argv: str, account: pwd.struct_passwd | None = None) -> tuple[int, str, str]:
    """Run a program, bounded, as another account if one is given; return its exit code and what it said."""
    environ = {**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0"}
    who: dict[str, Any] = {}
    if account is not None and os.geteuid() == 0:
        groups = os.getgrouplist(account.pw_name, account.pw_gid)
        who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": groups, "cwd": "/"}
    try:
        done = subprocess.run(
            argv, capture_output=True, encoding="utf-8", errors="replace", timeout=SECONDS, check=False, env=environ,
            stdin=subprocess.DEVNULL, **who,
        )  # fmt: skip
    except FileNotFoundError:
        return 127, "", f"there is no program {argv[0]}"
    except subprocess.TimeoutExpired:
        return 124, "", f"{argv[0]} did not end within {SECONDS} s"
    return done.returncode, done.stdout, done.stderr.strip()


def relay(*arguments: str) -> Any:
    """Ask the relay's own program; raise RuntimeError in its words."""
    _, said, errors = run(*PYTHON, PROGRAM, *arguments)
    try:
        answer = json.loads(said)
    except ValueError:
        lines = (errors or said).splitlines()
        raise RuntimeError(lines[-1].removeprefix("netplay-relay: ") if lines else "it said nothing") from None
    if isinstance(answer, dict) and answer.get("error"):
        error = answer["error"]
        raise RuntimeError(error["message"] if isinstance(error, dict) else error)
    return answer


def missing(why: str) -> None:
    """Raise RuntimeError: what was to be looked at is not there."""
    raise RuntimeError(why)


def system() -> dict[str, Any]:
    """Return what machine this is."""
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        name = ""
    return {"os": name, "kernel": platform.release(), "python": platform.python_version(), "init": init()}


def init() -> str:
    """Return which service manager runs."""
    for path, name in (("/run/systemd/system", "systemd"), ("/run/openrc", "openrc"), ("/run/runit", "runit")):
        if Path(path).exists():
            return name
    return "runit" if Path("/etc/runit/runsvdir").exists() else "unknown"


def services() -> dict[str, Any]:
    """Return the state of our services, as their manager tells it."""
    manager = init()
    if manager == "systemd":
        found = {}
        for unit in UNITS:
            _, said, _ = run("systemctl", "show", unit, "--property=LoadState," + PROPERTIES)
            found[unit] = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        return found
    names = ("netplay-relay", "netplay-relay-firewall")
    ask = {"runit": lambda name: run("sv", "status", name), "openrc": lambda name: run("rc-service", name, "status")}
    if manager not in ask:
        raise RuntimeError("the service manager of this host is not known")
    return {name: dict(zip(("code", "said", "errors"), ask[manager](name), strict=True)) for name in names}


def restarts() -> int:
    """Return how often systemd had to start the relay again by itself; 0 where it does not run."""
    if init() != "systemd":
        return 0
    said = run("systemctl", "show", "--value", "--property=NRestarts", UNITS[0])[1].strip()
    return int(said) if said.isdecimal() else 0


def log() -> list[str]:
    """Return the newest lines of the relay's log and the gate's."""
    if init() == "systemd":
        units = [f"--unit={unit}" for unit in UNITS]
        _, said, _ = run(
            "journalctl", *units, f"--lines={LOG_LINES}", "--no-pager", "--quiet", "--no-hostname", "--output=short-iso"
        )
        return said.splitlines()
    found = []
    for name in ("netplay-relay", "netplay-relay-firewall"):
        for path in (Path("/var/log", name, "current"), Path("/var/log", f"{name}.log")):  # runit's, OpenRC's
            found += path.read_text(errors="replace").splitlines()[-LOG_LINES // 2 :] if path.exists() else []
    return found


def release() -> dict[str, str]:
    """Return which release is installed: the folder that "current" means."""
    return {"installed": Path(os.path.realpath(PROGRAM)).parent.name if Path(PROGRAM).exists() else ""}


def settings() -> dict[str, Any]:
    """Return relay.toml and what the relay's program says of it as the relay's account, which is to read it."""
    path = CONFIG / "relay.toml"
    if not path.exists():
        return {"text": "", "good": False, "said": f"there is no file {path}"}
    code, said, errors = run(*PYTHON, PROGRAM, "check-config", str(path), account=account())
    return {"text": path.read_text(errors="replace"), "good": code == 0, "said": errors or said.strip()}


def account() -> pwd.struct_passwd | None:
    """Return the account that the relay runs as, None where the host has none."""
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def access() -> dict[str, Any]:
    """Return the relay's account, and which files are there and closed to it, or to the firewall agent.

    at: where the way to a file ends, a folder or the file itself; mode, owner, group: of that.
    """
    found = account()
    paths = [path for path in (Path(os.path.realpath(PROGRAM)), CONFIG / "relay.toml", allowlist()) if path.exists()]
    closed = []
    if found is not None:
        _, said, errors = run(sys.executable, "-I", "-c", STOPPED, *map(str, paths), account=found)
        if not said:
            raise RuntimeError(errors)
        stops = json.loads(said)
        closed += [shut("relay", path, Path(at)) for path, at in zip(paths, stops, strict=True) if at]
    if init() == "systemd":
        # Root without its privileges: only what is open to root as to any other account.
        wanted = [*((path, 4) for path in AGENT_FILES), *((path, 7) for path in AGENT_FOLDERS)]
        closed += [shut("agent", path, path) for path, bits in wanted if path.exists() and not open_to_root(path, bits)]
    return {"account": found.pw_name if found else "", "friends": (CONFIG / "friends.toml").exists(), "closed": closed}


def allowlist() -> Path:
    """Return where the relay's allowlist is, by relay.toml where that can be read."""
    try:
        told = tomllib.loads((CONFIG / "relay.toml").read_text(encoding="utf-8-sig"))["gate"]["allowlist"]
    except (OSError, ValueError, KeyError, TypeError):
        return CONFIG / "allowlist"
    return Path(str(told))


def shut(whose: str, path: Path, at: Path) -> dict[str, str]:
    """Return what there is to say of a file that is closed to a program of ours."""
    seen = at.stat()
    owner = str(seen.st_uid)
    with contextlib.suppress(KeyError):
        owner = pwd.getpwuid(seen.st_uid).pw_name
    return {"whose": whose, "path": str(path), "at": str(at), "mode": stat.filemode(seen.st_mode), "owner": owner}


def open_to_root(path: Path, bits: int) -> bool:
    """Tell whether root may do that without its privileges; bits as in a mode: 4 read, 2 write, 1 enter."""
    seen = path.stat()
    granted = seen.st_mode >> (6 if seen.st_uid == 0 else 3 if seen.st_gid == 0 else 0)
    return granted & bits == bits


def clock() -> dict[str, Any]:
    """Return whether the kernel's clock is kept in time by somebody (what adjtimex and timedatectl say)."""
    code, said, _ = run("timedatectl", "show", "--property=NTPSynchronized,NTP,CanNTP")
    if code == 0:
        told = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        return {"synchronized": told.get("NTPSynchronized") == "yes", "by": "timedatectl"}
    return {"synchronized": None, "by": ""}


def disk() -> list[dict[str, Any]]:
    """Return the room left where the relay and the gate write."""
    found: dict[int, dict[str, Any]] = {}
    for place in PLACES:
        if Path(place).exists():
            stat = os.statvfs(place)
            space = {"free": stat.f_bavail * stat.f_frsize, "total": stat.f_blocks * stat.f_frsize}
            files = {"files_free": stat.f_favail, "files_total": stat.f_files}
            found.setdefault(Path(place).stat().st_dev, {"path": place, **space, **files})
    return [*found.values()]


def files(process: int) -> dict[str, Any]:
    """Return how many files the relay's process may have open, and has."""
    if not process:
        raise RuntimeError("the relay does not run")
    soft, hard = resource.prlimit(process, resource.RLIMIT_NOFILE)
    return {"soft": soft, "hard": hard, "open": len([*Path(f"/proc/{process}/fd").iterdir()])}


def listening(ports: list[int]) -> list[dict[str, Any]]:
    """Return who listens on the ports by TCP, as ss tells it."""
    code, said, errors = run("ss", "-Hltnp")
    if code != 0:
        raise RuntimeError(errors or "ss failed")
    found = []
    for line in said.splitlines():
        fields = line.split()
        address, _, port = fields[3].rpartition(":") if len(fields) > 3 else ("", "", "")
        if port.isdigit() and int(port) in ports:
            who = fields[5] if len(fields) > 5 else ""
            found.append({"address": address, "port": int(port), "who": who, "unit": unit_of(who)})
    return found


def unit_of(who: str) -> str:
    """Return the systemd service of the first process that ss names, "" where it is in none."""
    pid = who.partition("pid=")[2].partition(",")[0]
    try:
        path = Path(f"/proc/{int(pid)}/cgroup").read_text(encoding="utf-8").strip().rpartition("/")[2]
    except (OSError, ValueError):
        return ""
    return path if path.endswith(".service") else ""


def plays(state: dict[str, Any]) -> bool:
    """Tell whether anybody has joined a game."""
    rooms = [*state.get("sessions", []), *state.get("tables", [])]
    return any(room.get("clients") or room.get("players") for room in rooms)


def main(ports: list[int]) -> None:
    """Ask everything and print the answers."""
    came_from = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
    answers: dict[str, Any] = {"time": time.time(), "uid": os.getuid(), "came_from": came_from, "problems": {}}

    def ask(name: str, question: Callable[[], Any]) -> Any:
        try:
            answers[name] = question()
        except Exception as error:  # whatever it is, the other questions are still to be asked
            answers[name], answers["problems"][name] = None, f"{error}" or type(error).__name__
        return answers[name]

    ask("system", system)
    state = ask("relay", lambda: relay("status", "--json"))
    if state and state["age"] < STEADY and restarts() >= RESTARTS:
        # Does it stay this time?
        time.sleep(STEADY - state["age"])
        state = ask("relay", lambda: relay("status", "--json"))
    begun = time.monotonic()
    ask("gate", lambda: relay("gate", "status", "--json"))
    survey = ask("survey", lambda: relay("gate", "survey", "--json"))
    ask("firewalls", lambda: survey["firewalls"] if survey else missing(answers["problems"]["survey"]))
    for name, question in (
        ("services", services), ("log", log), ("release", release), ("settings", settings), ("access", access),
        ("clock", clock),
        ("disk", disk), ("files", lambda: files(state["pid"] if state else 0)), ("listening", lambda: listening(ports)),
    ):  # fmt: skip
        ask(name, question)
    answers["earlier"] = []
    while state and plays(state) and len(answers["earlier"]) < LOOKS - 1:
        # How fast a game runs takes more than one look.
        time.sleep(max(0.0, begun + BETWEEN * (len(answers["earlier"]) + 1) - time.monotonic()))
        answers["earlier"].append(state)
        state = ask("relay", lambda: relay("status", "--json"))
    print(json.dumps(answers))  # noqa: T201 - the answer


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]])
