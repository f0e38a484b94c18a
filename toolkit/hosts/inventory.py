"""What is kept for each host on the owner's machine: how it is reached, its settings, its friends.

hosts/HOST/ under the person's configuration folder (~/.config/netplay-relay on Linux) holds inventory.yml, relay.toml
and friends.toml. The first deployment makes them; from then on they are the owner's, and a file that the owner has
edited is never written over. Under --check they are made in a scratch folder instead, and nothing is left behind.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
import yaml

from relay.gate.files import sync
from toolkit.console import ROOT
from toolkit.errors import UserError
from toolkit.hosts.names import parse_host, parse_user

if TYPE_CHECKING:
    from toolkit.hosts.names import HostName

INVENTORY = """\
# How {{ name }} is reached, for invoke deploy --host {{ alias }}
# Port, key and jump hosts belong into ~/.ssh/config: ssh reads it, and so does this.
relays:
  hosts:
    {{ name | tojson }}:
      ansible_host: {{ alias | tojson }}
{%- if user %}
      ansible_user: {{ user | tojson }}
{%- endif %}
      ansible_become: {{ become | tojson }}
"""
FRIENDS = """\
# Who may use the relay on {{ alias }}; everybody else is kept out.
# After a change: invoke friends.push --host {{ alias }}
#
# [[friend]]
# name = "anna"
# ip = ["203.0.113.7", "2001:db8:1:2::/64"]
# dns = "anna.example.org"
# until = "2026-12-24 23:00"
# note = "plays on Fridays"
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """How a host is reached: alias (what ssh is given), account (None: as ssh's config says), whether sudo is used."""

    host: HostName
    user: str | None = None
    become: bool = False

    def render(self) -> str:
        """Return the text of inventory.yml."""
        values = {"name": self.host.slug, "alias": self.host.alias, "user": self.user, "become": self.become}
        return _rendered(INVENTORY, values)


@dataclass(frozen=True, slots=True)
class HostFiles:
    """The three files of a host, there or not."""

    inventory: Path
    relay: Path
    friends: Path


def files_of(host: HostName) -> HostFiles:
    """Return where a host's files are kept."""
    folder = platformdirs.user_config_path("netplay-relay") / "hosts" / host.slug
    return HostFiles(folder / "inventory.yml", folder / "relay.toml", folder / "friends.toml")


def scratch_files(files: HostFiles, entry: Entry, folder: Path) -> HostFiles:
    """Return the same files for a look ahead: whatever would be made or changed is a copy in folder instead."""
    friends = folder / files.friends.name
    if files.friends.exists():
        shutil.copyfile(files.friends, friends)
    known = read_entry(files, entry.host) == entry
    return HostFiles(
        files.inventory if known else folder / files.inventory.name,
        files.relay if files.relay.exists() else folder / files.relay.name,
        friends,
    )


def make_missing(files: HostFiles, entry: Entry) -> list[Path]:
    """Make what is missing, and inventory.yml anew when the entry has changed; return what was made.

    relay.toml is then the packaged example with the relay's own gate switched on, and friends.toml names nobody.
    """
    example = (ROOT / "relay" / "relay.toml").read_text(encoding="utf-8")
    texts = {
        files.inventory: entry.render(),
        files.relay: example.replace("\n# allowlist = ", "\nallowlist = "),
        files.friends: _rendered(FRIENDS, {"alias": entry.host.alias}),
    }
    missing = [path for path in _each(files) if not path.exists()]
    if files.inventory not in missing and read_entry(files, entry.host) != entry:
        missing.append(files.inventory)
    for path in missing:
        write(path, texts[path])
    return missing


def read_entry(files: HostFiles, host: HostName) -> Entry | None:
    """Read inventory.yml, None when there is none yet. Raises UserError with its line for a mistake."""
    try:
        text = _quoted(files.inventory.read_text(encoding="utf-8"), host)
    except FileNotFoundError:
        return None
    try:
        known = yaml.safe_load(text)["relays"]["hosts"][host.slug] or {}
        alias, user = known.get("ansible_host", host.alias), known.get("ansible_user")
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _broken(files.inventory, line, f"this is not YAML: {error.problem}") from None
    except (KeyError, TypeError, AttributeError):
        raise _broken(files.inventory, 1, f"it does not name {host.slug} under relays, hosts") from None
    checked = None if user is None else parse_user(str(user))
    return Entry(parse_host(str(alias)), checked, _is_true(known.get("ansible_become", False)))


def update_entry(files: HostFiles, host: HostName, user: str | None, become: bool) -> Entry:
    """Return the host's entry with what was typed taken in (nothing is written yet).

    Raises UserError when the owner has edited the file and it says otherwise.
    """
    known = read_entry(files, host)
    wanted = Entry(host, user or (known.user if known else None), become or (known.become if known else False))
    if known is None or (known.user, known.become) == (wanted.user, wanted.become):
        return known or wanted
    if _quoted(files.inventory.read_text(encoding="utf-8"), host) != known.render():
        raise UserError(
            f"{files.inventory} says otherwise than what was typed, and has been edited by hand",
            fix=f"Set ansible_user and ansible_become there, then: invoke deploy --host {host.alias}",
        )
    return wanted


def typed(user: str | None, *, become: bool, ask_become: bool) -> str:
    """Return how an account and its sudo are typed behind a task that reaches the host in the same way."""
    sudo = " --ask-become" if ask_become else " --become" if become else ""
    return f"{f' --user {user}' if user else ''}{sudo}"


def write(path: Path, text: str) -> None:
    """Write a file of the owner's whole or not at all; its folder is made if need be, readable by them alone.

    Raises UserError where that cannot be done.
    """
    try:
        _write(path, text)
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> UserError:
    """Return the error for a file of the owner's that cannot be written."""
    reason = error.strerror or type(error).__name__
    return UserError(
        f"{path} cannot be written: {reason}", fix=f"Look whose it is: ls -ld {shlex.quote(str(path.parent))}"
    )


def _write(path: Path, text: str) -> None:
    path = path.resolve()  # a link, into somebody's dotfiles, stays one
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # else it may be empty after a power loss, and an empty list keeps everybody out
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync(path.parent)


def to_json(path: Path, values: dict[str, Any]) -> None:
    """Write variables for ansible."""
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _each(files: HostFiles) -> tuple[Path, Path, Path]:
    return files.inventory, files.relay, files.friends


def _quoted(text: str, host: HostName) -> str:
    """Return an inventory.yml with the host's name in quotes, as it stands in new ones: YAML reads no and 42 as others.

    To Ansible the name in older files is only what it calls the host; where it leads is ansible_host.
    """
    return text.replace(f"\n    {host.slug}:\n", f"\n    {json.dumps(host.slug)}:\n")


def _is_true(value: object) -> bool:
    return str(value).lower() in {"true", "yes", "1"}


def _broken(path: Path, line: int, what: str) -> UserError:
    return UserError(
        f"{path}:{line}: {what}", fix=f"Mend it, or remove the file: the next deployment writes it again.\n{path}"
    )


def _rendered(template: str, values: dict[str, Any]) -> str:
    from jinja2 import Environment, StrictUndefined  # seldom needed, and slow to load

    strict = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701  # YAML
    return strict.from_string(template).render(values)
