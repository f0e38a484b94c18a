"""How many connections the host lets the relay have: each is an open file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, fine, trouble, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case

# Open files beside connections: listeners, the control socket, the log, those who ask.
OTHERS = 64


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
        f"LimitNOFILE={most * 2} in netplay-relay.service (invoke deploy{case.target.option} restores the shipped one)"
    )
    if files["soft"] - files["open"] < OTHERS // 2:
        yield trouble("the relay has nearly all the files open that it may: nobody else gets in", evidence, cure)
    elif files["soft"] < most + OTHERS:
        yield warning("the relay may not open as many files as limits.connections promises", evidence, cure)
    else:
        yield fine("the relay may open as many files as it needs", evidence)
