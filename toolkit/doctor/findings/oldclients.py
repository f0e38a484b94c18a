"""RetroArch of 1.9 and older among those who came: it speaks another protocol, and fails without a good reason."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, note, warning
from toolkit.status import rooms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case

OLD = re.compile(r"1\.[0-9](\.|$)")


def look(case: Case) -> Iterator[Finding]:
    """Say which old releases were seen, now on a link or since the relay started."""
    relay = case.told("relay") or {}
    seen = {name for name, count in relay.get("clients", {}).items() if count and OLD.match(name)}
    for session in rooms.rooms(relay) if relay else []:
        for client in session["clients"]:
            release = ((client.get("seen") or {}).get("client") or {}).get("retroarch", "")
            seen |= {release} if OLD.match(release) else set()
    if not seen:
        return
    sentence = "somebody came with RetroArch 1.9 or older: it cannot host here, and joins only some who do"
    evidence = "its header is that of " + "; ".join(sorted(seen))
    modes = {relay.get("mode"), *(room.get("mode") for room in relay.get("rooms", []))}
    if modes & {"auto", "coreless"}:
        yield note(sentence, evidence, "It plays in games without a host: nobody hosts, everybody connects.")
    else:
        yield warning(sentence, evidence, 'Update it to 1.10 or newer, or allow games without a host: mode = "auto".')
