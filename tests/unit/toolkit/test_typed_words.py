"""Words that no task takes, the host that is meant where none is named, and commands that carry what was typed."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tasks import ns
from toolkit import addresses, console, words
from toolkit.console import ROOT
from toolkit.errors import BAD_INPUT
from toolkit.hosts import last, target
from toolkit.join import instructions
from toolkit.join.lines import state_line
from toolkit.join.rooms import Room

MISTAKES = [
    ("deploy myvps", "invoke deploy --host myvps"),
    ("deploy --check myvps", "invoke deploy --check --host myvps"),
    ("friends.add anna 203.0.113.7", "invoke friends.add anna --ip 203.0.113.7"),
    ("friends.add anna 2001:db8::1/64", "invoke friends.add anna --ip 2001:db8::1/64"),
    ("friends.add anna anna.example.org", "invoke friends.add anna --dns anna.example.org"),
    ("frends.add anna", "invoke friends.add anna"),
    ("friends add anna", "invoke friends.add anna"),
    ("statsu", "invoke status"),
    ("status --ask-becom", "invoke status --ask-become"),
    ("doctor 'relay|55435'", "invoke doctor --relay 'relay|55435'"),
    ("friends.check", "its subject"),
    ("deploy --host", "--host wants a value"),
    ("--foo deploy", "comes before any task"),
]


@pytest.mark.parametrize(("typed", "said"), MISTAKES)
def test_a_mistake_in_words_is_a_sentence_with_what_was_meant(typed: str, said: str) -> None:
    mistake = words.look(shlex.split(typed), ns.to_contexts())
    assert mistake is not None
    assert said in str(mistake)
    assert mistake.exit_code == BAD_INPUT


def test_it_ends_with_2_as_it_is_typed() -> None:
    argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "deploy", "myvps"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "invoke deploy --host myvps" in done.stderr) == (2, True)


def test_what_can_be_read_is_no_mistake() -> None:
    assert words.look(["friends.add", "anna", "--ip", "203.0.113.7"], ns.to_contexts()) is None


def test_a_task_without_a_host_names_the_one_it_means_and_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("alpha", "beta"):
        last.remember(target.real(name))
    assert last.resolve(None, None).host.alias == "beta"
    said = capsys.readouterr().out
    assert re.match(r"host +beta\b.*alpha.*--host alpha", said)
    last.resolve(None, None, quiet=True)
    assert capsys.readouterr().out == ""
    last.forget(target.real("beta"))
    assert last.resolve(None, None).host.alias == "alpha"


def test_a_command_carries_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_TYPED", {})
    console.remember({"host": "myvps", "user": "keeper", "become": True, "ssh_config": "my config"})
    carried = console.as_typed("Then: invoke deploy --host myvps\ninvoke friends.list; invoke lab.up")
    assert "invoke deploy --ssh-config 'my config' --user keeper --become --host myvps" in carried
    assert "invoke friends.list --host myvps --ssh-config 'my config'; invoke lab.up" in carried
    console.remember({"host": "myvps", "user": "keeper", "ask_become": True})
    assert console.as_typed("invoke deploy --host myvps --user root") == "invoke deploy --host myvps --user root"
    assert "--user keeper" in console.as_typed("invoke deploy --become --host x")
    assert "--ask-become" in console.as_typed("invoke status")
    assert console.as_typed(console.as_typed("invoke status")) == console.as_typed("invoke status")


def printed() -> list[str]:
    """Return every command that stands in a text of the toolkit."""
    found: list[str] = []
    for path in sorted((ROOT / "toolkit").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found += re.findall(r"(?<![\w./-])invoke ([a-z_]+\.[a-z_]+|[a-z]+)(?= |$|\n)", node.value)
    return found


def test_every_printed_command_is_a_task_that_takes_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is typed with all that may be carried: what a task does not take, it is not given."""
    tasks = {context.name: context for context in ns.to_contexts()}
    commands = {name for name in printed() if name in tasks}
    assert len(commands) > 10
    monkeypatch.setattr(console, "_TYPED", {})
    console.remember({"host": "h", "user": "keeper", "become": True, "ask_become": True, "ssh_config": "c"})
    for name in commands:
        given = re.findall(r" (--[a-z-]+)", console.as_typed(f"invoke {name}"))
        assert set(given) <= set(tasks[name].flags), name
        takes = {flag for flag in ("--ask-become", "--ssh-config", "--user") if flag in tasks[name].flags}
        assert takes <= set(given), name


@pytest.mark.parametrize(("address", "found"), [("203.0.113.7", True), ("2001:db8::1", False), ("localhost", True)])
def test_hosting_is_explained_where_an_address_can_be_hosted_by(address: str, found: bool) -> None:
    from relay.switchboard.rooms import Mode

    assert addresses.has_ipv4(address) is found
    said = str(instructions.type_lines(address, 55435, Mode.AUTO, hostable=found))
    assert ("Use Relay Server" in said) is found
    assert ("nobody can host" in said) is not found


def test_who_hosts_is_not_told_that_nobody_has_to() -> None:
    assert "Nobody has to host" not in state_line(Room(None, 55435, "auto"), hosting=True)


def test_a_long_line_is_blurred_by_looking_at_each_sign_a_bounded_number_of_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from toolkit.doctor import blur

    count, parsed = 0, blur._parsed

    def counting(text: str) -> str:
        nonlocal count
        count += 1
        return parsed(text)

    monkeypatch.setattr(blur, "_parsed", counting)
    for unit in ("a:", "1:2:3:4:5:6:7:", "ffff:::", ":", "1::2", "12:34:"):
        count = 0
        blur.addresses((unit * 20_000)[:20_000])
        assert count <= 20_000 * 60


def test_what_a_playbook_prints_goes_through_a_door_as_narrow() -> None:
    import importlib.util

    from toolkit import printable

    path = Path(ROOT, "ansible/plugins/callback/sentences.py")
    spec = importlib.util.spec_from_file_location("sentences_here", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for text in ("\x1b]52;c;x\x07", "\x9b31m", "\u202e", "\u200b", "\u2028", "a\tb", "a\rb", "\u034f", "\ue000"):
        assert module.shown(text) == printable.lines(text)
