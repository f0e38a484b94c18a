"""Rooms without a host: the relay itself is the netplay server, of protocols 4 and 5, and has no core.

Everybody only connects. The first player's frames are the clock, its savestates bring in whoever comes later, and
when it leaves another player takes its place. docs/protocol.md, Core-less rooms, is the source of every rule. Nothing
here knows sockets, clocks or an event loop.
"""

from relay.coreless.room import Action, Close, CorelessRoom, CorelessSettings, Note, Send
from relay.coreless.settings import DEVICES

__all__ = ["DEVICES", "Action", "Close", "CorelessRoom", "CorelessSettings", "Note", "Send"]
