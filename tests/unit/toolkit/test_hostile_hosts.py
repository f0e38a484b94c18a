"""A host that was broken into answers whatever it likes: every task that shows something of a host is bounded and safe.

The ssh of these tests is a stand-in that plays such a host. What is printed has no sign in it that a terminal obeys,
what is pasted nothing that a shell would run, and what is no answer of our programs ends with a sentence.
"""

from __future__ import annotations

import json
import resource
import shlex
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import statuses
from toolkit import printable
from toolkit.doctor import gather
from toolkit.errors import HOST_UNUSABLE, TROUBLE_FOUND
from toolkit.hosts import inventory, last, remote, target
from toolkit.hosts.inventory import Entry
from toolkit.hosts.names import HostName
from toolkit.ssh import answers, bounded, connection, replies
from toolkit.watch import stream

if TYPE_CHECKING:
    from tests.support.typed import Done, Typing

# What it says to one of our programs, by the words of the command; -G is asked of ssh itself.
PROGRAM = """\
import os, sys, time
if "-V" in sys.argv:
    sys.exit("OpenSSH_9.2p1")
if "-G" in sys.argv:
    print("hostname 127.0.0.1")
    sys.exit(0)
if "-O" in sys.argv:
    sys.exit(0)
out, code = sys.stdout.buffer, 0
{body}
out.flush()
os._exit(code)
"""
ID = "AAAAAAAAAAAAAAAB"
EVIL = "a\x1b]52;c;ZXZpbA==\x07\x1b]0;t\x07\x9b31m\u202eb\u200b\u2028c\u2066\nnote: typed by nobody\r\x00d\u0301"
EVIL += "\u034f\ufeff"
# Each way in which something of a host is asked for, once; then all that show it.
ASKING = (
    ("status",), ("friends.list",), ("watch",), ("doctor",), ("rollback", "--list"), ("deploy", "--host", "myvps"),
    ("friends.push",), ("friends.remove", "anna", "--kick"),
)  # fmt: skip
SHOWING = (
    ("status",), ("status", "--json"), ("join",), ("join", "--json"), ("friends.list",), ("friends.list", "--json"),
    ("friends.check", "anna"), ("watch",), ("watch", "--json"), ("doctor",), ("doctor", "--json"),
    ("rollback", "--list"), ("rollback", "--list", "--json"), ("rollback",), ("remove", "--host", "myvps"),
    ("deploy", "--host", "myvps"), ("deploy", "--host", "myvps", "--check"), ("friends.remove", "anna", "--kick"),
    ("friends.add", "bert", "--ip", "203.0.113.7"), ("friends.push",),
)  # fmt: skip


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what makes the host do something whatever it is asked; it was deployed to, and waits cost little time."""
    assert connection.release() is not None
    monkeypatch.setattr(remote, "SECONDS", 4.0)
    monkeypatch.setattr(gather, "HOST_SECONDS", 3.0)
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 3.0)
    monkeypatch.setattr(stream, "SILENCE", 2.0)
    monkeypatch.setattr(stream, "FIRST_RETRY", 0.1)
    place = target.real("myvps")
    files = inventory.files_of(place.host)
    inventory.make_missing(files, Entry(HostName("myvps", "myvps"), None, False))
    files.friends.write_text('[[friend]]\nname = "anna"\nip = "198.51.100.4"\n')
    last.remember(place)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def does(body: str) -> None:
        (tmp_path / "ssh.py").write_text(PROGRAM.format(body=body))
        (tmp_path / "ssh").write_text(f'#!/bin/sh\nexec {sys.executable} {shlex.quote(str(tmp_path))}/ssh.py "$@"\n')
        (tmp_path / "ssh").chmod(0o755)

    return does


def says(text: str | bytes) -> str:
    """Return the body of a host that says one thing."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return f"out.write({data!r})"


def is_safe(text: str) -> bool:
    """Tell whether a terminal shows all of a text where it is printed, by Unicode's own categories."""
    return not any(
        unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") or sign == "\u034f"
        for sign in text.replace("\n", "")
    )


