"""The relay's state as text for a terminal, with the standard library alone (the host has nothing else)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from relay.pace import Verdict


def anybody_plays(state: dict[str, Any]) -> bool:
    """Tell whether somebody has joined a game, so that its pace can be judged."""
    return any(session["clients"] for session in state["sessions"]) or any(
        table["players"] for table in state.get("tables", [])
    )


def text(state: dict[str, Any], judged: Mapping[str, Sequence[Verdict]] = MappingProxyType({})) -> str:
    """Return what `status` gives, as lines for a person; judged: what makes games stutter (relay/pace.py)."""
    ports = ", ".join(str(port) for port in state["ports"])
    connections = state["connections"]
    lines = [
        f"{state['program']}, up {age(state['age'])}, ports {ports}"
        + (", stopping: no new rooms" if state["draining"] else ""),
        f"connections {connections['now']} of {connections['most']}",
    ]
    if problem := state.get("allowlist", {}).get("problem"):
        lines.append(problem)
    if not state["sessions"] and not state["tables"]:
        lines.append("nobody hosts")
    for session in state["sessions"]:
        lines += ["", *_session(session), *_judged(judged.get(session["id"], ()))]
    for table in state["tables"]:
        lines += ["", *_table(table), *_judged(judged.get(f"port {table['port']}", ()))]
    lines += ["", *sent] if (sent := sent_off(state)) else []
    ended = (("ended", state["outcomes"]), ("sessions ended", state.get("session_outcomes", {})))
    told = [f"{what}: {counted(counts)}" for what, counts in ended if counts]
    return "\n".join([*lines, *([""] if told else []), *told])


def _judged(verdicts: Sequence[Verdict]) -> list[str]:
    return [f"  ! {verdict.sentence}" for verdict in verdicts]


def counted(outcomes: dict[str, int]) -> str:
    """Return how many ended with which word: left 3, frozen 1."""
    return ", ".join(f"{word} {count}" for word, count in outcomes.items())


def _table(table: dict[str, Any]) -> list[str]:
    """Return a core-less session: what is played, who keeps time, who holds the game, as far as it is shown."""
    lines = [f"core-less session on port {table['port']}, {age(table['age'])}"]
    if table["frame"] is not None:
        core = f"{table['core']} {table['core_version']}".strip() or "nothing yet"
        lines[0] += f", {core}, frame {table['frame']}"
    if table["paused_by"]:
        lines[0] += f", paused by {' and '.join(table['paused_by'])}"
    for player in table["players"]:
        does = (player["role"] or "") + (f" as player {player['player']}" if player["player"] else "")
        facts = [does, player["retroarch"]]
        facts += ["keeps time"] if player["number"] == table["master"] else []
        facts += [f"{player['behind']} frames behind"] if player["behind"] else []
        told = ", ".join(fact for fact in facts if fact)
        carried = f"{size(player['bytes_from_client'])} in, {size(player['bytes_to_client'])} out"
        who = f"{player['nick'] or 'somebody'} {player['address']}, {age(player['age'])}"
        way = f"{milliseconds(player['to_client'])} to client"
        lines.append(f"  {who}, {way}, {carried}" + (f": {told}" if told else ""))
    return lines


def _session(session: dict[str, Any]) -> list[str]:
    host = session["host"]
    way = to_host(host)
    shown = f" ({way})" if way else ""
    lines = [f"room {session['id']} on port {session['port']}, {age(session['age'])}, host {host['address']}{shown}"]
    for client in session["clients"]:
        lines += _client(client)
    return lines if session["clients"] else [*lines, "  nobody has joined"]


def _client(client: dict[str, Any]) -> list[str]:
    ways = f"{milliseconds(client['to_client'])} to client, {milliseconds(client['to_host'])} to host"
    carried = f"{size(client['bytes_from_client'])} in, {size(client['bytes_from_host'])} out"
    lines = [f"  {client['state']} {client['address']}, {age(client['age'])}, {ways}, {carried}"]
    if seen := client["seen"]:
        lines.append("    " + ", ".join(_facts(seen)))
    return lines


def _facts(seen: dict[str, Any]) -> list[str]:
    host, client = seen["host"], seen["client"]
    who = client["nick"] or "somebody"
    facts = [f"{who} {seen['role']}" + (f" as player {seen['player']}" if seen["player"] else "")]
    if host["nick"]:
        facts.append(f"with {host['nick']}")
    if core := host["core"] or client["core"]:
        facts.append(core)
    if client["retroarch"]:
        facts.append(f"RetroArch {client['retroarch']}")
    if seen["paused"]:
        facts.append(f"paused by {seen['paused_by']}")
    if seen["desyncs"]:
        facts.append(f"desyncs {seen['desyncs']}")
    return facts


def to_host(host: dict[str, Any]) -> str:
    """Return the round-trip time to a host, or for how long its machine has been silent; "" for neither."""
    if host.get("silence") is not None:
        return f"silent for {age(host['silence'])}"
    return "" if host.get("rtt") is None else f"{host['rtt'] * 1000:.0f} ms"


def sent_off(state: dict[str, Any]) -> list[str]:
    """Return a sentence for each player who was alone where somebody hosts now, and has not come back since."""
    hosted = {session["port"]: session for session in state["sessions"]}
    said = []
    for entry in state.get("ended", []):
        session = hosted.get(entry.get("table"))
        address = entry.get("address")
        if entry["kind"] != "player" or entry["outcome"] != "host-came" or session is None or not address:
            continue
        if all(client["address"] != address for client in session["clients"]):
            said.append(
                f"{address} was alone at port {entry['table']}, where {session['host']['address']} hosts now, "
                "and was disconnected: that player has to connect again"
            )
    return list(dict.fromkeys(said))


def milliseconds(way: dict[str, Any] | None) -> str:
    """Return the round-trip time and jitter of a way, or how long it has been silent; "-" where nothing is known."""
    if way and way.get("silence") is not None:
        return f"silent for {age(way['silence'])}"
    return "-" if way is None else f"{way['rtt'] * 1000:.0f}±{way['jitter'] * 1000:.0f} ms"


def age(seconds: float) -> str:
    """Return a duration in seconds as people say it: 42 s, 5 min, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(count: int) -> str:
    """Return a number of bytes with its unit."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
