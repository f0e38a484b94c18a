"""What a person reads while a playbook runs: real runs of ansible on this machine, without any host."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.playbooks import command, environment, play
from tests.support.templates import ROOT, plugin

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
- name: Try things
  hosts: here
  gather_facts: false
  tasks:
    - name: Write a file
      ansible.builtin.copy: {content: "one\\ntwo\\n", dest: "{{ folder }}/file", mode: "0600"}
    - name: Make directories
      ansible.builtin.file: {path: "{{ folder }}/{{ item }}", state: directory, mode: "0700"}
      loop: [a, b]
    - name: Look only
      ansible.builtin.stat: {path: "{{ folder }}"}
    - name: Tell something
      ansible.builtin.debug: {msg: [The first thing., The second thing.]}
    - name: Mend
      block:
        - name: Break
          ansible.builtin.fail: {msg: this was mended}
      rescue:
        - name: Mend it
          ansible.builtin.stat: {path: /}
"""
BAD = """
- name: Fail in three ways
  hosts: all
  gather_facts: false
  tasks:
    - name: Refuse
      ansible.builtin.assert: {that: false, fail_msg: "Host refused is full. Type: make room", quiet: true}
      when: inventory_hostname == 'refused'
    - name: Install the file
      ansible.builtin.copy:
        src: "{{ folder }}/relay.toml"
        dest: "{{ folder }}/installed"
        mode: "0600"
        validate: "{{ folder }}/check %s"
      when: inventory_hostname == 'broken'
    - name: Reach
      ansible.builtin.ping:
      when: inventory_hostname == 'gone'
"""


def test_a_run_is_a_line_for_each_change_and_a_count(tmp_path: Path) -> None:
    status, said, errors = play(tmp_path, GOOD, {"here": {}})
    assert (status, errors) == (0, "")
    assert said.splitlines() == [
        "Try things",
        "  here  changed  Write a file",
        "  here  changed  Make directories: a, b",
        "note: The first thing.",
        "note: The second thing.",
        "here: 2 changed, 3 ok",
    ]


def test_a_look_ahead_says_what_would_change_and_shows_where(tmp_path: Path) -> None:
    status, said, _ = play(tmp_path, GOOD, {"here": {}}, "--check", "--diff")
    assert status == 0
    assert "  here  would change  Write a file" in said
    assert "here: 2 would change, 3 ok" in said
    assert "+two\n" in said
    assert f"    {tmp_path}/a: state absent -> directory" in said
    assert "ansible-local" not in said, "a temporary file of this machine says nothing to anybody"
    assert not (tmp_path / "file").exists()


def test_failures_are_sentences_after_everything_else(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text("nonsense")
    (tmp_path / "check").write_text('#!/bin/sh\necho "$1:7: there is no table [nonsense]." >&2\nexit 2\n')
    (tmp_path / "check").chmod(0o755)
    gone = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    status, said, errors = play(tmp_path, BAD, {"refused": {}, "broken": {}, "gone": gone})
    assert status != 0
    assert "refused: 0 changed, 0 ok, 1 failed" in said
    assert "gone: 0 changed, 0 ok, unreachable" in said
    assert "Host refused is full. Type: make room\n" in errors
    assert "broken: could not install the file: failed to validate\nrelay.toml:7: there is no table" in errors
    assert re.search(r"^gone cannot be reached: .*port 1: Connection refused$", errors, re.MULTILINE)
    assert not any(mark in said + errors for mark in ("{", "Traceback", "Task failed", "fatal", tmp_path.name + "/ans"))


def test_a_package_beside_a_relay_that_was_put_there_without_one_is_refused(tmp_path: Path) -> None:
    playbook = f"""
- name: Look
  hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.import_tasks: {ROOT}/ansible/playbooks/tasks/one_of_both.yml
"""
    here, gone = {"stat": {"exists": True}}, {"stat": {"exists": False}}
    hosts: dict[str, dict[str, object]] = {
        "both": {"xbps_found": {"known": True}, "__playbook_releases": here},
        "package": {"xbps_found": {"known": True}, "__playbook_releases": gone},
        "release": {"xbps_found": {"known": False}, "__playbook_releases": here},
        "debian": {"xbps_found": {"skipped": True}, "__playbook_releases": {"skipped": True}},
    }
    status, said, errors = play(tmp_path, playbook, hosts)
    assert status != 0
    assert [name for name in hosts if f"{name}: 0 changed, 0 ok, 1 failed" in said] == ["both"]
    assert "Take both off first, the settings stay: invoke remove --keep-config --host both." in errors


def test_on_a_terminal_the_task_under_way_is_shown_and_overwritten(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    env = {**environment(tmp_path), "ANSIBLE_NOCOLOR": "1"}
    with subprocess.Popen(command(tmp_path, GOOD, {"here": {}}), env=env, stdout=theirs) as process:
        os.close(theirs)
        said = b""
        while chunk := _read(ours):
            said += chunk
    os.close(ours)
    assert process.returncode == 0
    assert b"  ... Look only\x1b[K\r" in said
    assert b"  here  changed  Write a file\r\n" in said


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux' way to say that nobody writes any more
        return b""


BUILD = [f"=> compiling {number}" for number in range(400)]
REASON = "=> ERROR: netplay-relay-0.1.0_1: do-build failed"


@pytest.mark.parametrize("place", [0, 200, 399])
@pytest.mark.parametrize(
    ("errors", "output"),
    [([REASON], BUILD), ([], [*BUILD, REASON]), ([*BUILD, REASON], []), ([*BUILD, REASON], BUILD), (BUILD, [REASON])],
)
def test_the_reason_of_a_long_build_is_shown_whichever_stream_it_is_in(
    errors: list[str], output: list[str], place: int
) -> None:
    for stream in (errors, output):
        if REASON in stream:
            stream.remove(REASON)
            stream.insert(min(place, len(stream)), REASON)
    failed = {"msg": "non-zero return code", "stderr": "\n".join(errors), "stdout": "\n".join(output)}
    said = plugin("callback/sentences.py").failure("void", "Build", "command", failed).splitlines()
    assert said[:2] == ["void: could not build: non-zero return code", REASON]
    assert len(said) <= 13


def test_a_short_answer_is_shown_whole_and_in_its_order() -> None:
    failed = {"msg": "non-zero return code", "stderr": "Traceback\n  line\nKeyError: 1", "stdout": "one\n\ntwo"}
    said = plugin("callback/sentences.py").failure("void", "Build", "command", failed).splitlines()
    assert said[1:] == ["Traceback", "  line", "KeyError: 1", "one", "two"]
