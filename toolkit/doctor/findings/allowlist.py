"""Has the relay that runs the list that was written for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, fine, trouble, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case


def look(case: Case) -> Iterator[Finding]:
    """Say what keeps friends out although they are on the list: the relay cannot read it, or has another one."""
    told = (case.told("gate") or {}).get("allowlist")
    if not told:
        return
    push = f"invoke friends.push{case.target.option}"
    someone = bool(case.told("gate")["entries"])
    if told["problem"] and told["lets_in"] is False and someone:
        yield trouble("the relay lets nobody in: it does not have the allowlist", told["problem"], push)
    elif told["problem"] and told["lets_in"] is None:
        yield warning("the relay lets everybody in that the firewall lets through", told["problem"], _restart(case))
    elif told["problem"]:
        yield warning("the relay does not have the list that was written for it", told["problem"], push)
    elif told["lets_in"]:
        yield fine("the relay has the list that was written for it")


def _restart(case: Case) -> str:
    return f"invoke deploy{case.target.option}"
