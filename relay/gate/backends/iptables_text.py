"""iptables: the text that makes the ruleset for hosts without nft, and what iptables-save and ipset say of it. Pure.

The same chains in iptables and ip6tables: NETPLAY, jumped to from INPUT once, leaves out every packet that is not for
the relay's ports; NETPLAY-GATE decides, NETPLAY-FRIEND holds the cap. Friends are in an ipset (netplay4, netplay6)
where the host has ipset, and have a rule each where it has not. One text for iptables-restore --noflush replaces the
chains in one step and touches nothing else; nft- and legacy-backed iptables read it alike.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from relay.addresses import Network
from relay.gate.backends.ipset import SET_NAMES, by_set, members
from relay.gate.backends.lacking import CAP, LOG, refusal
from relay.gate.foreign.iptables import iptables_input
from relay.gate.policy.plan import order
from relay.gate.policy.ruleset import LOG_PREFIX, Ruleset, Standing, parse_network

CHAINS = ("NETPLAY", "NETPLAY-GATE", "NETPLAY-FRIEND")
JUMP = "-A INPUT -j NETPLAY"
# What is tried is tried there.
TRIAL = "NETPLAY-TRIAL"
MASKS = {4: 32, 6: 64}
# What multiport takes at once.
PORTS_PER_RULE = 15

# How iptables-restore names a line of what it was told.
_WHERE = re.compile(r"\bline:? (\d+)\b")
_OURS = re.compile(r"-A NETPLAY(-GATE|-FRIEND)? ")
_COUNTS = re.compile(r"^\[(\d+):\d+\] ")
# Long options of our rules. Values go as far as the next option; what else a release prints is left out, but for short
# options: these are what a rule is about, other than -c, its counts.
_OPTIONS = frozenset(
    {
        "--dports", "--ctstate", "--match-set", "--limit", "--limit-burst", "--log-prefix", "--connlimit-above",
        "--connlimit-mask", "--connlimit-saddr",
    }
)  # fmt: skip
_SHORT = re.compile(r"-[^-c]")
_UNORDERED = ("--ctstate", "--dports")
# What is about some sources decides nothing for a stranger; there may be thousands of such rules. Wider than this,
# sources may be anybody's.
WIDEST = {4: 8, 6: 16}
_FROM = re.compile(r"-A \S+ -s (\S+)/(\d+) ")
_BY = re.compile(r"-A \S+ (?:(?:! )?-[sd] \S+ )*-i (\S+)")
_SOURCE = re.compile(r"-A NETPLAY-GATE -s (\S+) -j NETPLAY-FRIEND")
_COUNT = re.compile(r"\[(\d+):\d+\] (-A .*)")


def frame(wall: Ruleset, version: int, *, ipset: bool, without: Collection[str] = ()) -> list[str]:
    """Return the rules of our chains, as iptables-save would print them in their order.

    without: of relay.gate.backends.lacking.OPTIONAL what is left out.
    """
    rules = []
    ports = [str(port) for port in wall.ports]
    for start in range(0, len(ports), PORTS_PER_RULE):
        some = ",".join(ports[start : start + PORTS_PER_RULE])
        rules += [f"-A NETPLAY -p {kind} -m multiport --dports {some} -j NETPLAY-GATE" for kind in ("tcp", "udp")]
    for start in range(0, len(wall.datagrams), PORTS_PER_RULE):
        some = ",".join(map(str, wall.datagrams[start : start + PORTS_PER_RULE]))
        rules.append(f"-A NETPLAY -p udp -m multiport --dports {some} -j NETPLAY-GATE")
    # A game that runs goes on, also when its player's entry is gone.
    rules.append("-A NETPLAY-GATE -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
    rules.append("-A NETPLAY-GATE -i lo -j ACCEPT")
    if ipset:
        rules.append(f"-A NETPLAY-GATE -m set --match-set {SET_NAMES[version]} src -j NETPLAY-FRIEND")
    else:
        rules += [f"-A NETPLAY-GATE -s {network} -j NETPLAY-FRIEND" for network in sources(wall, version)]
    if LOG not in without:
        rules.append(f'-A NETPLAY-GATE -m limit --limit 6/min --limit-burst 10 -j LOG --log-prefix "{LOG_PREFIX}"')
    rules.append("-A NETPLAY-GATE -j DROP")
    limit = f"--connlimit-above {wall.most} --connlimit-mask {MASKS[version]} --connlimit-saddr"
    if CAP not in without:
        rules.append(f"-A NETPLAY-FRIEND -m connlimit {limit} -j DROP")
    rules.append("-A NETPLAY-FRIEND -j ACCEPT")
    return rules


def trial(wall: Ruleset, version: int, feature: str) -> str:
    """Return the text for iptables-restore --noflush that shows whether a feature can be had: in a chain of its own."""
    kept = frame(wall, version, ipset=True, without=[feature])
    tried = [rule for rule in frame(wall, version, ipset=True) if rule not in kept]
    rules = [re.sub(r"^-A \S+ ", f"-A {TRIAL} ", rule) for rule in tried]
    return "\n".join(["*filter", f":{TRIAL} - [0:0]", *rules, "COMMIT", ""])


def trial_end() -> str:
    """Return the text for iptables-restore --noflush that takes the chain of a trial away, there or not."""
    return "\n".join(["*filter", f":{TRIAL} - [0:0]", f"-X {TRIAL}", "COMMIT", ""])


def refused(said: str, text: str) -> str:
    """Return what iptables-restore said of a text, with the rule that it means where it names one, and the cure."""
    lines = text.splitlines()
    where = _WHERE.search(said)
    line = lines[int(where[1]) - 1] if where and 0 < int(where[1]) <= len(lines) else ""
    return refusal(said, line if line.startswith("-") else "")


def sources(wall: Ruleset, version: int) -> list[Network]:
    """Return every network of one family that may connect, in order."""
    return sorted([*wall.sets[f"host{version}"], *wall.sets[f"net{version}"]], key=order)


def restore(rules: list[str], jumps: int, *, bypassed: bool = False) -> str:
    """Return the text for iptables-restore --noflush; jumps: how often INPUT jumps to us now.

    bypassed: what comes before that jump lets strangers in, so it is made the first rule again.
    """
    stands = jumps == 1 and not bypassed
    jump = [] if stands else [*["-D INPUT -j NETPLAY"] * jumps, "-I INPUT 1 -j NETPLAY"]
    return "\n".join(["*filter", *(f":{chain} - [0:0]" for chain in CHAINS), *rules, *jump, "COMMIT", ""])


def removal(standing: list[str], jumps: int) -> str:
    """Return the text for iptables-restore --noflush that takes away the chains of ours that are standing."""
    if not standing and not jumps:
        return ""
    jump = ["-D INPUT -j NETPLAY"] * jumps
    chains = [*(f":{chain} - [0:0]" for chain in standing), *jump, *(f"-X {chain}" for chain in standing)]
    return "\n".join(["*filter", *chains, "COMMIT", ""])


def chains(saved: str) -> list[str]:
    """Return which of our chains stand in what iptables-save printed."""
    return [chain for chain in CHAINS if _has(saved, chain)]


def left(saved: str) -> list[str]:
    """Return which chains are to be taken away: ours, and that of a trial that was interrupted."""
    return [*chains(saved), *([TRIAL] if _has(saved, TRIAL) else [])]


def _has(saved: str, chain: str) -> bool:
    return re.search(rf"^:{chain} ", saved, re.MULTILINE) is not None


def is_bare(saved: str) -> bool:
    """Tell whether what iptables-save printed holds no rule, no chain of anybody, and lets everything through."""
    lines = _uncounted(saved)
    usual = re.compile(r"#|\*filter|COMMIT|:(INPUT|FORWARD|OUTPUT) ACCEPT ")
    return "*filter" in lines and all(usual.match(line) for line in lines)


def rules(saved: str) -> list[str]:
    """Return the rules of our chains in what iptables-save printed, without counts."""
    return [line for line in _uncounted(saved) if _OURS.match(line)]


def bypassed(saved: str, rules: Iterable[str], uplinks: Sequence[str] = ()) -> bool:
    """Tell whether a rule before INPUT's jump to us may let in a stranger's first packet to what ours are for.

    uplinks: the interfaces that strangers come in by. That we are not the first is no harm by itself: others want to be
    first, too, and do no more than look at what comes in by another interface or from an address of theirs. Where we
    are the first, the answer is no, whatever follows: being moved there once is all that a false alarm costs.
    """
    others = [line for line in _uncounted(saved) if not _OURS.match(line) and not _is_for_some(line, uplinks)]
    if next((line for line in others if line.startswith("-A INPUT ")), JUMP) == JUMP:
        return False
    # As if nothing came after us: what gets through now has been let in before.
    text = "\n".join("-A INPUT -j DROP" if line == JUMP else line for line in others)
    chains = (iptables_input(text, "", port, protocol) for protocol, port in _targets(rules))
    return any(chain is not None and chain.may_let_in() for chain in chains)


def _is_for_some(line: str, uplinks: Sequence[str]) -> bool:
    """Tell whether a rule is about sources, or an interface, that are not a stranger's."""
    if (few := _FROM.match(line)) and int(few[2]) >= WIDEST[6 if ":" in few[1] else 4]:
        return True
    if not (by := _BY.match(line)):
        return False
    name = by[1]
    return not any(uplink == name or (name[-1] == "+" and uplink.startswith(name[:-1])) for uplink in uplinks)


