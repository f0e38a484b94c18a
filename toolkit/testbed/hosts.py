"""The hosts of a scenario that is up: how they are reached, and the files that are deployed to them.

    python -m toolkit.testbed.hosts lab NAME DIRECTORY    of a lab that is up

Writes below DIRECTORY, which is Molecule's own for the scenario: `testbed.json` for the tests, `inventory/testbed.json`
for Ansible, the release, relay.toml and friends.toml; and `config`, an owner's folder for XDG_CONFIG_HOME.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from toolkit.console import ROOT
from toolkit.deploy import zipapp
from toolkit.errors import UserError, user_errors
from toolkit.hosts.inventory import Entry
from toolkit.hosts.names import parse_host
from toolkit.lab import Lab, sshfiles

if TYPE_CHECKING:
    from collections.abc import Collection

PORT: Final = 55435
FRIEND: Final = "friend"
"""The client that is on the list; nobody else is."""
FILE: Final = "testbed.json"


@dataclass(frozen=True, slots=True)
class Host:
    """A relay or a client: its addresses; `ssh` is a relay's name for ssh, `enter` starts a command in a client."""

    name: str
    ipv4: str
    ipv6: str
    ssh: str = ""
    enter: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Testbed:
    """What is up for a scenario."""

    __test__: ClassVar[bool] = False  # pytest takes the class for tests, by its name

    name: str
    ssh_config: Path
    relays: tuple[Host, ...]
    clients: tuple[Host, ...]

    @classmethod
    def of_lab(cls, name: str, containers: Collection[str] = ()) -> Testbed:
        """Return a lab that is up. Raises UserError when it is not.

        `containers`: the clients of the lab in whose place a container is the relay.
        """
        lab = Lab.load(name)
        relays, clients = [], []
        for at in lab.nodes:
            if at.kind == "host" or at.name in containers:
                relays.append(Host(at.name, at.ipv4, at.ipv6, ssh=sshfiles.alias(lab.state, at)))
            else:
                clients.append(Host(at.name, at.ipv4, at.ipv6, enter=tuple(lab.command(at.name, []))))
        return cls(name, lab.ssh_config, tuple(relays), tuple(clients))

    @classmethod
    def load(cls, directory: Path) -> Testbed:
        """Read what `save` wrote. Raises UserError when nothing has been created."""
        try:
            raw: dict[str, Any] = json.loads((directory / FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"nothing is up in {directory}", fix="invoke testbed.up") from None
        relays = tuple(Host(**host) for host in raw["relays"])
        clients = tuple(Host(**{**host, "enter": tuple(host["enter"])}) for host in raw["clients"])
        return cls(raw["name"], Path(raw["ssh_config"]), relays, clients)

    def save(self, directory: Path) -> None:
        """Write it for the tests, and the inventory with all that the roles are told."""
        _write(directory / FILE, {**asdict(self), "ssh_config": str(self.ssh_config)})
        reached = f"-F {self.ssh_config}"
        hosts = {
            at.name: {"ansible_host": at.ssh, "ansible_ssh_common_args": reached, "testbed_ipv4": at.ipv4}
            for at in self.relays
        }
        relays = {"hosts": hosts, "vars": _deployed(self, directory)}
        addresses = {at.name: [at.ipv4, f"{at.ipv6}/128"] for at in self.clients}
        everybody = {"vars": {"testbed_addresses": addresses}}
        _write(directory / "inventory" / FILE, {"all": everybody, "relays": relays})
        for at in self.relays:
            _make_owner(at.ssh, directory)

    def client(self, name: str) -> Host:
        """Return a client by its name."""
        return next(host for host in self.clients if host.name == name)


def _deployed(testbed: Testbed, directory: Path) -> dict[str, Any]:
    """Build the release and write the owner's two files; return what the roles are told of them."""
    release = zipapp.build(directory)
    friend = testbed.client(FRIEND)
    friends = f'[[friend]]\nname = "{FRIEND}"\nip = ["{friend.ipv4}", "{friend.ipv6}/128"]\n'
    (directory / "friends.toml").write_text(friends, encoding="utf-8")
    example = (ROOT / "relay" / "relay.toml").read_text(encoding="utf-8")
    (directory / "relay.toml").write_text(example.replace("\n# allowlist = ", "\nallowlist = "), encoding="utf-8")
    return {
        "relay_zipapp": str(release.path),
        "relay_release_id": release.id,
        "relay_config_file": str(directory / "relay.toml"),
        "firewall_friends_file": str(directory / "friends.toml"),
    }


def _make_owner(alias: str, directory: Path) -> None:
    """Make what the person who deployed would have, so that with that folder every task works on the relay."""
    kept = directory / "config" / "netplay-relay" / "hosts" / alias
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "inventory.yml").write_text(Entry(parse_host(alias)).render(), encoding="utf-8")
    for name in ("relay.toml", "friends.toml"):
        shutil.copyfile(directory / name, kept / name)


def _write(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


@user_errors
def main(arguments: list[str]) -> int:
    """Write the files."""
    if len(arguments) != 3 or arguments[0] != "lab":
        raise UserError("this is not a testbed", fix="python -m toolkit.testbed.hosts lab NAME DIRECTORY")
    Testbed.of_lab(arguments[1]).save(Path(arguments[2]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
