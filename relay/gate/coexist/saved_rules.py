"""Rules of ours in the files a host loads its own rules from: whoever saves all rules saves ours with them.

Ours are of today and come back by the agent alone. A file with our chains brings today's friends back at each start of
the host, also when all else of ours is gone; and one that names our ipset is refused as a whole by iptables-restore,
before that set exists: then none of the host's own rules stands. So it is said; the file is the owner's.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

# Where Debian, Void and Arch, Alpine, and Red Hat keep what iptables-save printed; and what nft reads at the start.
IPTABLES = (
    "/etc/iptables/rules.v4",
    "/etc/iptables/rules.v6",
    "/etc/iptables/iptables.rules",
    "/etc/iptables/ip6tables.rules",
    "/etc/iptables/rules-save",
    "/etc/iptables/rules6-save",
    "/etc/sysconfig/iptables",
    "/etc/sysconfig/ip6tables",
)
NFTABLES = ("/etc/nftables.conf", "/etc/nftables.rules", "/etc/sysconfig/nftables.conf")
# The comment of a rule of ours in a chain of others.
OPENING = 'comment "(netplay-relay|NETPLAY-OPEN)"'


def notices(root: Path = Path("/")) -> list[str]:
    """Return a sentence for each file that holds rules of ours, with what takes them out. What cannot be read has none.

    root: where the host's files are.
    """
    found = []
    for name in IPTABLES:
        text = _text(root, name)
        if re.search(r"^(:|-A ).*\bNETPLAY", text, re.MULTILINE):
            refused = "is refused as a whole at the next start, with all of your own rules, for it names"
            what = f"{refused} a set of netplay-relay" if "--match-set netplay" in text else "loads them at each start"
            # Every line of ours has the word.
            found.append(f"{name} holds rules of netplay-relay and {what}. Remove them: sed -i /NETPLAY/d {name}")
    for name in NFTABLES:
        if re.search(OPENING, _text(root, name)):
            what = "holds openings of ours in chains of others and loads them at each start"
            # Nothing in it that a shell would take for something else.
            words = "sed -i -e /comment..netplay-relay/d -e /comment..NETPLAY-OPEN/d"
            found.append(f"{name} {what}. Remove them: {words} {name}")
    tables = [name for name in NFTABLES if re.search(r"^\s*table inet netplay\b", _text(root, name), re.MULTILINE)]
    again = "holds our table inet netplay and loads it at each start. Remove it by hand."
    return found + [f"{name} {again}" for name in tables]


def _text(root: Path, name: str) -> str:
    with contextlib.suppress(OSError):
        return (root / name.lstrip("/")).read_text(encoding="utf-8", errors="replace")
    return ""
