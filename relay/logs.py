"""The relay's log: a line for each session and connection that ends, text or JSON, addresses blurred on demand."""

from __future__ import annotations

import ipaddress
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from relay.addresses import Address
from relay.config import Log

log = logging.getLogger("netplay-relay")
# A record of nothing: what is the same in every line (thread, process, file) is not found out anew for each.
_BLANK = logging.LogRecord(log.name, logging.INFO, "", 0, "", (), None).__dict__
_PLAIN = (str, int)
# Seconds between two lines about something that may happen thousands of times in one.
SAY_AGAIN = 1.0


def blur(address: Address) -> str:
    """Return an address without its host part: 203.0.113.0/24, 2001:db8:1::/48."""
    length = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, length), strict=False))


class Events:
    """Writes what happened, with the fields a program would look for. blurred leaves out host parts of addresses."""

    def __init__(self, blurred: bool) -> None:
        self._blurred = blurred

    def write(self, level: int, event: str, sentence: str, **fields: Any) -> None:
        """Log a sentence with {field} places; every field also stands in the JSON form."""
        if not log.isEnabledFor(level):
            return
        shown = {name: value if type(value) in _PLAIN else self._shown(value) for name, value in fields.items()}
        record = logging.LogRecord.__new__(logging.LogRecord)
        record.__dict__ = {
            **_BLANK,
            "created": time.time(),
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "msg": sentence.format_map(shown),
            "event": event,
            "fields": shown,
        }
        log.handle(record)

    def _shown(self, value: Any) -> Any:
        if isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
            return blur(value) if self._blurred else str(value)
        return round(value, 3) if isinstance(value, float) else value


class Seldom:
    """Lets a sentence be said once in a second, and counts how often it would have been. clock returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said = float("-inf")
        self._count = 0

    def count(self) -> int:
        """Count one more; return how many there were since it was last said if it is to be said now, else 0."""
        self._count += 1
        now = self._clock()
        if now - self._said < SAY_AGAIN:
            return 0
        count, self._count, self._said = self._count, 0, now
        return count


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, event, message and the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", "message"),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def set_up(settings: Log) -> Events:
    """Send the log to standard error, where systemd's journal and runit's vlogger pick it up."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(levelname)s %(message)s")
    handler.setFormatter(JsonFormatter() if settings.format == "json" else text)
    log.handlers[:] = [handler]
    # No line tells of threads and processes, so no record needs to ask.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    log.propagate = False
    log.setLevel(settings.level.upper())
    return Events(settings.addresses == "blurred")
