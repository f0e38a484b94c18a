"""netplay-relay on the command line: serve, status, upgrade, check-config."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import gc
import io
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import relay
from relay import allowlist, answered, control_client, pace, service_manager, upgrade
from relay import config as settings
from relay import unpack as unpacked
from relay.config import Config
from relay.daemon import Daemon
from relay.fileerrors import sentence
from relay.gate import cli as gate
from relay.gate.policy import friends
from relay.logs import Events, set_up
from relay.monitoring import follow, metrics, report
from relay.net import listeners, sockets
from relay.net.listeners import Listeners
from relay.net.selector import LinkSelector
from relay.switchboard import snapshot
from relay.tomlfile import ConfigError

Answer = TypeVar("Answer")
BAD_INPUT = 2
# Objects that come before the collector looks for garbage; Python's own number is 700.
GARBAGE = 10_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 2 for a mistake in what was typed or configured."""
    arguments = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a nick still gets the rest.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read has seen enough; Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a sentence for the person at the terminal
        return BAD_INPUT
    except OSError as error:
        print(f"netplay-relay: {sentence(error)}", file=sys.stderr)  # noqa: T201 - a sentence for the person at the terminal
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="netplay-relay", description="A relay for RetroArch netplay.")
    parser.add_argument("--version", action="version", version=f"netplay-relay {relay.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="run the relay")
    serve.add_argument("--config", type=Path, metavar="FILE", help="a relay.toml; without it the defaults")
    serve.add_argument(
        "--bind", action="append", type=_address, metavar="ADDR", help="listen on this address (may be repeated)"
    )
    serve.add_argument("--port", type=_port, metavar="N", help="listen on this TCP port; 0 takes any free one")
    serve.set_defaults(run=_serve)
    for name, run, text in (
        ("status", _status, "show rooms, players and counters of the running relay"),
        ("metrics", _metrics, "print the running relay's state in Prometheus' text format"),
        ("upgrade", _upgrade, "let the running relay become the installed program, games going on"),
    ):
        asking = commands.add_parser(name, help=text)
        asking.add_argument(
            "--socket", type=Path, metavar="PATH", help=f"the relay's socket ({control_client.DEFAULT})"
        )
        asking.add_argument("--config", type=Path, metavar="FILE", help="a relay.toml that says where that socket is")
        asking.set_defaults(run=run)
        if name == "status":
            asking.add_argument("--json", action="store_true", help="as JSON")
            asking.add_argument("--follow", action="store_true", help="as a JSON line every second, until nobody reads")
            asking.add_argument(
                "--gate", action="store_true", help="with --follow: the state of the gate too (as root)"
            )
    self_check = commands.add_parser("self-check")
    self_check.add_argument("--state", type=int, required=True)
    self_check.add_argument("--config", type=Path)
    self_check.set_defaults(run=_self_check)
    check = commands.add_parser("check-config", help="say whether a relay.toml is right")
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument("--friends", action="store_true", help="it is a friends.toml")
    check.set_defaults(run=_check_config)
    gate.register(commands)
    unpack = commands.add_parser("unpack", help="unpack and compile this file beside itself, so that it starts at once")
    unpack.set_defaults(run=lambda _: unpacked.main())
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return int(text)


def _address(text: str) -> str:
    try:
        return settings.normal_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"an address to listen on is like 192.0.2.7 or ::, not {text!r}") from None


def _check_config(arguments: argparse.Namespace) -> int:
    if arguments.friends:
        print(f"{arguments.file}: fine. Friends: {len(friends.load(arguments.file)) or 'none'}.")  # noqa: T201
        return 0
    config = settings.load(arguments.file)
    ports = ", ".join(str(port) for port in config.ports)
    print(f"{arguments.file}: fine. Ports: {ports}. Rooms: {len(config.rooms) or 'none named'}.")  # noqa: T201
    try:
        if config.gate.allowlist:
            allowlist.read(config.gate.allowlist)
    except allowlist.UnusableError as error:
        # No mistake of the settings: they are checked before there is an allowlist, and on other machines.
        print(f"On this machine, as it is now: {error}")  # noqa: T201
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    config, events, selector = _made_ready(arguments)
    # What there is now stays for good: the collector need not go through it again and again while games are played.
    gc.collect()
    gc.freeze()
    # What comes with a connection mostly stays, too.
    gc.set_threshold(GARBAGE)
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        return runner.run(_run(config, arguments.config, events, selector))


def _mistyped(words: str) -> SystemExit:
    """Say what is wrong with what was typed; return what ends the program."""
    print(f"netplay-relay: {words}", file=sys.stderr)  # noqa: T201
    return SystemExit(BAD_INPUT)


