"""What hosts answer, as shapes (shapes.py): the relay's status, the gate's commands, the doctor's questions.

What is said there of each is written where the answer is made: relay/monitoring/status.py, relay/gate/cli.py,
toolkit/doctor/onhost.py, toolkit/deploy/releases.py. Only what is read here is named; the rest is cleaned.
"""

from __future__ import annotations

from toolkit.ssh.shapes import (
    Shape,
    address,
    any_port,
    anything,
    by_key,
    count,
    each,
    either,
    flag,
    line,
    matching,
    moment,
    network,
    number,
    or_null,
    port,
    record,
    seconds,
    session_id,
    some_address,
    some_session_id,
    table,
    text,
    whole,
    whole_moment,
)  # fmt: skip

CRC = or_null(matching("[0-9A-Fa-f]{8}|", "a CRC-32 of 8 hexadecimal digits"))
WAY = or_null(record({"rtt": seconds}, {"jitter": seconds, "retransmits": or_null(count)}))
PEER = record(
    {"nick": line, "core": line},
    {"retroarch": line, "core_version": line, "content_crc": CRC},
)
SEEN = or_null(
    record(
        {"client": PEER, "host": PEER, "role": line},
        {
            "player": or_null(count), "paused": flag, "paused_by": line, "desyncs": count, "stalls": count,
            "refusal": line, "password": or_null(flag), "password_sent": flag,
        },
    )
)  # fmt: skip
CLIENT = record(
    {"address": address, "state": line, "bytes_from_client": count, "bytes_from_host": count},
    {
        "port": any_port, "age": seconds, "waiting_bytes": count, "to_client": WAY, "to_host": WAY, "seen": SEEN,
    },
)  # fmt: skip
SESSION = record(
    {"id": session_id, "port": port, "age": seconds, "clients": each(CLIENT)},
    {"host": or_null(record({"address": address}, {"rtt": or_null(seconds)})), "joins": count, "mode": or_null(line)},
)
PLAYER = record(
    {"nick": or_null(line)},
    {
        "address": address, "port": any_port, "age": seconds, "bytes_from_client": count, "bytes_to_client": count,
        "waiting_bytes": count, "to_client": WAY, "role": or_null(line), "player": or_null(count),
        "retroarch": or_null(line), "core": or_null(line), "content_crc": CRC,
    },
)  # fmt: skip
TABLE = record(
    {"port": port, "age": seconds, "joins": count, "players": each(PLAYER)},
    {
        "core": or_null(line), "core_version": or_null(line), "content_crc": CRC, "paused_by": or_null(each(line)),
    },
)  # fmt: skip
_ENDED = {"number": count, "kind": line}
_END = {**_ENDED, "outcome": line, "seconds": seconds}
_WHERE = {
    "port": any_port, "reason": line, "joins": count, "address": some_address, "session": some_session_id,
    "bytes_from_client": count, "bytes_from_host": count, "to_client": WAY, "to_host": WAY, "seen": SEEN,
}  # fmt: skip
ENDING = by_key(
    "kind",
    {
        "session": record({**_END, "session": session_id, "address": some_address}, _WHERE),
        "client": record(
            {
                **_END, "session": some_session_id, "address": address, "bytes_from_client": count,
                "bytes_from_host": count,
            },
            _WHERE,
        ),
        "refused": record({**_END, "address": some_address}, _WHERE),
        "table": record({**_END, "table": port}, _WHERE),
        "player": record(
            {**_END, "table": port, "address": address, "bytes_from_client": count, "bytes_to_client": count}, _WHERE
        ),
    },
)  # fmt: skip
ROOM = record({"id": session_id, "port": port}, {"mode": line})
COUNTS = table(count)
STATUS = record(
    {
        "program": line, "age": seconds, "draining": flag, "ports": each(port, 65535),
        "connections": record({"now": count, "most": count}), "rooms": each(ROOM), "sessions": each(SESSION),
        "outcomes": COUNTS,
    },
    {
        "pid": count, "main_port": port, "mode": line, "tables": each(TABLE), "session_outcomes": COUNTS,
        "clients": COUNTS, "ended": each(ENDING),
    },
)  # fmt: skip

