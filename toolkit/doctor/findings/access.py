"""May the relay's account and the firewall agent read what they need."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toolkit.doctor.finding import Finding, fine, trouble, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case

RELAY, AGENT = "netplay-relay", "netplay-relay-firewall"
STATE = "/var/lib/netplay-relay"


def look(case: Case) -> Iterator[Finding]:
    """Say that the relay's account does not exist, and which files are closed to it or to the firewall agent."""
    told = case.told("access")
    if not told or (case.host or {}).get("uid") != 0:
        return
    if not told["account"]:
        yield replace(
            trouble(
                "the host has no account for the relay to run as",
                "",
                f"invoke deploy{case.target.option}",
            ),
            key="account",
        )
        return
    # One folder may be in the way to several files.
    stops = {(one["whose"], one["at"]): one for one in reversed(told["closed"])}
    for one in stops.values():
        yield _of_relay(case, one, told["account"]) if one["whose"] == "relay" else _of_agent(case, one)
    if not stops:
        yield fine("the relay's account may read what it needs", told["account"])


def _of_relay(case: Case, one: dict[str, Any], account: str) -> Finding:
    """Return the finding for a file that the relay cannot read: it keeps what it has read until it starts again."""
    at = shlex.quote(one["at"])
    mode = "g+rX" if one["at"].startswith("/etc/") else "go+rX"
    runs = case.told("relay") is not None
    again = "" if runs else f" && {case.managed('restart', RELAY)}"
    cure = case.there(f"chgrp {account} {at} && chmod {mode} {at}{again}")
    judge = warning if runs and not one["path"].endswith("allowlist") else trouble
    sentence = f"the relay's account {account} cannot read {one['path']}: {one['at']} is closed to it"
    return judge(sentence, _seen(one), cure)


def _of_agent(case: Case, one: dict[str, Any]) -> Finding:
    at = shlex.quote(one["at"])
    # systemd gives the agent its state folder with all that is in it.
    again = case.managed("restart", AGENT)
    steps = again if one["at"] == STATE else f"chown root {at} && chmod u+rwX {at} && {again}"
    cure = case.service("restart", AGENT) if steps == again else case.there(steps)
    sentence = f"the firewall agent cannot use {one['at']}: it is closed to root without privileges"
    return replace(warning(sentence, _seen(one), cure), key="agent")


def _seen(one: dict[str, Any]) -> str:
    return f"{one['at']}: {one['mode']}, owner {one['owner']}"
