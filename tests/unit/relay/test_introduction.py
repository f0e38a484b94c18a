"""Older clients and newer hosts: INFO in the order that each of them reads, and nothing else touched."""

from __future__ import annotations

import json

import pytest

from relay.netplay import legacy_handshake
from relay.switchboard import snapshot
from relay.switchboard.connection import Send, Splice
from tests.support import netplay
from tests.unit.relay.test_switchboard import HOST, Board, ended

OLD = netplay.client_header(netplay.RA_1_9_0, 0)
FROM_HOST = netplay.host_header(protocol=5) + netplay.nick("player") + netplay.info()
FROM_CLIENT = OLD + netplay.nick("old") + netplay.old_info(version="1.52.0")
FOR_CLIENT = netplay.host_header(protocol=5) + netplay.nick("player") + netplay.old_info(version="1.52.0")
FOR_HOST = OLD + netplay.nick("old") + netplay.info()
REST = b"whatever comes" + bytes(range(256))


@pytest.mark.parametrize("cut", [1, 7, 24, 100, 10_000])
def test_both_read_info_in_their_order_however_it_is_cut(cut: int) -> None:
    for to_host, said, wanted in ((True, FROM_CLIENT, FOR_HOST), (False, FROM_HOST, FOR_CLIENT)):
        talk = legacy_handshake.LegacyHandshake()
        pieces = [said[at : at + cut] for at in range(0, len(said), cut)]
        assert b"".join(talk.feed(to_host, piece) for piece in pieces) == wanted
        assert talk.feed(to_host, REST) == REST
        assert not talk.done


def test_a_password_and_a_question_go_by_as_they_are() -> None:
    talk = legacy_handshake.LegacyHandshake()
    said = OLD + netplay.nick("old") + netplay.password() + netplay.command(0x22)
    assert talk.feed(True, said) == said
    assert talk.feed(True, netplay.old_info(version="1.52.0")) == netplay.info()


@pytest.mark.parametrize(
    "said", [netplay.sync(), netplay.command(0x22, bytes(20)), b"\xff" * 40], ids=["sync", "info", "noise"]
)
def test_what_is_not_understood_is_passed_on(said: bytes) -> None:
    talk = legacy_handshake.LegacyHandshake()
    passed = talk.feed(False, netplay.host_header() + said) + talk.feed(False, REST)
    assert passed == netplay.host_header() + said + REST


def test_only_the_releases_that_need_it_are_introduced() -> None:
    assert legacy_handshake.needed(OLD)
    assert legacy_handshake.needed(netplay.client_header(0x271, 0))
    assert not legacy_handshake.needed(netplay.client_header(netplay.RA_1_9_14, 0))
    assert not legacy_handshake.needed(netplay.client_header(netplay.RA_1_9_0, 6))


def test_a_link_is_forwarded_as_soon_as_both_are_introduced() -> None:
    board = Board()
    board.host()
    client = board.send(board.connect(), FROM_CLIENT[:30])
    link = board.link(client)
    board.send(link, FROM_HOST)
    board.send(client, FROM_CLIENT[30:] + REST)
    assert b"".join(board.sent_to(link)) == FOR_HOST + REST
    assert b"".join(board.sent_to(client)) == FOR_CLIENT
    (splice,) = [action for action in board.actions if isinstance(action, Splice)]
    assert b"".join(data for to_host, data in splice.before if to_host) == FOR_HOST + REST
    assert (splice.to_host, splice.to_client) == (b"", b"")
    assert board.actions.index(splice) > max(
        board.actions.index(action) for action in board.actions if isinstance(action, Send)
    )


def test_who_leaves_in_the_middle_ends_both() -> None:
    board = Board()
    board.host()
    client = board.send(board.connect(), OLD)
    link = board.link(client)
    board.lose(link)
    assert (ended(link), ended(client)) == ("left", "peer-left")


@pytest.mark.parametrize("silent", ["the host", "the client"])
def test_an_end_that_talks_on_while_the_other_says_nothing_is_not_kept_for_ever(silent: str) -> None:
    board = Board()
    board.host()
    client = board.send(board.connect(), OLD)
    link = board.link(client)
    talks, listens = (client, link) if silent == "the host" else (link, client)
    board.send(talks, netplay.sync() if talks is client else netplay.host_header() + netplay.sync())
    for _ in range(board.buffers.waiting_client // 4096 + 1):
        if talks.introduction:
            board.send(talks, bytes(4096))
    assert (ended(talks), ended(listens)) == ("flooded", "peer-left")


def test_what_was_kept_counts_in_the_next_program_too() -> None:
    board = Board()
    board.host()
    client = board.send(board.connect(), OLD)
    link = board.link(client)
    board.send(client, netplay.sync() + bytes(board.buffers.waiting_client // 2))
    board.send(link, netplay.host_header()[:10])
    data, conns = snapshot.dump(board.board)
    other = Board()
    again = snapshot.load(json.loads(json.dumps(data)), other.board)[conns.index(client)]
    assert again.introduction
    assert client.introduction
    assert again.introduction.size == client.introduction.size > board.buffers.waiting_client // 2
    other.send(again, bytes(board.buffers.waiting_client // 2))
    assert ended(again) == "flooded"


def test_an_introduction_goes_on_in_the_next_program() -> None:
    board = Board()
    board.host()
    client = board.send(board.connect(), FROM_CLIENT[:30])
    link = board.link(client)
    board.send(link, FROM_HOST[:100])
    data, conns = snapshot.dump(board.board)
    other = Board()
    loaded = snapshot.load(json.loads(json.dumps(data)), other.board)
    client, link = (loaded[conns.index(conn)] for conn in (client, link))
    other.send(link, FROM_HOST[100:])
    other.send(client, FROM_CLIENT[30:])
    (splice,) = [action for action in other.actions if isinstance(action, Splice)]
    assert b"".join(data for to_host, data in splice.before if to_host) == FOR_HOST
    assert b"".join(data for to_host, data in splice.before if not to_host) == FOR_CLIENT
    assert link.address == HOST
