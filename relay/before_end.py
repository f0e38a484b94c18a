"""What happened in the last second before an end that looks like nobody's fault: somebody closed, and no more is known.

RetroArch gives no reason when it hangs up, but what made it do so has nearly always just gone by. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from relay.outcomes import Outcome

# Ends that say no more than that somebody closed.
BARE = frozenset({Outcome.LEFT, Outcome.PEER_LEFT})
# Seconds that a line owes a confirmation, frames that one end is behind the other.
DEAD, BEHIND = 2.0, 40
# The player has just got a place, or the game, in a room with pads of the core's own kind.
OWN_PADS = "own-pads"
SAID = {
    "loaded": "a savestate was loaded by hand at the host, for which RetroArch throws everybody out",
    "state": "the host sent its game again: a savestate loaded by hand?",
    "reset": "the host reset the game",
    "asked": "the game differed from the host's (a desync)",
    "host-resumed": "a pause was over, after which RetroArch does not go on: set Allow Pausing OFF at the host",
    "client-resumed": "a pause was over, after which RetroArch does not go on: set Allow Pausing OFF at the host",
    "host-paused": "the game was paused",
    "client-paused": "the game was paused",
    "mode": "the player had begun or ceased to play",
    "joined": "somebody else had begun or ceased to play",
}
# The same where nobody hosts.
CORELESS = {
    OWN_PADS: "the room has pads of the core's own kind ([coreless] devices), and RetroArch leaves where the core's"
    " option for their adapter is not set (docs/controllers.md)",
    "loaded": "a savestate was loaded by hand",
    "reset": "the game was reset",
    "state": "the time keeper's game was sent to everybody",
    "paused": "the game was paused",
    "resumed": "a pause was over",
    "mode": "the player had begun or ceased to play",
    "joined": "somebody began to play",
}


def of_link(seen: dict[str, Any] | None, to_client: dict[str, Any] | None, to_host: dict[str, Any] | None) -> str:
    """Return what had just happened on a link that was hosted; "" for nothing.

    seen, to_client and to_host: as relay/monitoring/status.py shows them.
    """
    return "; ".join(dict.fromkeys([*_lines(to_client, to_host), *_seen(seen or {})]))


def of_player(lately: Collection[str], to_client: dict[str, Any] | None) -> str:
    """Return what had just happened in a core-less session; lately: words of CORELESS."""
    # A newcomer, a loaded state and a reset all have the time keeper's game sent: they say more.
    explained = {"state"} if {"loaded", "reset", "joined"} & {*lately} else set()
    # Every newcomer has these.
    explained |= {"mode", "joined", "state"} if OWN_PADS in lately else set()
    said = [said for word, said in CORELESS.items() if word in {*lately} - explained]
    return "; ".join([*_lines(to_client, None), *said])


def _lines(to_client: dict[str, Any] | None, to_host: dict[str, Any] | None) -> Iterator[str]:
    for way, whose in ((to_client, "the player's"), (to_host, "the host's")):
        silent = (way or {}).get("silence") or 0.0
        if silent >= DEAD:
            yield f"{whose} line was dead: nothing was confirmed for {silent:.0f} s"


def _seen(seen: dict[str, Any]) -> Iterator[str]:
    lately = seen.get("lately") or ()
    # A state that the client asked for is no more than the answer; RetroArch 1.21 asks for one after every MODE.
    explained = {"state"} if {"asked", "loaded", "mode", "joined"} & {*lately} else set()
    yield from (said for word, said in SAID.items() if word in {*lately} - explained)
    frame, own = seen.get("frame"), seen.get("client_frame")
    if seen.get("role") != "playing" or frame is None or own is None:
        return
    if frame - own >= BEHIND:
        yield f"the player was {frame - own} frames behind: RetroArch drops whom it had to wait for"
    elif own - frame >= BEHIND:
        yield f"the host was {own - frame} frames behind: RetroArch leaves a host it had to wait for"