SENTENCES = each(line)
TAKEN_BACK = or_null(record({"at": whole_moment, "token": line, "why": line}))
ENTRY = record(
    {
        "network": network, "friends": each(line), "names": each(line), "until": or_null(whole_moment),
        "remaining": or_null(number(-1e12, 1e12)), "in_force": flag, "seen": or_null(whole_moment),
        "connected": or_null(count),
    },
    {"packets": or_null(count)},
)  # fmt: skip
NAME = record({"addresses": each(network)}, {"at": or_null(moment), "error": or_null(line)})
GATE = record(
    {
        "backend": or_null(line), "present": flag, "complete": flag, "agent": or_null(count),
        "healed": record({"count": count}, {"at": or_null(moment), "what": or_null(line)}),
        "entries": each(ENTRY), "expired": each(record({"friend": line, "until": whole_moment})),
        "names": table(NAME), "packets": COUNTS, "warnings": SENTENCES, "others": SENTENCES,
        "rolled_back": TAKEN_BACK, "problem": or_null(line),
    },
    {"changing": or_null(count), "ports": each(port, 65535), "relay": line, "opened": each(anything)},
)  # fmt: skip
MISTAKE = record(
    {"error": record({"message": text, "fix": or_null(text), "file": or_null(line), "line": or_null(count)})}
)
THEIRS = record(
    {
        "digest": matching("[0-9a-f]{1,64}", "a digest"),
        "friends": each(
            record({"name": line, "ip": each(network), "dns": each(line), "until": or_null(whole_moment), "note": line})
        ),
    }
)
REFUSED = record({"others": THEIRS})
OPENED = each(record({"tool": line, "ports": each(port, 65535)}))
APPLIED = record(
    {
        "changed": flag, "checked": flag, "backend": or_null(line), "ports": each(port, 65535), "rules": flag,
        "added": each(network), "removed": each(network), "refreshed": each(network), "opened": OPENED,
        "others": SENTENCES, "warnings": SENTENCES, "token": or_null(matching(r"[A-Za-z0-9_-]{1,128}", "a token")),
    }
)  # fmt: skip
CHECKED = record(
    {
        "subject": line, "verdict": matching("in|out|unknown", "in, out or unknown"), "because": or_null(line),
        "steps": each(record({"ok": or_null(flag), "layer": line, "sentence": line})),
    }
)  # fmt: skip
KICKED = record({"kicked": or_null(count)}, {"problem": or_null(line), "networks": each(network)})
NOT_CONFIRMED = record({"confirmed": flag}, {"replaced": or_null(record({"by": or_null(line)}))})
# By the command of `netplay-relay gate` that is asked.
OF_GATE: dict[str, Shape] = {
    "apply": APPLIED,
    "check": CHECKED,
    "confirm": record({"confirmed": flag}, {"rolled_back": TAKEN_BACK}),
    "kick": KICKED,
    "rollback": record({"rolled_back": flag}),
    "status": GATE,
}
RELEASES = each(
    either(
        record({"package": line}),
        record(
            {
                "id": matching(r"[A-Za-z0-9._-]{1,128}", "the id of a release"), "version": line, "installed": moment,
                "current": flag, "used": or_null(moment),
            }
        ),
    ),
    1000,
)  # fmt: skip

# The doctor's questions; each is null where it was not answered, and "problems" says why.
FIREWALL = record(
    {"sentence": line, "evidence": text, "shut": each(port), "forwarded": each(port), "command": or_null(text)},
)
SHUT = record({"whose": line, "path": line, "at": line, "mode": line, "owner": line})
DISK = record({"path": line, "free": count, "total": count, "files_free": count, "files_total": count})
LOOKED: Shape = record(
    {
        "time": moment, "uid": whole(0, 2**32), "came_from": some_address, "problems": table(line),
        "system": or_null(record({"os": line, "kernel": line, "python": line, "init": line})),
        "relay": or_null(STATUS), "gate": or_null(GATE), "firewalls": or_null(each(FIREWALL)),
        "services": or_null(table(table(either(line, or_null(count))))), "log": or_null(each(line)),
        "release": or_null(record({"installed": line})),
        "settings": or_null(record({"text": text, "good": flag, "said": text})),
        "access": or_null(record({"account": line, "friends": flag, "closed": each(SHUT)})),
        "clock": or_null(record({"synchronized": or_null(flag)}, {"by": line})), "disk": or_null(each(DISK)),
        "files": or_null(record({"soft": whole(), "hard": whole(), "open": count})),
        "listening": or_null(each(record({"address": line, "port": port, "who": line}))),
    }
)  # fmt: skip
