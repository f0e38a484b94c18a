"""The one word with which every connection, and every session, ends. Each is logged once and counted.

A session has its host's, a core-less session that of whoever was in it last.

docs/outcomes.md is written from these texts; a test keeps the two alike.
"""

from __future__ import annotations

from enum import StrEnum

_SHOWN_FULL = "a friend is shown 'Netplay host full'"


class Outcome(StrEnum):
    """How a connection ended: the value is the word in the log, doc says what it means and what to do."""

    doc: str

    def __new__(cls, word: str, doc: str) -> Outcome:
        """Make the word the value and keep its meaning beside it."""
        outcome = str.__new__(cls, word)
        outcome._value_ = word
        outcome.doc = doc
        return outcome

    # Before a connection has said what it is.
    SILENT = "silent", "it sent nothing, or less than a word, in the time allowed (timeouts.first_bytes)"
    INCOMPLETE = "incomplete", "it began like RetroArch and stopped half way (timeouts.header)"
    GARBAGE = "garbage", "its first bytes are not RetroArch netplay: a scanner, a browser, a wrong port"
    POKE = "poke", "a lobby asked whether a relay is here; a private relay does not answer"
    LEFT_EARLY = "left-early", "it closed before it said what it is"
    STRANGER = "stranger", "its address is not on the allowlist; a client is shown 'You are banned from this host'"
    EVICTED = "evicted", "too many connections had not said what they are, and its address had most of them"
    TOO_MANY = "too-many", f"the relay holds as many connections as it may (limits.connections); {_SHOWN_FULL}"
    TOO_MANY_FROM_ADDRESS = (
        "too-many-from-address",
        f"that address has all it may (limits.connections_per_address); {_SHOWN_FULL}",
    )
    TOO_FAST = "too-fast", f"that address connects faster than it may (limits.setups_per_second); {_SHOWN_FULL}"

    # Hosts.
    HOST_LEFT = "host-left", "the host ended its session"
    HOST_BROKE_PROTOCOL = "host-broke-protocol", "the host sent something no RetroArch sends; its session was ended"
    HOST_STUCK = "host-stuck", "the host had stopped reading and its socket was full"
    REPLACED = "replaced", "its connection was dead: its address, or a new host at its room's port, has the room now"
    HOST_DEAD = (
        "host-dead",
        "its line was dead: its machine acknowledged nothing, and somebody wanted to join, or to host in its place",
    )
    NO_ROOM_FREE = "no-room-free", "there are as many sessions as there may be (limits.sessions)"
    TOO_MANY_HOSTS = "too-many-hosts", "that address hosts as much as it may (limits.sessions_per_address)"
    ROOM_TAKEN = "room-taken", "the room of that port is hosted already"
    NO_HOSTS_HERE = "no-hosts-here", 'a host at a port for games without one (mode = "coreless"); it plays on alone'
    DRAINING = "draining", "the relay is stopping and opens no new rooms"

    # Clients.
    NO_SESSION = "no-session", "it named a session that does not exist: an old invitation, a typing error, a guess"
    NO_HOST = "no-host", "it named no session and nobody hosts"
    AMBIGUOUS = "ambiguous", "it named no session and several are hosted; it is shown 'Netplay host full'"
    SESSION_FULL = "session-full", "the session has all its clients; it is shown 'Netplay host full'"
    NOT_LINKED = "not-linked", "the host made no link in time (timeouts.link); it is shown 'Netplay host full'"
    HOST_GONE = "host-gone", "the host left while the client waited for its link"
    FLOODED = "flooded", "it sent more than fits before its link was made, or introduced (buffers.waiting_client)"
    LEFT_WAITING = "left-waiting", "it left while it waited for its link"

    # Links.
    UNCLAIMED = "unclaimed", "it offered a link nobody waits for: late, twice, or a guess"

    # Players of core-less rooms.
    BROKE_PROTOCOL = "broke-protocol", "a player of a core-less session sent something no RetroArch sends"
    NEEDS_HOST = (
        "needs-host",
        "its core (as gpSP) links consoles by packets that only a host passes on: somebody must host",
    )
    OTHER_PROTOCOL = "other-protocol", "its RetroArch is too old or too new for the players in the room"
    OTHER_CORE = "other-core", "it has another core than the players in the room"
    NO_HANDSHAKE = "no-handshake", "it stopped in the middle of the handshake with a core-less session"
    GAVE_UP = "gave-up", "RetroArch itself hung up: what it was sent did not fit its game"
    NO_STATE = "no-state", "it was new and got no savestate: the core of the player who keeps time saves none"
    FROZEN = "frozen", "the others had to wait for its input for too long; only it was dropped"
    VANISHED = "vanished", "it was silent and kept out another player who wanted to join"
    HOST_CAME = (
        "host-came",
        "it was alone in a game without a host, and somebody hosts at that port now: it has to connect again",
    )
    ROOM_FAILED = "room-failed", "an internal error of the relay ended the core-less session; the log has the traceback"
    PAUSED_TOO_LONG = "paused-too-long", "it paused while newer RetroArch, which cannot wait longer, took part"

    # Both ends of a link.
    LEFT = "left", "it played, and closed first"
    PEER_LEFT = "peer-left", "it played, and the other end closed first"
    OVERRUN = (
        "overrun",
        "it read too slowly and more waited for it than may (buffers.slow_client, slow_clients), or no memory was left "
        "for what it sent or waited for (buffers.memory)",
    )
    LINK_FAILED = "link-failed", "an internal error of the relay ended this link; the log has the traceback"
    KICKED = "kicked", "the owner ended it"
    SHUTDOWN = "shutdown", "the relay stopped before it left"
