"""A lab host that the roles' tests deploy to, by the playbook alone: runs, and what became of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.support.templates import ROOT
from toolkit.deploy import zipapp
from toolkit.testbed import look_at_host

if TYPE_CHECKING:
    from toolkit.deploy.zipapp import Release
    from toolkit.lab import Lab

PORT = 55435
SETTINGS = """\
[listen]
port = 55435
[gate]
allowlist = "/etc/netplay-relay/allowlist"
[timeouts]
ping = 1
"""
CHANGE = re.compile(r"^  \S+  (?:changed|would change)  (?P<task>[^:\n]+)", re.MULTILINE)
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2).close()
except OSError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""
# Everything that a deployment could leave: files with their owners and text, accounts, units. Backups of the account
# files and what systemd and ssh write by themselves are nobody's settings.
SNAPSHOT = r"""
import hashlib, json, os, pathlib, re, shutil, subprocess
TOPS = ("/etc", "/opt", "/usr/local", "/home", "/root", "/srv", "/var/lib", "/var/spool", "/var/tmp",
        "/usr/lib/systemd/system", "/run/netplay-relay", "/run/runit", "/run/systemd/system",
        *map(str, pathlib.Path("/var/log").glob("netplay*")))
SKIPPED = ("/var/lib/systemd", "/etc/.pwd.lock", "/run/runit/supervise.sshd", "/var/tmp/systemd-private-")
def content(path):
    if path.is_symlink():
        return os.readlink(path)
    return hashlib.sha1(path.read_bytes()).hexdigest() if path.is_file() else ""
found = {}
for path in (path for top in TOPS for path in [pathlib.Path(top), *pathlib.Path(top).rglob("*")]):
    if os.path.lexists(path) and not path.name.endswith("-") and not str(path).startswith(SKIPPED):
        stat = path.lstat()
        found[str(path)] = [stat.st_mode, stat.st_uid, stat.st_gid, content(path)]
def said(*argv):
    return subprocess.run(argv, capture_output=True, text=True).stdout
found["units"] = said("systemctl", "list-unit-files", "--no-legend") if shutil.which("systemctl") else ""
listed = [["nft", "-s", "list", "ruleset"], ["iptables-legacy-save"], ["ip6tables-legacy-save"], ["ipset", "list"]]
# To ask legacy iptables where nobody uses it would load its modules.
names = pathlib.Path("/proc/net/ip_tables_names")
skipped = [] if names.exists() and names.read_text() else listed[1:3]
programs = [argv for argv in listed if shutil.which(argv[0]) and argv not in skipped]
found["rules"] = re.sub(r"\[\d+:\d+\]|^#.*$", "", "".join(said(*argv) for argv in programs), flags=re.MULTILINE)
found["listening"] = said("ss", "-Htln")
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Outcome:
    """What became of a run: ansible's exit status, the tasks that changed something, everything it said."""

    status: int
    said: str
    errors: str
    changed: list[str] = field(default_factory=list)

    @property
    def count(self) -> str:
        """The line at the end that counts."""
        return self.said.splitlines()[-1]


@dataclass(frozen=True)
class RoleHost:
    """A host of a lab with the clients "friend" and "stranger", and a folder for what runs need."""

    lab: Lab
    folder: Path
    release: Release
    node: str = "relay"

    @classmethod
    def of(cls, lab: Lab, folder: Path, node: str = "relay") -> Self:
        """Take a lab's host, and build one release for all runs."""
        return cls(lab, folder, zipapp.build(folder), node)

    @property
    def alias(self) -> str:
        """What the host is called in ssh's configuration and in the inventory."""
        return self.lab.ssh_alias(self.node)

    def play(
        self,
        *options: str,
        playbook: str = "deploy",
        settings: str = SETTINGS,
        friends: tuple[str, ...] = ("friend",),
        **variables: Any,
    ) -> Outcome:
        """Run a playbook of ours against the host, with these clients of the lab on the list."""
        (self.folder / "relay.toml").write_text(settings)
        (self.folder / "friends.toml").write_text("\n".join(self.friend(node) for node in friends))
        usual = {
            "relay_zipapp": str(self.release.path),
            "relay_release_id": self.release.id,
            "relay_config_file": str(self.folder / "relay.toml"),
            "relay_ports": [PORT],
            "preflight_ports": [PORT],
            "firewall_friends_file": str(self.folder / "friends.toml"),
        }
        (self.folder / "variables.json").write_text(json.dumps({**usual, **variables}))
        (self.folder / "hosts.json").write_text(json.dumps({"relays": {"hosts": {self.alias: {}}}}))
        argv = [sys.executable, "-m", "ansible", "playbook", "--inventory", str(self.folder / "hosts.json")]
        argv += ["--extra-vars", f"@{self.folder}/variables.json", *options]
        argv += [str(ROOT / "ansible" / "playbooks" / f"{playbook}.yml")]
        done = subprocess.run(argv, env=self._environment(), capture_output=True, text=True, check=False, timeout=300)
        changed = [match["task"].strip() for match in CHANGE.finditer(done.stdout)]
        return Outcome(done.returncode, done.stdout, done.stderr, changed)

    def friend(self, node: str) -> str:
        """Return a client of the lab as an entry of friends.toml."""
        at = self.lab.node(node)
        return f'[[friend]]\nname = "{node}"\nip = ["{at.ipv4}", "{at.ipv6}/128"]\n'

    def run(self, *argv: str) -> str:
        """Run a program on the host and return what it printed."""
        done = subprocess.run(self.lab.inside(self.node, argv), capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    def property(self, unit: str, name: str) -> str:
        """Ask systemd on the host."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def stands(self) -> bool:
        """Whether our table is in force."""
        argv = self.lab.inside(self.node, ["nft", "list", "table", "inet", "netplay"])
        return subprocess.run(argv, capture_output=True, check=False, timeout=60).returncode == 0

    def reaches(self, node: str, port: int = PORT) -> list[bool]:
        """Whether a client of the lab can connect to the port: by IPv4, by IPv6."""
        relay = self.lab.node(self.node)
        argv = [sys.executable, "-I", "-c", CONNECT]
        tries = [self.lab.command(node, [*argv, address, str(port)]) for address in (relay.ipv4, relay.ipv6)]
        running = [subprocess.Popen(each, stderr=subprocess.DEVNULL) for each in tries]
        return [each.wait(timeout=30) == 0 for each in running]

    def snapshot(self) -> dict[str, Any]:
        """Return everything that a deployment could leave on the host."""
        found: dict[str, Any] = json.loads(self.run("python3", "-I", "-c", SNAPSHOT))
        shown = {"rules": look_at_host.settled(found["rules"]), "listening": look_at_host.listening(found["listening"])}
        return {**found, **shown}

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        return {
            **kept,
            "ANSIBLE_CONFIG": str(ROOT / "ansible" / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_SSH_ARGS": f"-F {self.lab.ssh_config}",
            "ANSIBLE_CALLBACKS_ENABLED": "netplay.relay.payloads",
            "LC_ALL": "C.UTF-8",
        }
