"""How far away the relay is, how evenly, and what that means for a game."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, fine, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case

FRAME_MS = 1000 / 60
# Milliseconds to the relay and back. Two players that far away each are as far from each other, one way.
GOOD, BEARABLE = 60.0, 120.0
UNEVEN = 10.0
CABLE = "Use a cable instead of Wi-Fi, and see that nothing else fills the line (uploads, streaming)."


def look(case: Case) -> Iterator[Finding]:
    """Say the round trip, and how many frames of input latency hide it."""
    latency = case.latency
    if latency is None or not latency.samples:
        return
    median, jitter = latency.median * 1000, latency.jitter * 1000
    frames = math.ceil(median / FRAME_MS)
    # Half of our round trip and half of a friend's as long: one way from player to player.
    means = (
        f"with a friend as far from it, input is {frames} frame{'s' if frames != 1 else ''} on its way; "
        f"Input Latency Frames {frames} (netplay_input_latency_frames_min, set by the host) hides that"
        if frames > 1
        else "input is there within a frame"
    )
    evidence = (
        f"{len(latency.samples)} round trips, {min(latency.samples) * 1000:.1f} to {max(latency.samples) * 1000:.1f} ms"
    )
    distance = f"the relay is {median:.0f} ms away (jitter {jitter:.1f} ms): {means}"
    if median > BEARABLE:
        yield warning(distance + "; fast games suffer", evidence, "A relay nearer to the players is the only cure.")
    elif median > GOOD:
        yield fine(distance + "; most games bear that", evidence)
    else:
        yield fine(distance, evidence)
    if jitter >= UNEVEN:
        yield warning(
            f"the way to the relay is uneven: {jitter:.0f} ms from one round trip to the next, the game will stutter",
            evidence,
            CABLE,
        )
    if latency.lost:
        yield warning(
            f"packets are lost on the way to the relay: {latency.lost} of {latency.lost + len(latency.samples)}",
            "a first packet had to be sent again",
            CABLE,
        )
