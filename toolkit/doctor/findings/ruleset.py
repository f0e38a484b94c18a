"""The firewall rules: whether they are loaded, whether they hold every friend, and whether the agent runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from relay.gate.policy import expiry
from toolkit.doctor.finding import Finding, fine, note, trouble, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case

# From so many times on, some program clears the host's rules again and again.
HEALED = 3
FRIENDS, SETTINGS = "/etc/netplay-relay/friends.toml", "/etc/netplay-relay/relay.toml"


def look(case: Case) -> Iterator[Finding]:
    """Say what `gate status` says, as findings."""
    gate = case.told("gate")
    if gate is None:
        if case.host:
            yield note("the gate could not be asked", case.why_not("gate"))
        return
    push = f"invoke friends.push{case.target.option}"
    start = case.service("restart", "netplay-relay-firewall")
    missing = [entry["network"] for entry in gate["entries"] if not entry["in_force"]]
    backend = gate["backend"] or "no packet filter"
    if not gate["backend"]:
        yield trouble(
            "the host has no packet filter that works: only the relay's own list keeps strangers out",
            gate["problem"] or "", f"invoke deploy{case.target.option}",
        )  # fmt: skip
    elif not gate["present"]:
        yield trouble(
            "the firewall rules are not loaded: only the relay's own allowlist keeps strangers out",
            f"{backend} has no rules of netplay-relay", start,
        )  # fmt: skip
    elif missing:
        kept_out = f"the firewall rules lack {len(missing)} entries: these friends are kept out"
        yield trouble(kept_out, ", ".join(missing), push)
    else:
        yield fine(f"the firewall rules are loaded ({backend}) and hold {len(gate['entries'])} entries")
    if not gate["agent"]:
        said = "the firewall agent is not running: nothing loads the rules again when they are flushed"
        yield warning(said, cure=start)
    if gate["healed"]["count"] >= HEALED:
        times = f"the firewall rules had to be loaded again {gate['healed']['count']} times"
        yield warning(
            f"{times}: a program clears the host's rules",
            f"last on {expiry.shown(gate['healed']['at'])}: {gate['healed']['what']}",
            "Find the script or service that runs `nft flush ruleset` or `iptables -F`, and remove that command.",
        )
    lost = (case.told("access") or {}).get("friends") is False
    if lost:
        yield replace(
            trouble("the host has no friends.toml: nobody gets in", f"there is no file {FRIENDS}", push), key="list"
        )
    if not gate["entries"] and not lost:
        yield trouble(
            "nobody is on the list: nobody gets in", cure=f"invoke friends.add NAME --ip ADDRESS{case.target.option}"
        )
    if back := gate["rolled_back"]:
        yield warning(f"a change of the list was taken back on {expiry.shown(back['at'])}", back["why"], push)
    if gate["problem"]:
        yield _problem(case, gate["problem"])
    for sentence in gate["warnings"]:
        yield note(sentence)


def _problem(case: Case, problem: str) -> Finding:
    """Return the finding for what the agent complains of: which file of the host it is, and what sends that again."""
    file = next((one for one in (FRIENDS, SETTINGS) if problem.startswith(one)), "")
    what = f"the host's {file} cannot be used: what was applied last stays in force"
    task = "deploy" if file == SETTINGS else "friends.push"
    cure = f"invoke {task}{case.target.option}"
    return replace(warning(what if file else "the gate has a problem", problem, cure), key="gate")
