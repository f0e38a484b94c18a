"""Do the relay and what belongs to it run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toolkit.doctor.finding import Finding, fine, note, trouble, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case

RELAY, SOCKET, WALL = "netplay-relay.service", "netplay-relay.socket", "netplay-relay-firewall.service"
# The restarts of a relay that had a bad moment; more are a fault that comes back.
RESTARTS = 3
# Seconds after which a relay that was started again counts as running well.
STEADY = 10.0


def look(case: Case) -> Iterator[Finding]:
    """Say of each service whether it runs, and if the relay answers when it is asked."""
    services = case.told("services")
    if services is None:
        if case.host:
            yield note("whether the relay's services run could not be seen", case.why_not("services"))
        return
    if RELAY in services:
        yield from _systemd(case, services)
    else:
        yield from _other(case, services)
    if case.told("relay") is None and (case.host or {}).get("uid") == 0:
        again = f"To start it anew: {case.service('restart', RELAY.removesuffix('.service'))}\n"
        yield replace(
            trouble(
                "the relay does not answer on its host",
                case.why_not("relay"),
                f"{again}See why in its log: {case.log()}",
            ),
            key="answer",
        )


def _systemd(case: Case, services: dict[str, Any]) -> Iterator[Finding]:
    units = ((SOCKET, "nobody holds the relay's port"), (RELAY, "the relay does not run"))
    # One that is masked or gone keeps the other one from starting.
    for unit, what in sorted(units, key=lambda one: services.get(one[0], {}).get("LoadState") == "loaded"):
        told = services.get(unit, {})
        state = f"{unit}: {told.get('LoadState')}, {told.get('ActiveState')} ({told.get('SubState')})"
        if told.get("LoadState") == "not-found":
            yield trouble(f"{what}: {unit} is not installed", state, f"invoke deploy{case.target.option}")
        elif told.get("LoadState") == "masked":
            unmask = f"{case.ssh} systemctl unmask {unit} && invoke deploy{case.target.option}"
            yield trouble(f"{what}: {unit} is masked", state, unmask)
        elif told.get("ActiveState") != "active":
            result = f", {told['Result']}" if told.get("Result") not in (None, "success") else ""
            # Both at once: each alone does not play.
            yield trouble(f"{what}: it is stopped", state + result, f"{case.ssh} systemctl start {SOCKET} {RELAY}")
        elif int(told.get("NRestarts") or 0) >= RESTARTS:
            # Of a relay that runs well by now they are history.
            judge = note if unit == RELAY and float((case.told("relay") or {}).get("age") or 0.0) > STEADY else warning
            yield judge(
                f"{unit} had to be started again {told['NRestarts']} times",
                state,
                f"See why in its log: {case.log(unit)}",
            )
        elif unit == RELAY:
            yield fine("the relay runs", state)
        if told.get("LoadState") == "loaded" and told.get("UnitFileState") == "disabled":
            # Both at once, and what is enabled stays so.
            enable = f"{case.ssh} systemctl enable {SOCKET} {RELAY}"
            yield warning(f"{unit} will not start with the host", told["UnitFileState"], enable)


def _other(case: Case, services: dict[str, Any]) -> Iterator[Finding]:
    told = services.get("netplay-relay", {})
    words = (told.get("said") or told.get("errors") or "").strip()
    running = told.get("code") == 0 and not words.startswith("down")
    if running:
        yield fine("the relay runs", words)
    else:
        yield trouble("the relay does not run", words, f"invoke deploy{case.target.option}")
