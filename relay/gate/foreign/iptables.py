"""Rules of others as iptables-save prints them."""

from __future__ import annotations

import re
import shlex

from relay.gate.foreign.chain import UNREADABLE, Chain, Rule, both

_NUMBERS = {"tcp": "6", "udp": "17"}


def iptables_input(saved: str, family: str, port: int, protocol: str = "tcp") -> Chain | None:
    """Return the INPUT chain of what `iptables-save -t filter` printed; None when there is none.

    port, protocol ("tcp" or "udp"): of the packet that will walk it.
    """
    policy = re.search(r"^:INPUT (ACCEPT|DROP) ", saved, re.MULTILINE)
    rules: dict[str, list[Rule]] = {}
    for line in saved.splitlines():
        if line.startswith("-A "):
            chain, rule = _iptables_line(line, port, protocol)
            rules.setdefault(chain, []).append(rule)
    return Chain(family, "filter", "INPUT", policy[1].lower(), rules) if policy else None


def _iptables_line(line: str, port: int, protocol: str) -> tuple[str, Rule]:
    """Return the chain and what the rule does. One that cannot be read decides nothing."""
    try:
        _, chain, *words = shlex.split(line)
        return chain, _iptables_rule(words, port, protocol)
    except UNREADABLE:
        return "", Rule(None, "")


def _iptables_rule(words: list[str], port: int, protocol: str) -> Rule:
    match: bool | None = True
    verdict, negated, place = "", False, 0
    while place < len(words):
        word, value = words[place], words[place + 1] if place + 1 < len(words) else ""
        place += 2
        if word == "!":
            negated, place = True, place - 1
            continue
        if word in ("-j", "-g"):
            verdict = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"}.get(value, "")
            verdict = verdict or f"{'goto' if word == '-g' else 'jump'} {value}"
            break  # what follows are the target's own options
        found = _iptables_match(word, value, port, protocol)
        if found is None or word == "--tcp-flags":
            place, values = _values(words, place - 1)
            found = _is_syn(*values) if word == "--tcp-flags" else None
        match = both(match, (not found if found is not None else None) if negated else found)
        negated = False
    return Rule(match, verdict)


def _values(words: list[str], place: int) -> tuple[int, list[str]]:
    """Return where the next option begins and the values before it: some options have none, some have two."""
    end = next((at for at in range(place, len(words)) if words[at].startswith(("-", "!"))), len(words))
    return end, words[place:end]


def _is_syn(looked_at: str, set_there: str) -> bool:
    """Tell whether the first packet of a connection has these TCP flags set, of those that are looked at."""
    return {"SYN"} & set(looked_at.split(",")) == set(set_there.split(",")) - {"NONE"}


def _iptables_match(word: str, value: str, port: int, protocol: str) -> bool | None:
    if word == "-p":
        return value in (protocol, "all", _NUMBERS[protocol])
    if word in ("-m", "--comment"):
        return True
    if word in ("--dport", "--dports"):
        spans = [part.split(":") for part in value.split(",")]
        return any(int(span[0] or 0) <= port <= int(span[-1] or 65535) for span in spans)
    if word in ("--ctstate", "--state"):
        return "NEW" in value.split(",")
    if word == "-i":
        return False if value == "lo" else None
    return None


def forwards(saved: str, port: int) -> bool:
    """Tell whether rules that `iptables-save -t nat` printed send the port elsewhere, as Docker's do."""
    rule = re.compile(rf"^-A \S+ .*--dport {port} .*-j (DNAT|REDIRECT)", re.MULTILINE)
    return bool(rule.search(saved))