def refused(done: Done) -> None:
    """Look at how a task ended that was given no answer."""
    assert is_safe(done.stdout + done.stderr)
    assert len(done.stdout + done.stderr) < 20_000
    assert "Traceback" not in done.stderr
    assert "note: typed by nobody" not in done.stdout.splitlines()
    assert done.code in (HOST_UNUSABLE, TROUBLE_FOUND), done
    assert done.code == TROUBLE_FOUND or done.stderr.startswith(("error: ", "host")), done.stderr
    assert "all is well" not in done.stdout


NO_ANSWERS = {
    "an empty object": says("{}\n"),
    "an empty list": says("[]\n"),
    "numbers": says("[1, 2]\n"),
    "deep lists": says("[" * 200_000 + "]" * 200_000),
    "deep objects": says('{"sessions":' * 200_000 + "1" + "}" * 200_000),
    "not UTF-8": says(b"\xff\xfe{\xc3\x28}\x80\n"),
    "NULs": says(b"\x00" * 5000 + b"{}"),
    "escape sequences": says(EVIL),
    "too much": "while True: out.write(b'x' * 65535 + b'\\n')",
    "a line without end": "while True: out.write(b'x' * 65536)",
    "slowly": "while True: out.write(b'{'); out.flush(); time.sleep(0.05)",
    "nothing for ever": "time.sleep(60)",
    "errors without end": "while True: sys.stderr.write('\\x1b[31m' * 9999)",
    "a bad exit": "sys.stderr.write('\\x1b]0;t\\x07 ssh-keygen -f $(touch x) -R $(touch x)\\n'); code = 255",
    "infinite": says('{"program": NaN, "age": 1e999, "pid": Infinity}'),
    "digits": says('{"pid": ' + "9" * 5000 + "}"),
    "marks": says(
        "".join(f"netplay-relay:{key}=$(touch x)\n" for key in ("uid", "account", "came_from", "sudo", "end"))
    ),
}


WAITS = ("slowly", "nothing for ever", "errors without end")
CASES = [
    *((words, what) for words in SHOWING for what in ("an empty object", "escape sequences")),
    *((words, what) for words in ASKING for what in NO_ANSWERS if what not in WAITS),
    *((words, what) for words in (("status",), ("join",)) for what in WAITS),
]


@pytest.mark.parametrize(
    ("words", "what"), dict.fromkeys(CASES), ids=lambda one: one if isinstance(one, str) else " ".join(one)
)
def test_what_is_no_answer_is_refused_soon_and_small(
    host: Callable[[str], None], invoke: Typing, words: tuple[str, ...], what: str, own_configuration: Path
) -> None:
    if words[0] == "rollback" and what == "an empty list":
        what = "numbers"  # of releases none may be there
    before = (own_configuration / "netplay-relay/hosts/myvps/friends.toml").read_text()
    host(NO_ANSWERS[what])
    begun = time.monotonic()
    refused(invoke(*words))
    assert time.monotonic() - begun < 60
    assert (own_configuration / "netplay-relay/hosts/myvps/friends.toml").read_text() == before


def test_what_was_said_too_much_is_not_kept() -> None:
    begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(bounded.TooMuchError):
        bounded.run(["cat", "/dev/zero"], seconds=60)
    # Three times what may come, in KiB: it is read, kept and cut.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begun < 3 * bounded.MOST_OUTPUT / 1024


def relay(**changes: Any) -> dict[str, Any]:
    """Return the state of a relay in which somebody plays."""
    sessions = [statuses.session(ID, clients=[statuses.client("bert")])]
    rooms, tables = [{"id": ID, "port": 55435, "mode": "tunnel"}], [statuses.table(55436, "x")]
    return statuses.status(rooms, sessions, (55435,), tables) | {
        "session_outcomes": {}, "clients": {}, "ended": [], **changes
    }  # fmt: skip


