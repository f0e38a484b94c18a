"""A game that goes on while the relay is changed: host and client of the relay's protocol, from one address.

    python -m toolkit.testbed.game ADDRESS PORT FILE    plays until it is ended; FILE says how it stands
    python -m toolkit.testbed.game look FILE            waits for another ROUNDS rounds; fails when the game is over

Each round sends bytes both ways and compares them. FILE is one JSON object: rounds, the longest round in seconds, and
the problem that ended the game.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relay.protocol import tunnel
from toolkit.deploy import probe
from toolkit.errors import PROOF_FAILED, UserError, user_errors

if TYPE_CHECKING:
    import socket

ROUNDS: Final = 40
PAUSE: Final = 0.02
"""Seconds between rounds: a frame or so."""
SIZE: Final = 512
STALL: Final = 60.0
"""Seconds without a round after which a look gives up; a round is milliseconds."""


@dataclass(slots=True)
class Standing:
    """How a game stands."""

    rounds: int = 0
    longest: float = 0.0
    problem: str = ""

    def save(self, path: Path) -> None:
        """Write it whole."""
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self)), encoding="utf-8")
        fresh.replace(path)

    @classmethod
    def load(cls, path: Path) -> Standing:
        """Read it; a game that has not begun has no rounds."""
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else cls()


def play(address: str, port: int, path: Path) -> None:
    """Host a session, join it, and play until this process is ended or something is not as it should be."""
    standing = Standing()
    try:
        with closing(probe.connect(address, port)) as control:
            control.sendall(tunnel.session_message(tunnel.NO_ID))
            session = probe.read(control, tunnel.MESSAGE_SIZE, "gave us no session")[tunnel.MAGIC_SIZE :]
            with closing(probe.connect(address, port)) as client:
                client.sendall(tunnel.session_message(session) + probe.HEADER)
                with closing(probe.link_for(control, address, port, client)) as link:
                    probe.read(link, len(probe.HEADER), "lost the client's first bytes")
                    _play_on(control, client, link, standing, path)
    except (probe.UnexpectedError, OSError) as error:
        standing.problem = f"after {standing.rounds} rounds: the relay {error}"
        standing.save(path)


def look(path: Path) -> Standing:
    """Wait until the game has gone on for ROUNDS more rounds. Raises UserError when it is over or stands still."""
    before, end = Standing.load(path).rounds, time.monotonic() + STALL
    while True:
        standing = Standing.load(path)
        if standing.problem:
            raise UserError(f"the game is over {standing.problem}", exit_code=PROOF_FAILED)
        if standing.rounds >= before + ROUNDS:
            return standing
        if time.monotonic() > end:
            raise UserError(f"the game has stood still for {STALL:.0f} s", exit_code=PROOF_FAILED)
        time.sleep(PAUSE)


def _play_on(
    control: socket.socket, client: socket.socket, link: socket.socket, standing: Standing, path: Path
) -> None:
    control.settimeout(0)
    for peer in (client, link):
        peer.settimeout(STALL)  # an upgrade holds bytes back for a moment; it must not lose any
    while True:
        begun = time.monotonic()
        for one, other, way in ((client, link, "to the host"), (link, client, "to the client")):
            sent = secrets.token_bytes(SIZE)
            one.sendall(sent)
            if probe.read(other, SIZE, f"lost bytes on their way {way}") != sent:
                raise probe.UnexpectedError(f"changed bytes on their way {way}")
        _answer_pings(control)
        standing.longest = max(standing.longest, round(time.monotonic() - begun, 4))
        standing.rounds += 1
        standing.save(path)
        time.sleep(PAUSE)


def _answer_pings(control: socket.socket) -> None:
    """Give back what the relay asks the host with, as RetroArch does; without an answer the session would end."""
    try:
        word = control.recv(tunnel.MAGIC_SIZE)
    except BlockingIOError:
        return
    if not word:
        raise probe.UnexpectedError("ended the host's session")
    control.sendall(word)


@user_errors
def main(arguments: list[str]) -> int:
    """Play, or look at a game."""
    if len(arguments) == 2 and arguments[0] == "look":
        sys.stdout.write(json.dumps(asdict(look(Path(arguments[1])))) + "\n")
    elif len(arguments) == 3 and arguments[1].isdigit():
        play(arguments[0], int(arguments[1]), Path(arguments[2]))
    else:
        raise UserError("this is not a game", fix="python -m toolkit.testbed.game ADDRESS PORT FILE")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
