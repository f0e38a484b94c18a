"""Rules of ours that somebody has saved with his own: found, and said with what takes them out."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from relay.gate.agent import Agent
from relay.gate.backends import iptables_text
from relay.gate.coexist import raw_rules, saved_rules
from relay.gate.policy import plan, ruleset
from tests.support.gate_memory import NOW, MemoryGate, friend

WALL = ruleset.build(plan.make([], {}, NOW), (55435,), 96)
OWN = ["*filter", ":INPUT DROP [0:0]", "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT", "COMMIT", ""]


def rules(ipset: bool) -> str:
    """Return what iptables-save prints on a host with rules of its own and the ruleset."""
    ours = [
        *(f":{chain} - [0:0]" for chain in iptables_text.CHAINS),
        iptables_text.JUMP,
        *iptables_text.frame(WALL, 4, ipset=ipset),
    ]
    return "\n".join([*OWN[:2], *ours, *OWN[2:]])


def host(folder: Path, name: str, text: str) -> Path:
    """Give a host a file."""
    path = folder / name.lstrip("/")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(("ipset", "words"), [(True, "is refused as a whole"), (False, "loads them at each")])
@pytest.mark.parametrize("name", ["/etc/iptables/rules.v4", "/etc/iptables/iptables.rules"])
def test_saved_chains_of_ours_are_said_and_what_is_to_be_typed_takes_them_out(
    tmp_path: Path, ipset: bool, words: str, name: str
) -> None:
    path = host(tmp_path, name, rules(ipset))
    (notice,) = saved_rules.notices(tmp_path)
    assert notice.startswith(f"{name} holds rules of netplay-relay and {words}")
    *command, file = notice.partition("Remove them: ")[2].split()
    assert file == name
    subprocess.run([*command, path], check=True)
    assert path.read_text() == "\n".join(OWN)
    assert saved_rules.notices(tmp_path) == []


def test_saved_openings_of_ours_are_said_too(tmp_path: Path) -> None:
    host(tmp_path, "/etc/iptables/rules.v6", raw_rules.opening([55435], ""))
    assert len(saved_rules.notices(tmp_path)) == 1


@pytest.mark.parametrize("place", [("inet", "mine", "incoming"), ("ip", "filter", "INPUT")])
def test_a_saved_opening_in_a_chain_of_nftables_is_said_and_what_is_to_be_typed_takes_it_out(
    tmp_path: Path, place: tuple[str, str, str]
) -> None:
    """It lets everybody through that filter at each start, also when the relay is gone."""
    family, table, chain = place
    own = [f"table {family} {table} {{", f"\tchain {chain} {{", "\t\ttcp dport 22 accept", "\t}", "}", ""]
    ours = [f"\t\t{' '.join(command[6:])}" for command in raw_rules.insertions(place, [55435])]
    path = host(tmp_path, "/etc/nftables.conf", "\n".join([*own[:2], *ours, *own[2:]]))
    (notice,) = saved_rules.notices(tmp_path)
    typed = notice.partition("Remove them: ")[2]
    *command, file = typed.split()
    assert shlex.split(typed) == [*command, file], "a shell reads it as it stands"
    assert file == "/etc/nftables.conf"
    subprocess.run([*command, path], check=True)
    assert path.read_text() == "\n".join(own)
    assert saved_rules.notices(tmp_path) == []


def test_an_opening_by_nft_that_iptables_saves_is_said_and_taken_out_with_all_that_is_ours(tmp_path: Path) -> None:
    """As iptables-save prints what was opened in its table by nft."""
    commands = raw_rules.insertions(("ip", "filter", "INPUT"), [55435])
    tags = [command[-1].strip('"') for command in commands]
    ours = [f"-A INPUT -p tcp -m tcp --dport 55435 -m comment --comment {tag} -j ACCEPT" for tag in tags]
    path = host(tmp_path, "/etc/iptables/rules.v4", "\n".join([*OWN[:2], *ours, *OWN[2:]]))
    (notice,) = saved_rules.notices(tmp_path)
    *command, _ = notice.partition("Remove them: ")[2].split()
    subprocess.run([*command, path], check=True)
    assert path.read_text() == "\n".join(OWN)


@pytest.mark.parametrize(
    ("text", "count"),
    [("table inet netplay {\n}\n", 1), ("table inet filter {\n}\n", 0), ("# not table inet netplay\n", 0), ("\xff", 0)],
)
def test_a_saved_table_of_ours_is_said(tmp_path: Path, text: str, count: int) -> None:
    host(tmp_path, "/etc/nftables.conf", text).write_text(text, encoding="latin-1")
    assert len(saved_rules.notices(tmp_path)) == count


def test_it_is_said_where_other_firewalls_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "host").mkdir()
    gate = MemoryGate(tmp_path / "host")
    gate.places.friends.write_text(friend("anna", 'ip = "5.6.7.8"'))
    monkeypatch.setattr(saved_rules, "notices", lambda: ["it is saved"])
    outcome = Agent(gate).look(told=True)
    assert outcome is not None
    assert outcome.others == ["it is saved"]
