"""The host that was deployed to last: what friends.* mean when no host is typed."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from toolkit import paths, printable
from toolkit.console import step
from toolkit.errors import UserError
from toolkit.hosts import inventory, target
from toolkit.lab import DEFAULT_SPEC

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolkit.hosts.target import DeployTarget


# Hosts that are remembered behind the last one: to fall back to, and to be named where none was typed.
MOST = 20


def remember(place: DeployTarget) -> None:
    """Note that a place was deployed to."""
    config = None if place.ssh_config is None else str(place.ssh_config.absolute())
    noted = {"lab": place.lab.name} if place.lab else {"host": place.host.alias, "ssh_config": config}
    _write([noted, *(one for one in _read() if _name(one) != _name(noted))])


def forget(place: DeployTarget) -> None:
    """Note that a place is no more; the one before it is the last one then."""
    known = _read()
    left = [one for one in known if one.get("host") != place.host.alias]
    if left != known:
        _write(left)


def resolve(host: str | None, ssh_config: Path | None, *, quiet: bool = False) -> DeployTarget:
    """Return the place a person means: the host typed, else that of the last deployment, else the lab.

    Where none was typed, it says first which one that is, and which others there are; quiet: where standard output is
    for a program, on standard error. Nothing is made. Raises UserError.
    """
    config = None if ssh_config is None else paths.typed(ssh_config)
    if host is not None:
        return target.real(host, config)
    known = _read()
    gone: UserError | None = None
    for one in known:
        try:
            place = _place(one, config)
        except UserError as error:
            gone = gone or error  # a lab that was taken down, an ssh configuration that was moved
            continue
        _tell(one, [other for other in known if other is not one], quiet=quiet)
        return place
    try:
        place = target.lab(DEFAULT_SPEC, check=True)
    except UserError:
        if gone:
            raise gone from None
        raise UserError(
            "no relay was deployed from this machine yet, and no host was named",
            fix="Put one on a host: invoke deploy --host myvps\nOr try it on this machine: invoke deploy",
        ) from None
    _tell({"lab": DEFAULT_SPEC.name}, [], quiet=quiet)
    return place


def _place(one: dict[str, str], config: Path | None) -> DeployTarget:
    if alias := one.get("host"):
        noted = one.get("ssh_config")
        return target.real(alias, config or (Path(noted) if noted else None))
    return target.lab(replace(DEFAULT_SPEC, name=one["lab"]), check=True)


def _tell(one: dict[str, str], others: Sequence[dict[str, str]], *, quiet: bool) -> None:
    """Say which host is meant where none was typed."""
    text = _name(one)
    if others:
        named = next((f"; for one of them: --host {each['host']}" for each in others if "host" in each), "")
        text += f", deployed to last; there are also {', '.join(map(_name, others))}{named}"
    if quiet:
        sys.stderr.write(f"host       {printable.line(text)}\n")
    else:
        step("host", text)


def _name(one: Mapping[str, str | None]) -> str:
    return one.get("host") or f"the lab {one.get('lab', '')}".rstrip()


def typed_by_players(host: str | None, ssh_config: Path | None, task: str, *, quiet: bool = False) -> DeployTarget:
    """Return the same for a task that takes --relay, too. Raises UserError, which tells a player of that."""
    try:
        return resolve(host, ssh_config, quiet=quiet)
    except UserError as error:
        if host is None:
            player = f"As a player, name the relay as you type it in RetroArch: invoke {task} --relay 'ADDRESS|55435'"
            error.fix = f"{player}\n{error.fix}"
        raise


def _path() -> Path:
    return platformdirs.user_config_path("netplay-relay") / "last.json"


def _read() -> list[dict[str, str]]:
    """Return what was noted, the newest first; what cannot be read counts as nothing."""
    try:
        found = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    listed = found.get("before", []) if isinstance(found, dict) else []
    entries = [found, *(listed if isinstance(listed, list) else [])]
    texts = [
        {key: value for key, value in one.items() if isinstance(value, str)} for one in entries if isinstance(one, dict)
    ]
    return [one for one in texts if one.get("host") or one.get("lab")]


def _write(entries: Sequence[dict[str, Any]]) -> None:
    if entries:
        inventory.write(_path(), json.dumps({**entries[0], "before": list(entries[1:MOST])}) + "\n")
    else:
        _path().unlink(missing_ok=True)
