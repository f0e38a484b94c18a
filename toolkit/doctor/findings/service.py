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
# Seconds after which a relay that was started again counts as running well; onhost.py waits for them.
STEADY = 5.0


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
        again = case.service("restart", RELAY.removesuffix(".service"))
        yield replace(
            trouble(
                "the relay does not answer on its host",
                case.why_not("relay"),
                f"{again}\nSee why in its log: {case.log()}",
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
        elif _fails(told):
            yield _failing(
                case, unit, f"{what}: it starts and fails, again and again", f"{state}, {told.get('Result')}"
            )
        elif told.get("ActiveState") != "active":
            result = f", {told['Result']}" if told.get("Result") not in (None, "success") else ""
            # Both at once: each alone does not play.
            disabled = any(services.get(one, {}).get("UnitFileState") == "disabled" for one, _ in units)
            verb = "enable --now" if disabled else "start"
            yield trouble(f"{what}: it is stopped", state + result, f"{case.ssh} systemctl {verb} {SOCKET} {RELAY}")
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


def _fails(told: dict[str, Any]) -> bool:
    """Tell whether systemd starts a unit again and again."""
    return told.get("ActiveState") == "activating" and int(told.get("NRestarts") or 0) > 0


def _failing(case: Case, unit: str, sentence: str, state: str) -> Finding:
    """Return the finding for a unit that cannot start: by what others added to it, else its own text may be wrong."""
    added = str((case.told("services") or {}).get(unit, {}).get("DropInPaths") or "").split()
    own = f"{unit.removesuffix('.service')}[", f"{unit}: Main process exited"
    last = [line for line in case.told("log") or [] if any(words in line for words in own)][-1:]
    evidence = "\n".join([state, *last])
    deploy = f"invoke deploy{case.target.option}"
    if not added:
        return trouble(sentence, evidence, f"{deploy}\nIt writes {unit} again. See why it fails: {case.log()}")
    revert = case.there(f"systemctl revert {unit} && systemctl restart {SOCKET} {RELAY}")
    return trouble(
        f"{sentence}; {', '.join(added)} changes {unit}",
        evidence,
        f"{revert}\nThat removes {', '.join(added)}. See why it fails: {case.log()}",
    )


def _other(case: Case, services: dict[str, Any]) -> Iterator[Finding]:
    told = services.get("netplay-relay", {})
    words = (told.get("said") or told.get("errors") or "").strip()
    running = told.get("code") == 0 and not words.startswith("down")
    if running:
        yield fine("the relay runs", words)
    else:
        yield trouble("the relay does not run", words, f"invoke deploy{case.target.option}")
