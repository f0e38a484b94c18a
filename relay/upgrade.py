"""Changing the program under running games: exec in place, every socket kept open, the state in a memory file.

Works under any supervisor, for the process stays the same. In order: the new program is asked whether it is sound and
reads our state (self-check); everything is written down; exec. Nothing is read from a socket in between, so what
players send meanwhile waits in the kernel. A new program that fails its check changes nothing; one that is sound but
cannot read our state is waited for: no new rooms, and the service manager starts it when the last game is over.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import MutableMapping, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import Any

from relay.switchboard import snapshot

STATE_FD = "NETPLAY_RELAY_STATE_FD"
# What a self-check is to stand besides its options: how this program was started, as a JSON list. A release that knows
# nothing of it still answers; an option that it does not know would be the end of its check.
SERVE = "NETPLAY_RELAY_SERVE"
# Exit code of self-check for a program that is sound but cannot read the state of this one.
CANNOT_READ_STATE = 3
CHECK_SECONDS = 20.0
# Held back while there is no handler for them: the default of SIGHUP and SIGTERM would end the games.
HELD = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


class UnusableStateError(Exception):
    """The state an older program left cannot be used; its games are lost, and the service manager starts afresh."""


class Verdict(Enum):
    """What the new program says of itself."""

    READY = auto()
    OTHER_STATE = auto()
    BROKEN = auto()


def command(subcommand: str, *arguments: str, argv: Sequence[str] | None = None, own: int | None = None) -> list[str]:
    """Return how this program was started, with other arguments: the new release, where a link points to one.

    argv is the whole original command line and own the number of arguments that were netplay-relay's.
    """
    argv = sys.orig_argv if argv is None else argv
    own = len(sys.argv) - 1 if own is None else own
    return [sys.executable, *argv[1 : len(argv) - own], subcommand, *arguments]


async def check(config: str | None) -> tuple[Verdict, str]:
    """Ask the new program for its self-check; return its verdict and, where it is broken, its own words.

    It is told everything it will be started with: an argument it does not take would end it after exec, and all games.
    """
    arguments = ["--state", str(snapshot.VERSION), *(["--config", config] if config else [])]
    # Before Python 3.12 a thread waits for the child. It inherits what is held back here: otherwise the kernel could
    # hand it a signal meant for this process while the state is written, and exec would end both.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        process = await asyncio.create_subprocess_exec(
            *command("self-check", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, SERVE: json.dumps(sys.argv[1:])},
        )
    except OSError as error:
        return Verdict.BROKEN, str(error)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return Verdict.BROKEN, f"it did not answer within {CHECK_SECONDS:.0f} s"
    if process.returncode == CANNOT_READ_STATE:
        return Verdict.OTHER_STATE, ""
    lines = output.decode(errors="replace").strip().splitlines()
    return (Verdict.BROKEN, lines[-1] if lines else "it said nothing") if process.returncode else (Verdict.READY, "")


def become_new(state: dict[str, Any], descriptors: Sequence[int]) -> None:
    """Replace this program by the new one, which finds state and the descriptors. Returns only by raising.

    OSError, or what state breaks json with: nothing has changed then. The signals in HELD must be blocked: they stay
    blocked in the new program until it has handlers for them.
    """
    fd = os.memfd_create("netplay-relay-state")
    try:
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(json.dumps(state).encode())
        os.lseek(fd, 0, os.SEEK_SET)
        for each in (fd, *descriptors):
            os.set_inheritable(each, True)
        os.environ[STATE_FD] = str(fd)
        argv = [sys.executable, *sys.orig_argv[1:]]
        os.execv(sys.executable, argv)  # noqa: S606 - a list, and no shell: this program's own command line
    except BaseException:
        for each in descriptors:
            os.set_inheritable(each, False)
        os.environ.pop(STATE_FD, None)
        os.close(fd)
        raise


def arguments_to_serve(environ: MutableMapping[str, str] = os.environ) -> list[str] | None:
    """Return what the program that asks for a self-check was started with, None where it does not tell."""
    told = environ.pop(SERVE, "")
    return [str(argument) for argument in json.loads(told)] if told else None


def inherited_state(environ: MutableMapping[str, str] = os.environ) -> dict[str, Any] | None:
    """Return the state an older program left, None where there is none. Raises UnusableStateError."""
    number = environ.pop(STATE_FD, "")
    if not number.isdecimal():
        return None
    try:
        with os.fdopen(int(number), "rb") as file:
            state = json.loads(file.read())
    except (OSError, ValueError) as error:
        raise UnusableStateError(str(error)) from error
    if not isinstance(state, dict):
        raise UnusableStateError("it is not an object")
    return state


def descriptors_of(state: dict[str, Any]) -> list[int]:
    """Return every descriptor a state speaks of."""
    farewells = [fd for fd, _ in state["farewells"]]
    if state["control"]:
        farewells.append(state["control"]["fd"])
    return [
        *state["listeners"],
        *state["datagrams"],
        *(conn["fd"] for conn in state["conns"]),
        *farewells,
        *state.get("replies", []),
        *([state["spool"]["fd"]] if state.get("spool") else []),
    ]


def control_socket_of(state: dict[str, Any] | None, path: Path) -> int | None:
    """Return the control socket an older program left, if it is the one at path; another one is closed."""
    left = state.get("control") if state else None
    if not left:
        return None
    if left["path"] == str(path):
        return int(left["fd"])
    os.close(left["fd"])
    return None
