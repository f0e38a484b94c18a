"""The host that was deployed to last: what friends.* mean when no host is typed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from toolkit import inventory, paths, places
from toolkit.errors import UserError
from toolkit.lab import DEFAULT_SPEC

if TYPE_CHECKING:
    from toolkit.places import Place


def remember(place: Place) -> None:
    """Note that a place was deployed to."""
    config = None if place.ssh_config is None else str(place.ssh_config.absolute())
    noted = {"lab": place.lab.name} if place.lab else {"host": place.host.alias, "ssh_config": config}
    inventory.write(_path(), json.dumps(noted) + "\n")


def forget(place: Place) -> None:
    """Note that a place is no more, if it was the last one."""
    if _read().get("host") == place.host.alias:
        _path().unlink(missing_ok=True)


def typed(host: str | None, ssh_config: Path | None) -> Place:
    """Return the place a person means: the host typed, else that of the last deployment, else the lab.

    Nothing is made. Raises UserError.
    """
    config = None if ssh_config is None else paths.typed(ssh_config)
    noted = _read()
    if host is not None:
        return places.real(host, config)
    if alias := noted.get("host"):
        known = noted.get("ssh_config")
        return places.real(alias, config or (Path(known) if known else None))
    try:
        return places.lab(replace(DEFAULT_SPEC, name=noted.get("lab", DEFAULT_SPEC.name)), check=True)
    except UserError:
        if noted:
            raise
        raise UserError(
            "no relay was deployed from this machine yet, and no host was named",
            fix="Put one on a host: invoke deploy --host myvps\nOr try it on this machine: invoke deploy",
        ) from None


def typed_by_players(host: str | None, ssh_config: Path | None, task: str) -> Place:
    """Return the same for a task that takes --relay, too. Raises UserError, which tells a player of that."""
    try:
        return typed(host, ssh_config)
    except UserError as error:
        if host is None:
            player = f"As a player, name the relay as you type it in RetroArch: invoke {task} --relay 'ADDRESS|55435'"
            error.fix = f"{player}\n{error.fix}"
        raise


def _path() -> Path:
    return platformdirs.user_config_path("netplay-relay") / "last.json"


def _read() -> dict[str, str]:
    """Return what was noted; what cannot be read counts as nothing."""
    try:
        found = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
