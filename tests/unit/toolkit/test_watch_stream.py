"""invoke watch: one connection, another when it is lost, and an end with words when watching makes no sense."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from tests.support.statuses import client, session, status
from tests.unit.toolkit.conftest import FakeSsh
from toolkit.errors import UserError
from toolkit.hosts import inventory, target
from toolkit.hosts import session as visiting
from toolkit.hosts.inventory import Entry
from toolkit.hosts.names import parse_host
from toolkit.hosts.remote import Remote
from toolkit.watch import run, screen, stream
from toolkit.watch.stream import Back, Lost

LINE = {"relay": {**status(sessions=[session("FridayNightRoom1", clients=[client("ben")])]), "ended": []}}


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Remote:
    """Return the program on a host that was deployed to, and let nobody wait for a new attempt."""
    host = parse_host("myvps")
    inventory.write(inventory.files_of(host).inventory, Entry(host).render())
    monkeypatch.setattr(stream, "FIRST_RETRY", 0.01)
    return visiting.one_shot(target.real("myvps"))


def real(items: Iterator[stream.Item]) -> Iterator[Any]:
    """Leave out the ticks."""
    return (item for item in items if item is not None)


def test_lines_come_and_what_a_login_prints_is_none_of_them(remote: Remote, fake_ssh: FakeSsh) -> None:
    fake_ssh.answers(f"Welcome!\n{json.dumps(LINE)}\n3\n")
    items = real(stream.lines(remote))
    assert next(items) == LINE
    arguments, _ = fake_ssh.calls[0]
    assert arguments[-1].endswith("netplay-relay.pyz status --follow --gate")


def test_a_lost_connection_is_told_and_made_again(remote: Remote, fake_ssh: FakeSsh) -> None:
    reset = "client_loop: send disconnect: Connection reset by peer"
    fake_ssh.answers(json.dumps(LINE) + "\n", reset, 255)
    items = real(stream.lines(remote))
    assert next(items) == LINE
    lost = next(items)
    assert isinstance(lost, Lost)
    assert "hung up" in lost.why
    assert next(items) == Back()
    assert next(items) == LINE


def test_a_host_that_cannot_be_reached_again_is_tried_on_with_longer_pauses(remote: Remote, fake_ssh: FakeSsh) -> None:
    fake_ssh.answers(json.dumps(LINE) + "\n", "Connection reset by peer", 255)
    items = real(stream.lines(remote))
    next(items)
    fake_ssh.answers("", "ssh: connect to host myvps port 22: Connection refused", 255)
    pauses = [next(items).seconds for _ in range(4)]
    assert pauses == [0.01, 0.02, 0.04, 0.08]


def test_a_host_that_cannot_be_reached_at_all_ends_it_with_words(remote: Remote, fake_ssh: FakeSsh) -> None:
    fake_ssh.answers("", "ssh: connect to host myvps port 22: Connection refused", 255)
    with pytest.raises(UserError, match="nothing answers on its ssh port"):
        next(real(stream.lines(remote)))


def test_a_relay_that_cannot_be_followed_is_to_be_brought_up_to_date(remote: Remote, fake_ssh: FakeSsh) -> None:
    fake_ssh.answers("", "netplay-relay: error: unrecognized arguments: --follow --gate", 2)
    with pytest.raises(UserError, match="older than watch") as caught:
        next(real(stream.lines(remote)))
    assert "invoke deploy --host myvps" in caught.value.fix


def test_a_host_without_a_relay_says_so(remote: Remote, fake_ssh: FakeSsh) -> None:
    program = "/opt/netplay-relay/current/netplay-relay.pyz"
    fake_ssh.answers("", f"/usr/bin/python3: can't open file '{program}': [Errno 2] No such file", 2)
    with pytest.raises(UserError, match="there is no relay on myvps"):
        next(real(stream.lines(remote)))


def test_a_program_that_refuses_ends_it_in_its_own_words(remote: Remote, fake_ssh: FakeSsh) -> None:
    fake_ssh.answers("", "netplay-relay: the socket is not for this account. Try again with: sudo", 1)
    with pytest.raises(UserError, match="not for this account"):
        next(real(stream.lines(remote)))


def test_a_connection_that_says_nothing_is_given_up(
    remote: Remote, fake_ssh: FakeSsh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SILENCE", 0.3)
    (fake_ssh.folder / "ssh.py").write_text("import time; time.sleep(600)")
    items = stream.lines(remote, tick=0.1)
    assert next(items) is None
    lost = next(real(items))
    assert isinstance(lost, Lost)
    assert "nothing was heard" in lost.why


def shown(items: list[stream.Item], width: int = 120) -> str:
    output = io.StringIO()
    run.show(items, screen.Plain(Console(file=output, width=width, soft_wrap=True)), "myvps")
    return output.getvalue()


def test_without_a_terminal_each_thing_is_a_line_with_its_time() -> None:
    empty = {"relay": {**status(), "ended": []}}
    text = shown([empty, LINE, Lost("the cable was pulled", 1.0), Back(), LINE])
    lines = text.splitlines()
    assert all(line[2] == line[5] == ":" for line in lines)
    assert "netplay-relay 0.1.0, up 1 min" in lines[0]
    assert any("ben plays as player 2" in line for line in lines)
    assert any("myvps is lost (the cable was pulled); next attempt in 1 s" in line for line in lines)
    assert any("connected to myvps again" in line for line in lines)
    assert "\x1b" not in text


def test_without_a_terminal_players_are_told_of_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "EVERY", 0.0)
    text = shown([LINE])
    assert "who ben, does playing 2, core Nestopia, to client 30±1 ms" in text


@pytest.mark.parametrize("width", [120, 40])
def test_the_picture_fits_the_terminal(width: int) -> None:
    from toolkit.watch.story import Story

    story = Story()
    assert list(story.feed(LINE, 1.0)) == []
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        for part in screen.picture(story, width):
            console.print(part)
    text = captured.get()
    assert max(map(len, text.splitlines())) <= width
    for words in ("ben", "Nestopia", "30±1 ms", "anna"):
        assert words in text


def test_ctrl_c_ends_it_without_an_error(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Remote) -> Iterator[stream.Item]:
        yield LINE
        raise KeyboardInterrupt

    monkeypatch.setattr(stream, "lines", interrupted)
    run.watch(remote)
    run.watch(remote, as_json=True)
