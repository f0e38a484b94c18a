"""Runs one RetroArch and speaks UDP with it, inside whatever network namespace this program was started in.

A program of its own (standard library alone). It reads one JSON request a line and answers each with one JSON line;
when its input ends, it ends RetroArch and itself, so that a test that was killed leaves nothing behind.

    {"do": "ports", "kinds": ["udp", "tcp"]}               -> {"ports": [n, n]}, free at this moment, all different
    {"do": "start", "argv", "env", "cwd", "log"}           -> {"pid": n}
    {"do": "ask", "port": n, "text": "...", "within": s}   -> {"answer": "..." or null}
    {"do": "ask_all", "port": n, "texts": [...], "within": s} -> {"answers": ["...", ...] or null}
    {"do": "send", "port": n, "hex": "..."}                -> {} or {"error": "..."}
    {"do": "state"}                                        -> {"code": exit code, or null while it runs}
    {"do": "stop"}                                         -> {"code": exit code}
"""

import ctypes
import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
STOP_WITHIN = 3.0
KINDS = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}


def die_with_the_agent() -> None:
    """Have the kernel kill RetroArch when the agent is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_ports(kinds: list[str]) -> list[int]:
    """Return a free port for each kind; all are held until the last is chosen, so no two are alike."""
    held = [socket.socket(socket.AF_INET, KINDS[kind]) for kind in kinds]
    try:
        for one in held:
            one.bind(("0.0.0.0", 0))  # noqa: S104 - RetroArch binds to every address, so every address must be free
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


class Agent:
    """The one RetroArch of this program, and the socket that it is spoken to with."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        # One socket for each of its ports: a connected one learns at once that nobody listens (yet, or any more).
        self.sockets: dict[int, socket.socket] = {}
        self.owed: Counter[int] = Counter()  # answers that are still to come, by port

    def ports(self, kinds: list[str]) -> dict[str, Any]:
        """Choose free ports."""
        return {"ports": free_ports(kinds)}

    def start(self, argv: list[str], env: dict[str, str], cwd: str, log: str) -> dict[str, Any]:
        """Start RetroArch; all that it prints goes to the file ``log``."""
        with Path(log).open("wb") as output:
            self.process = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_the_agent,
            )
        return {"pid": self.process.pid}

    def ask(self, port: int, text: str, within: float) -> dict[str, Any]:
        """Send a command and return its answer, or null."""
        answers = self.ask_all(port, [text], within)["answers"]
        return {"answer": answers[0] if answers else None}

    def ask_all(self, port: int, texts: list[str], within: float) -> dict[str, Any]:
        """Send commands and return their answers, or null when one does not come.

        RetroArch answers in order, and late when it was busy: answers to requests that were given up are skipped.
        """
        answers: list[str] = []
        try:
            for text in texts:
                self.send(port, text.encode().hex())
                self.owed[port] += 1
            end = time.monotonic() + within
            while (left := end - time.monotonic()) > 0:
                self.sockets[port].settimeout(left)
                answer = self.sockets[port].recv(65536)
                self.owed[port] -= 1
                if self.owed[port] < len(texts):
                    answers.append(answer.decode())
                if not self.owed[port]:
                    return {"answers": answers}
        except TimeoutError:
            pass
        except ConnectionRefusedError:  # nobody listens: what was sent is lost
            self.owed[port] = 0
        return {"answers": None}

    def send(self, port: int, hex: str) -> dict[str, Any]:  # noqa: A002 - the request's own word
        """Send one datagram. Raises ConnectionRefusedError when an earlier one found nobody."""
        if port not in self.sockets:
            self.sockets[port] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sockets[port].connect(("127.0.0.1", port))
        self.sockets[port].send(bytes.fromhex(hex))
        return {}

    def state(self) -> dict[str, Any]:
        """Say whether RetroArch runs."""
        return {"code": self.process.poll() if self.process else None}

    def stop(self) -> dict[str, Any]:
        """End RetroArch: politely, then by force."""
        if self.process is None:
            return {"code": None}
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return {"code": self.process.wait()}


def main() -> None:
    """Serve requests until the input ends."""
    agent = Agent()
    try:
        for line in sys.stdin:
            request = json.loads(line)
            try:
                answer = getattr(agent, request.pop("do"))(**request)
            except OSError as error:
                answer = {"error": str(error)}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    finally:
        agent.stop()


if __name__ == "__main__":
    main()
