"""What the benchmark needs on this machine, and what to type when it is not there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from toolkit.errors import UserError

SOURCES = Path(__file__).parent / "c"
PROGRAMS = ("generator", "reference")
SYSTEM_PYTHON = "/usr/bin/python3"
OLDEST_PYTHON = (3, 11)


def haproxy() -> str:
    """Return the path of haproxy. Raises UserError with the command that installs it."""
    # Debian puts it where the PATH of an ordinary account does not lead.
    found = shutil.which("haproxy", path=os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin")
    if found is None:
        raise UserError(
            "haproxy is not installed, and the benchmark measures against it",
            fix="sudo apt-get install --no-install-recommends haproxy\n"
            "sudo systemctl disable --now haproxy   (its service is not needed)",
        )
    return found


def compiler() -> str:
    """Return the path of a C compiler. Raises UserError with the command that installs one."""
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None:
        raise UserError(
            "there is no C compiler, and the load generator is a C program",
            fix="sudo apt-get install --no-install-recommends gcc libc6-dev",
        )
    return found


def compile_programs(folder: Path) -> None:
    """Compile the load generator and the reference relay into folder. Raises UserError with what the compiler says."""
    for name in PROGRAMS:
        argv = [compiler(), "-O2", "-std=gnu11", "-Wall", "-o", str(folder / name), str(SOURCES / f"{name}.c")]
        done = subprocess.run(argv, capture_output=True, encoding="utf-8", errors="replace", check=False)
        if done.returncode:
            raise UserError(
                f"cannot compile {name}.c: {done.stderr.strip()}",
                fix="If a header is missing: sudo apt-get install --no-install-recommends libc6-dev linux-libc-dev",
            )


def cores() -> tuple[int, int]:
    """Return the core for the relays and the one for the load generator. Raises UserError when there is one only."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise UserError(
            "the benchmark needs two cores, one for the relay and one for the load",
            fix="Run it on a machine with two, or allow this shell a second one: taskset -p",
        )
    return usable[0], usable[1]


def python(wanted: str = "") -> str:
    """Return the Python the relay is measured with: wanted, the system's (as deployed), or the one running this."""
    candidates = [wanted] if wanted else [SYSTEM_PYTHON, sys.executable]
    for candidate in candidates:
        if (version := _version(candidate)) and version >= OLDEST_PYTHON:
            return candidate
    raise UserError(f"--python {wanted}: not a Python of 3.11 or later", fix=f"invoke bench --python {sys.executable}")


def _version(candidate: str) -> tuple[int, ...] | None:
    argv = [candidate, "-I", "-c", "import sys; print(*sys.version_info[:3])"]
    try:
        done = subprocess.run(argv, capture_output=True, encoding="utf-8", errors="replace", check=True, timeout=30)
        return tuple(int(word) for word in done.stdout.split())
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def describe(haproxy_path: str, python_path: str) -> dict[str, str]:
    """Return the machine in general words: nothing that names it."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    said = subprocess.run(
        [haproxy_path, "-v"], capture_output=True, encoding="utf-8", errors="replace", check=False
    ).stdout.split()
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "virtual": "yes" if " hypervisor " in Path("/proc/cpuinfo").read_text(encoding="utf-8") else "no",
        "congestion": Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text(encoding="ascii").strip(),
        "kernel": ".".join(os.uname().release.split(".")[:2]),
        "python": ".".join(str(part) for part in _version(python_path) or ()),
        "haproxy": said[2].partition("-")[0] if len(said) > 2 else "unknown",
    }
