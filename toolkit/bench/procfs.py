"""What the kernel says about a process: CPU time, time spent waiting for a core, memory. All from /proc."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

KB = 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """Nanoseconds a process has run, and was kept waiting for a core by others. Subtract two to get a window's."""

    ran: int
    waited: int

    def __sub__(self, earlier: Usage) -> Usage:
        """Return what was used since."""
        return Usage(self.ran - earlier.ran, self.waited - earlier.waited)


NOTHING = Usage(0, 0)


def usage(pid: int) -> Usage:
    """Return what all threads of a process have used. Raises OSError when it is gone."""
    total = [0, 0]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        ran, waited = parse_schedstat((thread / "schedstat").read_text(encoding="ascii"))
        total[0] += ran
        total[1] += waited
    return Usage(*total)


def parse_schedstat(text: str) -> tuple[int, int]:
    """Return nanoseconds run and waited, from a schedstat file."""
    ran, waited, _slices = text.split()
    return int(ran), int(waited)


def memory_kb(pid: int) -> int:
    """Return the resident memory of a process. Raises OSError when it is gone."""
    return parse_status(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"), "VmRSS")


def peak_kb(pid: int) -> int:
    """Return the most resident memory a process has had since its start, or since `forget_peak`."""
    return parse_status(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"), "VmHWM")


def forget_peak(pid: int) -> None:
    """Let the peak begin again at what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def parse_status(text: str, field: str) -> int:
    """Return a field of /proc/PID/status that is given in kB. Raises KeyError when it is not there."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    raise KeyError(field)


def listening_ports(text: str) -> set[int]:
    """Return the TCP ports that are listened on, from the text of /proc/net/tcp."""
    ports = set()
    for line in text.splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if state == "0A":
            ports.add(int(local.rpartition(":")[2], 16))
    return ports


def kernel_tcp_kb(text: str) -> int:
    """Return how much memory the kernel holds for TCP sockets, from the text of /proc/net/sockstat."""
    for line in text.splitlines():
        if line.startswith("TCP:"):
            words = line.split()
            return int(words[words.index("mem") + 1]) * 4096 // KB
    raise KeyError("TCP")
