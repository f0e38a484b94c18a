"""What root asks of the relay's account: nothing that answers there makes it wait, fill its memory, or fail."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay import control_client
from relay.gate import subject
from relay.monitoring import follow

BOUND = 20.0
SECONDS = 0.4
FINE = {"path": "/a", "problem": "", "digest": "d", "entries": 1}


@contextlib.contextmanager
def answering(path: Path, pieces: Iterator[bytes], pause: float = 0.0) -> Iterator[Path]:
    """Stand for the relay's account: answer with pieces, one after each pause, for as long as somebody reads."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    over = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(BOUND)
                sock.recv(65536)
                for piece in pieces:
                    if over.wait(pause):
                        return
                    sock.sendall(piece)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield path
    finally:
        over.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(BOUND)


def forever(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


@pytest.mark.parametrize("pause", [0.01, SECONDS / 2])
def test_an_answer_that_comes_in_drips_is_waited_for_no_longer_than_said(tmp_path: Path, pause: float) -> None:
    with answering(tmp_path / "s", forever(b" "), pause) as path:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            control_client.ask(path, "status", SECONDS)
        assert time.monotonic() - began < SECONDS + BOUND / 2


def test_an_answer_without_end_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_client, "LONGEST_ANSWER", 1_000_000)
    with answering(tmp_path / "s", forever(bytes(65536))) as path, pytest.raises(ValueError, match="longer than"):
        control_client.ask(path, "status", BOUND)


@pytest.mark.parametrize("line", [b"[" * 200_000, b'{"a":' * 100_000, b"7", b"[]", b"\xff\xfe", b"1" * 10_000, b""])
def test_an_answer_that_is_none_is_told_as_that(tmp_path: Path, line: bytes) -> None:
    with answering(tmp_path / "s", iter([line])) as path, pytest.raises(ValueError):  # noqa: PT011 - any of them
        control_client.ask(path, "status", BOUND)


def test_a_line_that_comes_in_drips_ends_following(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "PATIENCE", SECONDS)
    monkeypatch.setattr(follow, "RETRY", 0.0)
    with answering(tmp_path / "s", forever(b" "), 0.01) as path:
        line = next(follow.lines(path, 0.0))
    assert line["relay"] is None
    assert "timed out" in line["problem"]


@pytest.mark.parametrize("line", [b"[]", b"3", b"[" * 200_000])
def test_a_line_that_is_no_state_is_a_problem(tmp_path: Path, line: bytes) -> None:
    with answering(tmp_path / "s", iter([line + b"\n"])) as path:
        assert "no answer" in next(follow.lines(path, 0.0))["problem"]


HOSTILE: list[tuple[str, Any]] = [
    ("status", {"sessions": 3}),
    ("status", {"sessions": [3]}),
    ("status", {"sessions": [{"host": {"address": "::1"}}]}),
    ("status", {"sessions": [{"host": None, "clients": []}]}),
    ("status", {"sessions": [{"host": {"address": 7}, "clients": []}]}),
    ("status", {"sessions": [{"host": {"address": "::1"}, "clients": [None]}]}),
    ("status", {"tables": {"players": []}}),
    ("status", {"tables": [{"players": [{"address": None}]}]}),
    ("status", {"allowlist": 5}),
    ("status", {"allowlist": FINE | {"entries": "many"}}),
    ("status", {"allowlist": FINE | {"problem": "\x1b[2J"}}),
    ("kick", {"kicked": "all"}),
    ("kick", {"kicked": 1.5}),
    ("kick", {"kicked": None}),
    ("kick", {}),
    ("allows", {"allows": 3, "allowlist": FINE}),
    ("allows", {"allows": [], "allowlist": None}),
    ("allows", {"allows": [], "allowlist": {"path": 3}}),
]


class Gate:
    """Stands for the gate, whose socket is named."""


@pytest.mark.parametrize(("request_", "answer"), HOSTILE)
def test_an_answer_of_other_types_is_no_answer(tmp_path: Path, request_: str, answer: dict[str, Any]) -> None:
    with answering(tmp_path / "s", iter([json.dumps(answer).encode()])) as path:
        found, silence = subject.ask_relay(Gate(), request_, path)  # type: ignore[arg-type]
    assert found is None
    assert "does not answer" in silence


def test_what_a_relay_answers_is_an_answer(tmp_path: Path) -> None:
    told = {
        "sessions": [{"host": {"address": "192.0.2.1"}, "clients": [{"address": "::1"}]}],
        "tables": [{"players": [{"address": "192.0.2.2"}, {"address": "nonsense"}]}],
        "allowlist": FINE | {"path": None},
    }
    with answering(tmp_path / "s", iter([json.dumps(told).encode()])) as path:
        found, silence = subject.ask_relay(Gate(), "status", path)  # type: ignore[arg-type]
    assert (found, silence) == (told, "")
    assert [str(address) for address in subject.connections(told)] == ["192.0.2.1", "::1", "192.0.2.2"]


def test_words_of_another_account_cannot_write_over_a_terminal(tmp_path: Path) -> None:
    with answering(tmp_path / "s", iter([json.dumps({"error": "\x1b[2Jgone" + "x" * 9999}).encode()])) as path:
        found, silence = subject.ask_relay(Gate(), "status", path)  # type: ignore[arg-type]
    assert found is None
    assert silence.isprintable()
    assert len(silence) < 1000
