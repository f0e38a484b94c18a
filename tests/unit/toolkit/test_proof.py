"""What is claimed of a relay is what was seen from here, and what could not be seen is said to be left out."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.relays import running
from toolkit.deploy import proof
from toolkit.errors import PROOF_FAILED, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = "127.0.0.1"


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Yield a port that nothing listens on and nobody else gets."""
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        yield holder.getsockname()[1]


@pytest.mark.parametrize("listed", [True, None])
async def test_a_friend_that_plays_is_a_proof(listed: bool | None, capsys: pytest.CaptureFixture[str]) -> None:
    async with running() as relay:
        await asyncio.to_thread(proof.prove_from_here, relay.address, relay.port, LOOPBACK, listed)
    told = capsys.readouterr().out
    assert "played through it both ways" in told
    assert "cannot be seen from here" in told


def test_a_friend_that_does_not_get_in_fails_the_proof(closed_port: int) -> None:
    with pytest.raises(UserError, match="Connection refused") as caught:
        proof.prove_from_here(LOOPBACK, closed_port, "198.51.100.4", listed=True)
    assert caught.value.exit_code == PROOF_FAILED
    assert "firewall in front of the host" in caught.value.fix
    assert "invoke friends.check 198.51.100.4\n" in caught.value.fix


def test_somebody_who_is_no_friend_and_is_kept_out_is_told_how_to_become_one(
    closed_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    proof.prove_from_here(LOOPBACK, closed_port, "198.51.100.4", listed=False)
    told = capsys.readouterr().out
    assert "stranger 198.51.100.4: kept out" in told
    assert "--friend me=198.51.100.4" in told


async def test_somebody_who_is_no_friend_and_gets_in_fails_the_proof() -> None:
    async with running() as relay:
        with pytest.raises(UserError, match="a stranger got through") as caught:
            await asyncio.to_thread(proof.prove_from_here, relay.address, relay.port, "198.51.100.4", False)
    assert caught.value.fix == "Ask the host why: invoke friends.check 198.51.100.4"


def test_what_cannot_be_known_is_left_out_and_no_failure(closed_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    proof.prove_from_here(LOOPBACK, closed_port, "", listed=None)
    assert "left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("program", "sentence"),
    [("raise RuntimeError('no such thing')", "broke off.*no such thing"), ("print('{}')", "broke off.*nothing")],
)
def test_a_probe_that_breaks_off_fails_the_proof(program: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "_argv", lambda *_: [sys.executable, "-c", program])
    with pytest.raises(UserError, match=sentence):
        proof.prove_from_here(LOOPBACK, 1, LOOPBACK, listed=True)


def test_a_probe_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "PROBE_SECONDS", 0.2)
    monkeypatch.setattr(proof, "_argv", lambda *_: [sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(UserError, match="did not end"):
        proof.prove_from_here(LOOPBACK, 1, LOOPBACK, listed=True)