def _made_ready(arguments: argparse.Namespace) -> tuple[Config, Events, LinkSelector]:
    """Do everything that comes before listening: what may go wrong here is what a self-check finds out."""
    config = settings.load(arguments.config) if arguments.config else Config()
    listen = config.listen
    if arguments.bind:
        listen = dataclasses.replace(listen, bind=tuple(dict.fromkeys(arguments.bind)))
        if twice := settings.covered(listen.bind):
            raise _mistyped(f"{twice} Leave one of them out: --bind ADDR")
    if arguments.port is not None:
        listen = dataclasses.replace(listen, port=arguments.port)
    config = dataclasses.replace(config, listen=listen)
    if len(set(config.ports)) < len(config.ports):
        raise _mistyped(f"port {listen.port} is a room's port already. Take another one: --port N")
    sockets.raise_file_limit()
    return config, set_up(config.log), LinkSelector()


async def _run(config: Config, path: Path | None, events: Events, selector: LinkSelector) -> int:
    try:
        state = upgrade.inherited_state()
        await Daemon(config, path, events, selector).run(_listeners(config, state), state)
    except listeners.CannotListenError as error:
        print(f"netplay-relay: {error}", file=sys.stderr)  # noqa: T201 - a sentence for the person at the terminal
        return 1
    except upgrade.UnusableStateError as error:
        print(f"netplay-relay: the state of the former program cannot be used: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _listeners(config: Config, state: dict[str, Any] | None) -> Listeners:
    try:
        return listeners.obtain(config, state)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise upgrade.UnusableStateError(repr(error)) from error


def _self_check(arguments: argparse.Namespace) -> int:
    """Answer the running relay, which asks whether this program may take over."""
    serve = upgrade.arguments_to_serve()
    if serve is not None:
        _made_ready(_parser().parse_args(serve))
    elif arguments.config:
        # An older release asks, which tells no more.
        settings.load(arguments.config)
    return 0 if arguments.state in snapshot.READS else upgrade.CANNOT_READ_STATE


def _status(arguments: argparse.Namespace) -> int:
    if arguments.follow:
        return _follow(arguments)
    if arguments.json:
        # As it came: who reads it has eyes of its own, and may know more than this release.
        print(_ask(arguments, "status", _as_json))  # noqa: T201 - the answer
        return 0
    result = _ask(arguments, "status", answered.status)
    looks = [pace.of(result)]
    while report.anybody_plays(result) and len(looks) < pace.LOOKS:
        time.sleep(pace.BETWEEN)
        result = _ask(arguments, "status", answered.status)
        looks.append(pace.of(result))
    print(report.text(result, pace.judged(looks)))  # noqa: T201 - the answer
    return 0


def _follow(arguments: argparse.Namespace) -> int:
    path = control_client.find(_places(arguments))
    try:
        for line in follow.lines(path, 1.0, _gate_state if arguments.gate else None):
            print(json.dumps(line), flush=True)  # noqa: T201 - the answer
    except PermissionError:
        raise SystemExit(f"netplay-relay: {path} is not for this account. Try again with: sudo") from None
    return 0


def _gate_state() -> dict[str, Any]:
    from relay.gate import files, status
    from relay.gate import gate as host  # here: only --gate needs them
    from relay.gate.backends import base

    try:
        return status.status(host.Gate(files.GateFiles()))
    except (ConfigError, base.FilterError) as error:
        raise ValueError(str(error)) from None


def _metrics(arguments: argparse.Namespace) -> int:
    try:
        print(metrics.text(_ask(arguments, "status", answered.status)), end="")  # noqa: T201 - the answer
    except metrics.LibraryMissingError as error:
        print(f"netplay-relay: {error}", file=sys.stderr)  # noqa: T201 - a sentence for the person at the terminal
        return 1
    return 0


def _upgrade(arguments: argparse.Namespace) -> int:
    result = _ask(arguments, "upgrade", answered.upgrade)
    if error := result.get("error"):
        print(f"netplay-relay: not upgraded: {error}", file=sys.stderr)  # noqa: T201 - a sentence for the person
        return 1
    running = "now running {upgraded}: {sessions} sessions, {links} links"
    if "tables" in result:
        running += ", {tables} core-less sessions"
    print(result.get("waiting") or running.format(**result))  # noqa: T201
    return 0


def _places(arguments: argparse.Namespace) -> list[Path]:
    """Return where the running relay may be asked."""
    if arguments.socket:
        return [Path(arguments.socket)]
    return control_client.places(settings.load(arguments.config).control.socket if arguments.config else None)


def _as_json(answer: dict[str, Any]) -> str:
    try:
        return json.dumps(answer, indent=2)
    except RecursionError:
        raise ValueError("the relay's answer is nested too deeply") from None


def _ask(arguments: argparse.Namespace, request: str, read: Callable[[dict[str, Any]], Answer]) -> Answer:
    paths = _places(arguments)
    path = paths[0]
    try:
        answer = control_client.ask_first(paths, request)
        if "error" in answer and request == "status":
            raise ValueError(answered.clean(str(answer["error"])))
        return read(answer)
    except PermissionError:
        raise SystemExit(f"netplay-relay: {path} is not for this account. Try again with: sudo") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = f"Is the relay running? {service_manager.status_command()}".rstrip()
        raise SystemExit(f"netplay-relay: no answer at {path}: {reason}. {hint}") from None
