"""Who holds the relay's port on its host."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toolkit.doctor.finding import Finding, fine, note, trouble, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case

PID = re.compile(r"\bpid=(\d+)")
# What ss shows for every IPv4 address.
EVERY = ("0.0.0.0", "*")  # noqa: S104 - compared with, not bound to


def look(case: Case) -> Iterator[Finding]:
    """Say whether each port is open on the host, by whom, and for which family of addresses."""
    held = case.told("listening")
    if held is None:
        if case.host:
            yield note("who holds the relay's port could not be seen", case.why_not("listening"))
        return
    for port in case.target.ports:
        here = [one for one in held if one["port"] == port]
        who = "; ".join(f"{one['address']} {one['who']}" for one in here)
        strangers = [one for one in here if one["who"] and not _is_ours(case, one["who"])]
        if not here:
            yield trouble(f"nobody listens at port {port} on the host", cure=f"invoke deploy{case.target.option}")
        elif strangers and len(strangers) == len(here):
            stop = _stops(case, strangers[0])
            yield replace(
                trouble(
                    f"port {port} of the host is held by another program",
                    who,
                    f"{stop}Or give the relay another port: [listen] port in relay.toml, "
                    f"then invoke deploy{case.target.option}",
                ),
                key="port",
            )
        elif not any(one["address"] in EVERY for one in here):
            local = all(one["address"].startswith(("127.", "[::1]")) for one in here)
            yield (trouble if local else warning)(
                f"port {port} does not listen on every IPv4 address, and RetroArch hosts by IPv4 only",
                who,
                'Set bind = ["0.0.0.0", "::"] under [listen] in relay.toml, then: invoke deploy' + case.target.option,
            )
        else:
            yield fine(f"the relay holds port {port}", who)


def _stops(case: Case, held: dict[str, Any]) -> str:
    """Return the line that ends whoever holds the port, and puts the relay there; "" where that is not known."""
    pids = PID.findall(held["who"])
    again = "systemctl restart netplay-relay.socket netplay-relay.service"
    if case.init != "systemd" or not pids:
        return ""
    unit = str(held.get("unit") or "")
    ends = f"systemctl stop {shlex.quote(unit)}" if unit else f"kill {pids[0]} && sleep 1"
    return f"{case.there(f'{ends} && {again}')}\n"


def _is_ours(case: Case, who: str) -> bool:
    """Tell whether a port is held by the relay, or by the service manager for it."""
    ours = {"1", *(told["MainPID"] for told in (case.told("services") or {}).values() if "MainPID" in told)}
    if relay := case.told("relay"):
        ours.add(str(relay["pid"]))
    return bool(ours & set(PID.findall(who)))