def gate(**changes: Any) -> dict[str, Any]:
    """Return the state of a gate that lets somebody in."""
    entry = {
        "network": "198.51.100.4/32", "friends": ["anna"], "names": [], "until": None, "remaining": None,
        "in_force": True, "packets": 0, "seen": 1_700_000_000, "connected": 0,
    }  # fmt: skip
    return {
        "backend": "nftables", "present": True, "complete": True, "changing": None, "ports": [55435], "agent": 7,
        "healed": {"count": 0, "at": None, "what": ""}, "entries": [entry], "expired": [], "names": {}, "packets": {},
        "warnings": [], "others": [], "opened": [], "pending": None, "rolled_back": None, "problem": "",
        "relay": "running", **changes,
    }  # fmt: skip


def dressed(value: Any, text: str) -> Any:
    """Return a document in which every text that may be any is another one."""
    if isinstance(value, dict):
        return {key: item if key in KEPT else dressed(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [dressed(item, text) for item in value]
    return text if isinstance(value, str) else value


# Texts that have a form of their own.
KEPT = {"verdict", "id", "network", "address", "content_crc", "came_from", "installed_id"}
RELEASE = {"id": "abcdef01", "version": "0.1", "installed": 1.7e9, "current": True, "used": None}
STEP = {"layer": "l", "ok": True, "sentence": "s"}
CHECK = {"subject": "anna", "friend": "anna", "verdict": "in", "because": "", "steps": [STEP]}
LOOKED = {
    "time": 1.7e9, "uid": 0, "came_from": "", "problems": {"log": "x"},
    "system": {"os": "Debian", "kernel": "6", "python": "3", "init": "systemd"}, "firewalls": [], "services": {},
    "log": ["ERROR x"], "release": {"installed": "x"}, "settings": {"text": "x", "good": False, "said": "x"},
    "clock": {"synchronized": True, "by": "x"}, "disk": [], "files": None, "listening": [],
}  # fmt: skip


def whole(text: str) -> str:
    """Return the body of a host that answers each question in its shape, with this text wherever one may stand."""
    table = {
        "status --follow": "\n".join(
            json.dumps(line) for line in ({"gate": dressed(gate(), text)}, {"relay": dressed(relay(), text)})
        ),
        "gate status": json.dumps(dressed(gate(), text)),
        "gate check": json.dumps(dressed(CHECK, text)),
        "status": json.dumps(dressed(relay(), text)),
        "-I -X utf8 - ": json.dumps(dressed({**LOOKED, "relay": relay(), "gate": gate()}, text)),
        "-I -X utf8 -": json.dumps([{**RELEASE, "version": text}]),
    }
    return (
        f"table = {table!r}\n"
        "out.write(next((text for words, text in table.items() if words in sys.argv[-1]), '').encode() + b'\\n')\n"
    )


@pytest.mark.parametrize(
    "words", [words for words in SHOWING if words[0] not in ("deploy", "remove", "friends.add", "friends.push")],
    ids=" ".join,
)  # fmt: skip
def test_whatever_stands_in_an_answer_is_shown_as_signs(
    host: Callable[[str], None], invoke: Typing, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host(whole(EVIL))
    if words[0] == "watch":
        monkeypatch.setattr(stream, "pause", lambda _seconds: stop())
    if words[0] == "doctor":
        words = (*words, "--bundle", str(tmp_path / "bundle"))
    done = invoke(*words)
    assert is_safe(done.stdout + done.stderr), [sign for sign in done.stdout if not is_safe(sign)]
    assert not any(line.startswith("note: typed by nobody") for line in (done.stdout + done.stderr).splitlines())
    if words[0] == "doctor":
        assert is_safe((tmp_path / "bundle").read_text())


def stop() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("identity", ["A$(touch x)", "AAAAAAAAAAAAAAA$", "", 7, None, "A" * 16, "AAAAAAAAAAAAAAAB\n"])
@pytest.mark.parametrize("words", [("join",), ("join", "--json"), ("status",)], ids=" ".join)
def test_an_id_that_is_none_is_never_shown(
    host: Callable[[str], None], invoke: Typing, words: tuple[str, ...], identity: Any
) -> None:
    for place in ("rooms", "sessions"):
        state = relay()
        state[place][0]["id"] = identity
        host(says(json.dumps(state)))
        done = invoke(*words)
        refused(done)
        assert done.code == HOST_UNUSABLE
        assert "touch" not in done.stdout + done.stderr


@pytest.mark.parametrize("port", ["55435", True, 0, -1, 65536, 55435.0, None, "1; touch x", [55435]])
@pytest.mark.parametrize("place", ["main_port", "ports", "rooms", "sessions", "tables"])
def test_a_port_that_is_none_is_never_shown(host: Callable[[str], None], invoke: Typing, place: str, port: Any) -> None:
    state = relay()
    if place == "main_port":
        state[place] = port
    elif place == "ports":
        state[place] = [port]
    else:
        state[place][0]["port"] = port
    host(says(json.dumps(state)))
    done = invoke("join")
    refused(done)
    assert "is not a port from 1 to 65535" in done.stderr


def paths_of(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value of a document."""
    found = [at] if at else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [path for key, item in items for path in paths_of(item, (*at, key))]


@pytest.mark.parametrize("wrong", [[], {}, "x", -1, None, True, 1e300])
def test_a_value_of_another_type_anywhere_is_refused_or_harmless(
    host: Callable[[str], None], invoke: Typing, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each value in turn: what its shape takes is shown without an error in Python; the rest is a sentence."""
    from toolkit.friends import commands
    from toolkit.status import show as status
    from toolkit.tables import width

    assert width() > 0
    for make, shape, show in (
        (relay, replies.STATUS, lambda state: (status.summary(state), status.rooms(state), status.players(state))),
        (gate, replies.GATE, lambda state: (status.wall(state), commands.table(state), commands.problems(state))),
    ):
        for path in paths_of(make()):
            state = make()
            around: Any = state
            for key in path[:-1]:
                around = around[key]
            around[path[-1]] = wrong
            try:
                taken = answers.shaped(json.loads(json.dumps(state)), shape)
            except answers.BrokenAnswerError:
                continue
            else:
                show(taken)


def test_an_answer_is_looked_for_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents that begin in every line and never end: how often the text is read over is bounded."""
    read = 0

    class Counting(json.JSONDecoder):
        def raw_decode(self, s: str, idx: int = 0) -> Any:
            nonlocal read
            try:
                found = super().raw_decode(s, idx)
            except json.JSONDecodeError as error:
                read += error.pos - idx
                raise
            read += found[1] - idx
            return found

    monkeypatch.setattr(answers, "_DECODER", Counting())
    text = '{"a":[\n' * 500 + "{},\n" * 300_000
    assert answers.find(text) is None
    assert read <= (answers.READINGS + 1) * len(text) + 2 * answers.SPARE


@pytest.mark.parametrize("sign", [EVIL, "\x85", "\x7f", "\u200d", "\ue000", "\U000e0041", "\u061c", "\u3164", "\ud800"])
def test_the_door_lets_nothing_through_that_a_terminal_obeys(sign: str, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    from toolkit import console
    from toolkit.errors import UserError, report

    console.console.cache_clear()
    table = Table("one")
    table.add_row(f"x{sign}y")
    console.say(f"x{sign}y")
    console.draw(table)
    console.block(f"x{sign}y", [f"x{sign}y"])
    report(UserError(f"x{sign}y", fix=f"x{sign}y"))
    console.console.cache_clear()
    said = capsys.readouterr()
    assert is_safe(said.out + said.err)
    assert "x" in said.out


@pytest.mark.parametrize("text", ["anna", "日本", "Ünïcödé", "مرحبا", "नमस्ते", "สวัสดี", "❤️", "a b", "x\u0301y"])
def test_names_as_people_have_them_come_through(text: str) -> None:
    assert printable.line(text).replace("❤", "❤️") == text if "❤" in text else printable.line(text) == text


def test_no_more_marks_climb_on_a_letter_than_a_language_has() -> None:
    assert len(printable.line("z" + "\u0336" * 500)) == 1 + printable.MOST_MARKS
