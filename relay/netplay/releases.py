"""Which RetroArch sent a header: its last word is a hash of the release's name and of the highest protocol it speaks.

The hash is short and some releases share one; then all of them are named. An unofficial build carries the name of the
release it was made from (docs/protocol.md, Versions).
"""

from __future__ import annotations

from collections import defaultdict

# Every release by the highest netplay protocol it speaks. 1.7.0 and older speak protocol 4 and have another header.
RELEASES = {
    5: (
        "1.7.1 1.7.2 1.7.3 1.7.4 1.7.5 1.7.6 1.7.7 1.7.8 1.7.8.1 1.7.8.2 1.7.8.3 1.7.8.4 1.7.9 1.7.9.1 1.7.9.2 "
        "1.8.0 1.8.1 1.8.2 1.8.3 1.8.4 1.8.5 1.8.6 1.8.7 1.8.8 1.8.9 "
        "1.9.0 1.9.1 1.9.2 1.9.3 1.9.4 1.9.5 1.9.6 1.9.7 1.9.8 1.9.9 1.9.10 1.9.11 1.9.12 1.9.13 1.9.13.1 1.9.13.2 "
        "1.9.14"
    ),
    6: (
        "1.10.0 1.10.1 1.10.2 1.10.3 1.11.0 1.11.1 1.12.0 1.13.0 1.14.0 1.15.0 1.16.0 1.17.0 1.18.0 1.19.0 1.19.1 "
        "1.20.0"
    ),
    7: "1.21.0 1.22.0 1.22.1 1.22.2",
}


# Those whose header is another one, and tells no release.
OLDEST = "1.7.0 or older"


def implementation(release: str, protocol: int) -> int:
    """Return the last word of the header that a release sends; protocol is the highest it speaks."""
    word = protocol << (len(release) & 15)
    for place, character in enumerate(release.encode("ascii")):
        word ^= character << (place & 15)
    return word


def _table() -> dict[int, str]:
    releases: defaultdict[int, list[str]] = defaultdict(list)
    for protocol, names in RELEASES.items():
        for name in names.split():
            releases[implementation(name, protocol)].append(name)
    return {word: " or ".join(names) for word, names in releases.items()}


_NAMES = _table()


def of_header(header: bytes) -> str:
    """Return the release that a client's header is of, one of a bounded number of words; "unknown" for any other."""
    return _NAMES.get(int.from_bytes(header[20:24], "big"), "unknown")


def guess(word: int) -> str:
    """Return the release behind the last word of a header, like "1.12.0" or "1.10.1 or 1.14.0"."""
    return _NAMES.get(word) or f"unknown ({word:#x})"
