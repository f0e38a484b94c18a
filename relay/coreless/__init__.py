"""Core-less sessions: the relay itself is the netplay server, of protocols 4 and 5, and has no core.

Everybody only connects. The first player's frames are the clock, its savestates bring in whoever comes later, and
when it leaves another player takes its place. docs/protocol.md, Core-less sessions, is the source of every rule.
Nothing here knows sockets, clocks or an event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from relay.coreless.settings import DEVICES, CorelessSettings

if TYPE_CHECKING:
    from relay.coreless.room import Action, Close, Conversion, Convert, CorelessRoom, Note, Rest, Send

__all__ = [
    "DEVICES",
    "Action",
    "Close",
    "Conversion",
    "Convert",
    "CorelessRoom",
    "CorelessSettings",
    "Note",
    "Rest",
    "Send",
]


def __getattr__(name: str) -> Any:
    # Whoever only reads settings, as the gate does while somebody waits to be let in, loads no rooms.
    if name not in __all__:
        raise AttributeError(name)
    from relay.coreless import room

    return getattr(room, name)
