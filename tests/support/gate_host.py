"""A host with the gate on it and players in front of it: two network namespaces and a wire between them. For root."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from relay.gate.programs import PLACES
from tests.support.child import Child
from tests.support.namespace import PrivateNetwork

ROOT = Path(__file__).resolve().parents[2]
PEER = Path(__file__).with_name("gate_peer.py")
HOST4, HOST6 = "10.9.0.1", "fd09:0:0:1::1"
ANNA4, ANNA6 = "10.9.0.2", "fd09:0:0:1::2"
BEN4, BEN6 = "10.9.0.3", "fd09:0:0:2::3"
STRANGER4, STRANGER6 = "10.9.0.9", "fd09:0:0:9::9"
PORT, OTHER = 55435, 2222
MULTI = {"legacy": "/usr/sbin/xtables-legacy-multi", "nft": "/usr/sbin/xtables-nft-multi"}
RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from relay.__main__ import main; sys.exit(main())"
SIDES = ("", "6")


class GateHost:
    """The two namespaces, the directories of the gate, and who listens; a context manager.

    programs: what the host has, of "nft", "ipset", "conntrack", and "iptables-nft" or "iptables-legacy".
    """

    def __init__(self, folder: Path, programs: set[str]) -> None:
        """Make them."""
        self.config_dir, self.state_dir = folder / "etc", folder / "var"
        self.config_dir.mkdir()
        self.socket = folder / "control.sock"
        self._program = _program(folder / "program", _places(folder / "bin", programs))
        self._folder = folder
        self._inside = PrivateNetwork(folder)
        self._outside = PrivateNetwork(folder)
        self._children: list[Child] = []
        self._wire()
        self.players = self._child(self._outside, [sys.executable, "-I", str(PEER)])
        self.server = self._child(self._inside, [sys.executable, "-I", str(PEER)])

    def _wire(self) -> None:
        inside, outside = (str(side._keeper.pid) for side in (self._inside, self._outside))
        made = ["ip", "link", "add", "wire", "netns", inside, "type", "veth", "peer", "name", "wire", "netns", outside]
        subprocess.run(made, check=True)
        for address in (f"{HOST4}/24", f"{HOST6}/48"):
            self.run(["ip", "address", "add", address, "dev", "wire", *(["nodad"] if ":" in address else [])])
        for address in (ANNA4, BEN4, STRANGER4):
            self._run(self._outside, ["ip", "address", "add", f"{address}/24", "dev", "wire"])
        for address in (ANNA6, BEN6, STRANGER6):
            self._run(self._outside, ["ip", "address", "add", f"{address}/48", "dev", "wire", "nodad"])
        for side in (self._inside, self._outside):
            self._run(side, ["ip", "link", "set", "wire", "up"])
        self._introduce(self._inside, self._outside, (ANNA4, ANNA6, BEN4, BEN6, STRANGER4, STRANGER6))
        self._introduce(self._outside, self._inside, (HOST4, HOST6))

    def _introduce(self, side: PrivateNetwork, other: PrivateNetwork, addresses: tuple[str, ...]) -> None:
        """Let one side know its neighbours, so that nobody has to wait while they are looked for."""
        (link,) = json.loads(self._run(other, ["ip", "-json", "link", "show", "wire"]))
        for address in addresses:
            known = ["ip", "neighbour", "replace", address, "lladdr", link["address"], "dev", "wire"]
            self._run(side, [*known, "nud", "permanent"])

    def _child(self, side: PrivateNetwork, argv: list[str]) -> Child:
        child = Child(side.command(argv), log=self._folder / f"child{len(self._children)}.log")
        self._children.append(child)
        return child

    def _run(self, side: PrivateNetwork, argv: list[str], text: str = "") -> str:
        done = subprocess.run(side.command(argv), input=text, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def run(self, argv: list[str], text: str = "") -> str:
        """Run a program on the host and return what it printed. Raises AssertionError when it fails."""
        return self._run(self._inside, argv, text)

    def python(self, script: str, *words: str) -> str:
        """Run a script on the host, from this checkout, and return what it printed."""
        path = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {script}"
        return self.run([sys.executable, "-I", "-c", path, *words])

    def argv(self, *words: str) -> list[str]:
        """Return the argument list that runs `netplay-relay` on the host."""
        return self._inside.command([sys.executable, "-I", "-c", RUN, self._program, *words])

    def gate_argv(self, *words: str) -> list[str]:
        """Return the argument list that runs `netplay-relay gate` on the host."""
        return self.argv("gate", "--config-dir", str(self.config_dir), "--state-dir", str(self.state_dir), *words)

    def gate(self, *words: str, text: str = "", code: int = 0) -> dict[str, Any]:
        """Run `netplay-relay gate ... --json`, expect an exit code, return the answer."""
        argv = self.gate_argv(*words, "--json")
        done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == code, f"{words}: {done.returncode}, {done.stdout} {done.stderr}"
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def apply(self, text: str, *words: str, code: int = 0) -> dict[str, Any]:
        """Apply a friends.toml."""
        return self.gate("apply", "--friends", "-", *words, text=text, code=code)

    def start(self, *words: str) -> Child:
        """Start `netplay-relay ...` on the host; it ends with the test."""
        child = Child(self.argv(*words), log=self._folder / f"child{len(self._children)}.log")
        self._children.append(child)
        return child

    def agent(self) -> Child:
        """Start the gate's agent; it ends with the test."""
        return self.start("gate", "--config-dir", str(self.config_dir), "--state-dir", str(self.state_dir), "agent")

    def listen(self, port: int) -> None:
        """Serve an echo on a port of the host."""
        self.server.tell(f"listen {port}")
        assert self.server.line(within=10) == "ready"

    def ask(self, line: str) -> str:
        """Tell the players' machine a line and return its answer."""
        self.players.tell(line)
        return self.players.line(within=20)

    def gets_in(self, source: str, port: int = PORT, protocol: str = "tcp") -> bool:
        """Tell whether somebody reaches a port of the host."""
        target = HOST6 if ":" in source else HOST4
        return self.ask(f"{protocol} {source} {target} {port}") == "in"

    def settings(self, text: str) -> None:
        """Write the host's relay.toml."""
        (self.config_dir / "relay.toml").write_text(text)

    def rulesets(self) -> dict[str, str]:
        """Return all rules of the host, as their programs print them, without counts and handles.

        A table of legacy iptables that holds nothing counts as none: it is there once somebody has looked.
        """
        shown = {"nft": self.run(["nft", "-s", "list", "ruleset"])}
        for family in SIDES:
            for kind, path in MULTI.items():
                listed = self.run([path, f"ip{family}tables-save"])
                rules = [line.partition(" [")[0] for line in listed.splitlines() if not line.startswith("#")]
                bare = all(rule.startswith((":", "*", "COMMIT")) for rule in rules)
                shown[f"ip{family}tables-{kind}"] = "" if bare and " DROP" not in listed else "\n".join(rules)
        return {**shown, "ipset": self.run(["ipset", "list", "-n"])}

    def reboot(self) -> None:
        """Lose every rule, as a restart of the host does; the disk stays."""
        for child in self._children[2:]:
            child.stop(terminate=True)
        del self._children[2:]
        self.run(["nft", "flush", "ruleset"])
        for family in SIDES:
            for verb in ("-F", "-X"):
                self.run([MULTI["legacy"], f"ip{family}tables", verb])
        self.run(["ipset", "destroy"])

    def close(self) -> None:
        """Take it all down."""
        for child in reversed(self._children):
            child.stop(terminate=True)
        self._inside.close()
        self._outside.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _program(folder: Path, places: str) -> str:
    """Return a folder with our program that looks for others in places alone, whichever process it starts."""
    shutil.copytree(ROOT / "relay", folder / "relay", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "relay" / "gate" / "programs.py"
    text = file.read_text()
    assert text.count(f'PLACES = "{PLACES}"') == 1
    file.write_text(text.replace(f'PLACES = "{PLACES}"', f"PLACES = {places!r}"))
    return str(folder)


def _places(folder: Path, programs: set[str]) -> str:
    """Return a PATH with the programs of the host alone."""
    folder.mkdir()
    for name in programs & {"nft", "ipset", "conntrack"}:
        (folder / name).symlink_to(f"/usr/sbin/{name}")
    kinds = [kind for kind in MULTI if f"iptables-{kind}" in programs]
    for family in SIDES:
        for suffix in ("", "-save", "-restore"):
            for kind in kinds:
                (folder / f"ip{family}tables-{kind}{suffix}").symlink_to(MULTI[kind])
            if kinds:
                (folder / f"ip{family}tables{suffix}").symlink_to(MULTI[kinds[-1]])
    return str(folder)