def _targets(rules: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield every protocol and port that rules of our chains are for."""
    for rule in rules:
        if match := re.match(r"-A NETPLAY -p (tcp|udp) .*--dports (\S+)", rule):
            # Ours have no ranges.
            yield from ((match[1], int(port)) for port in match[2].split(",") if port.isdecimal())


def _uncounted(saved: str) -> list[str]:
    return [line for _, line in _counted(saved)]


def _counted(saved: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of what iptables-save printed, each with its packets, ours in the words of `frame`."""
    for line in saved.splitlines():
        count = _COUNTS.match(line)
        rule = line[count.end() :] if count else line
        is_ours = "NETPLAY" in rule and (_OURS.match(rule) or rule.startswith("-A INPUT "))
        yield int(count[1]) if count else 0, _in_our_words(rule) if is_ours else rule


def _in_our_words(rule: str) -> str:
    """Return a rule without what a release prints beside the options we use: counts, defaults, comments."""
    if _SOURCE.fullmatch(rule) or rule == JUMP:
        return rule  # of these there may be thousands
    try:
        words = shlex.split(rule)
    except ValueError:
        return rule
    kept: list[str] = []
    place = 0
    while place < len(words):
        end = next((at for at in range(place + 1, len(words)) if words[at].startswith("-") or words[at] == "!"), None)
        option, *values = words[place:end]
        place = len(words) if end is None else end
        if option in _UNORDERED:
            values = [",".join(sorted(value.split(","), key=_order)) for value in values]
        # "!" is about what comes next.
        about = words[place] if option == "!" and place < len(words) else option
        if about in _OPTIONS or _SHORT.fullmatch(about):
            kept += [option, *(f'"{value}"' if " " in value else value for value in values)]
    return " ".join(kept)


def _order(value: str) -> tuple[int, str]:
    """Return what ports and states are sorted by: numbers as such, states the other way round, as we write them."""
    return (int(value), "") if value.isdecimal() else (-ord(value[:1] or " "), value)


def jumps(saved: str) -> int:
    """Return how often INPUT jumps to our chain in what iptables-save printed."""
    return _uncounted(saved).count(JUMP)


def parse(
    saved: Mapping[int, str], sets: str | None, uplinks: Mapping[int, Sequence[str]] | None = None
) -> Standing | None:
    """Read what iptables-save -c printed for each family, and `ipset save` (None: entries are rules).

    uplinks: of each family, see `bypassed`. Returns None when nothing of ours stands in any family. Raises ValueError:
    what stands in our place nobody of ours wrote.
    """
    if not any(chains(text) or jumps(text) for text in saved.values()):
        return None
    frames = [(version, _plain(rules(text)), jumps(text)) for version, text in sorted(saved.items())]
    shape = all(_is_whole(text, (uplinks or {}).get(version, ())) for version, text in saved.items())
    listed = list(_listed(saved) if sets is None else members(sets))
    seen = {network: count for network, _, count in listed}
    digest = hashlib.sha256(repr(frames).encode()).hexdigest()
    return Standing(digest, shape, by_set(listed), _packets(saved), seen)


def _is_whole(saved: str, uplinks: Sequence[str]) -> bool:
    """Tell whether all our chains are there, jumped to once, and nobody lets strangers in before."""
    return chains(saved) == list(CHAINS) and jumps(saved) == 1 and not bypassed(saved, rules(saved), uplinks)


def _plain(found: list[str]) -> list[str]:
    """Return rules without the entries that are rules: those are compared as elements."""
    return [rule for rule in found if not _SOURCE.fullmatch(rule)]


def _listed(saved: Mapping[int, str]) -> Iterator[tuple[Network, float | None, int]]:
    for text in saved.values():
        for count, rule in _counted(text):
            if match := _SOURCE.fullmatch(rule):
                yield parse_network(match[1]), None, count


def _packets(saved: Mapping[int, str]) -> dict[str, int]:
    packets = {"established": 0, "friends": 0, "capped": 0, "refused": 0}
    for text in saved.values():
        for count, rule in _counted(text):
            if counter := _counter(rule):
                packets[counter] += count
    return packets


def _counter(rule: str) -> str:
    if rule.startswith("-A NETPLAY-FRIEND "):
        return "capped" if rule.endswith(" -j DROP") else "friends"
    if "--ctstate" in rule and rule.startswith("-A NETPLAY-GATE "):
        return "established"
    return "refused" if rule == "-A NETPLAY-GATE -j DROP" else ""


def without_times(wall: Ruleset) -> Ruleset:
    """Return the ruleset as it is when each entry is a rule: rules have no timeouts."""
    return replace(wall, sets={name: dict.fromkeys(elements) for name, elements in wall.sets.items()})
