"""How far away the relay is, how evenly, and what that means for a game."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, fine, warning
from toolkit.play import ways

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case

# Milliseconds to the relay and back. Two players that far away each are as far from each other, one way.
GOOD, BEARABLE = 60.0, 120.0
UNEVEN = 10.0
CABLE = "Use a cable instead of Wi-Fi, and see that nothing else fills the line (uploads, streaming)."


def _means(one_way: float) -> str:
    """Return what so many seconds from player to player are for a game: half a round trip, and half of a friend's."""
    frames, wanted = ways.frames(one_way), ways.latency_frames(one_way)
    if frames <= 1:
        return "input is there within a frame"
    late = f"with a friend as far from it, input is {frames} frames late"
    if not wanted:
        return f"{late}, which hardly anybody sees"
    return f"{late}; the host makes it smoother by Input Latency Frames {wanted} (netplay_input_latency_frames_min)"


def look(case: Case) -> Iterator[Finding]:
    """Say the round trip, and what it is for a game."""
    latency = case.latency
    if latency is None or not latency.samples:
        return
    median, jitter = latency.median * 1000, latency.jitter * 1000
    means = _means(latency.median)
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
