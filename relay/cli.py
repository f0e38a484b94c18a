"""netplay-relay on the command line: serve, check-config."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import relay
from relay import config as settings
from relay import service, sockets
from relay.config import Config, ConfigError
from relay.observe import Events, log, set_up
from relay.server import Server

BAD_INPUT = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 2 for a mistake in what was typed or configured."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a sentence for the person at the terminal
        return BAD_INPUT
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="netplay-relay", description="A relay for RetroArch netplay.")
    parser.add_argument("--version", action="version", version=f"netplay-relay {relay.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="run the relay")
    serve.add_argument("--config", type=Path, metavar="FILE", help="a relay.toml; without it the defaults")
    serve.add_argument("--bind", action="append", metavar="ADDR", help="listen on this address (may be repeated)")
    serve.add_argument("--port", type=_port, metavar="N", help="listen on this TCP port; 0 takes any free one")
    serve.set_defaults(run=_serve)
    check = commands.add_parser("check-config", help="say whether a relay.toml is right")
    check.add_argument("file", type=Path, metavar="FILE")
    check.set_defaults(run=_check_config)
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return int(text)


def _check_config(arguments: argparse.Namespace) -> int:
    config = settings.load(arguments.file)
    ports = ", ".join(str(port) for port in config.ports)
    print(f"{arguments.file}: fine. Ports: {ports}. Rooms: {len(config.rooms) or 'none named'}.")  # noqa: T201
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    config = settings.load(arguments.config) if arguments.config else Config()
    listen = config.listen
    if arguments.bind:
        listen = dataclasses.replace(listen, bind=tuple(arguments.bind))
    if arguments.port is not None:
        listen = dataclasses.replace(listen, port=arguments.port)
    config = dataclasses.replace(config, listen=listen)
    events = set_up(config.log)
    listeners = service.inherited_sockets() or _open(config)
    return asyncio.run(_run(config, listeners, events))


def _open(config: Config) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    for port in config.ports:
        for address in config.listen.bind:
            try:
                listeners.append(sockets.listen(address, port, config.buffers.socket))
            except OSError as error:
                if error.errno == errno.EAFNOSUPPORT:
                    log.warning("this machine has no %s: %s is left out", "IPv6" if ":" in address else "IPv4", address)
                    continue
                raise SystemExit(_cannot_listen(address, port, error)) from error
    if not listeners:
        raise SystemExit("netplay-relay: no address left to listen on. Name one this machine has: --bind 127.0.0.1")
    return listeners


def _cannot_listen(address: str, port: int, error: OSError) -> str:
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    reason = os.strerror(error.errno) if error.errno else str(error)
    return (
        f"netplay-relay: cannot listen on {where}: {reason}.\n"
        f"See who has the port with: ss -ltnp 'sport = :{port}'   Or take another one with: --port N"
    )


async def _run(config: Config, listeners: list[socket.socket], events: Events) -> int:
    loop = asyncio.get_running_loop()
    for listener in listeners:
        sockets.prepare(listener)
    server = Server(config, listeners, events)
    server.start()
    stop = _Stop(server, config.timeouts.drain, events)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    for listener in listeners:
        address, port = listener.getsockname()[:2]
        events.write(logging.INFO, "listening", "listening on [{bound}]:{port}", bound=address, port=port)
    service.notify("READY=1")
    await stop.done.wait()
    server.stop()
    return 0


class _Stop:
    """The signal to stop: the first one drains for a bounded time, the second one ends everything."""

    def __init__(self, server: Server, seconds: float, events: Events) -> None:
        self.done = asyncio.Event()
        self._server = server
        self._seconds = seconds
        self._events = events
        self._waiting: asyncio.Task[None] | None = None

    def __call__(self) -> None:
        if self._waiting:
            self.done.set()
            return
        service.notify("STOPPING=1")
        self._server.drain()
        self._waiting = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        if not self._server.drained.is_set():
            sentence = "stopping: games go on for at most {seconds} s, no new rooms (a second signal ends them now)"
            self._events.write(logging.INFO, "draining", sentence, seconds=self._seconds)
        try:
            async with asyncio.timeout(self._seconds):
                await self._server.drained.wait()
        except TimeoutError:
            pass
        self.done.set()
