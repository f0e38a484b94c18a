"""How many connections the host lets the relay have: each is an open file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, fine, trouble, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case

# Open files beside connections: listeners, the control socket, the log, those who ask.
OTHERS = 64


# Where the owner raises it so that the next deployment leaves it alone.
HOLDS = {
    "systemd": "LimitNOFILE={} under [Service], by: systemctl edit netplay-relay",
    "runit": "OPEN_FILES={} in /etc/sv/netplay-relay/conf",
}


def look(case: Case) -> Iterator[Finding]:
    """Compare the limit of the relay's process with what its settings promise, and with what it has open."""
    files, relay = case.told("files"), case.told("relay")
    if not files or not relay:
        return
    most = relay["connections"]["most"]
    evidence = (
        f"{files['open']} open, {files['soft']} allowed (hard limit {files['hard']}), {most} connections promised"
    )
    cure = (
        f"invoke deploy{case.target.option} restores the limit as it is shipped. Does something else hold it lower?\n"
    )
    if case.init in HOLDS:
        cure += f"Raise it: {HOLDS[case.init].format(most * 2)}\n"
    cure += "Or promise less: limits.connections in relay.toml"
    if files["soft"] - files["open"] < OTHERS // 2:
        yield trouble("the relay has nearly all the files open that it may: nobody else gets in", evidence, cure)
    elif files["soft"] < most + OTHERS:
        yield warning("the relay may not open as many files as limits.connections promises", evidence, cure)
    else:
        yield fine("the relay may open as many files as it needs", evidence)
