"""The lab's own command: `python -m toolkit.lab up|down|status|exec|ssh|reboot`. What needs root comes through here."""

from __future__ import annotations

import argparse
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

from toolkit.errors import INTERRUPTED, UserError, report
from toolkit.lab import show
from toolkit.lab.core import Lab, take_down
from toolkit.lab.spec import DEFAULT_SPEC, LabSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(argv: Sequence[str]) -> int:
    """Run the command; return its exit code. Mistakes are a sentence on standard error, or JSON with --porcelain."""
    options = _parser().parse_args(argv)
    try:
        return _run(options)
    except UserError as error:
        if options.porcelain:
            show.porcelain("error", error.message, fix=error.fix, exit_code=error.exit_code)
        else:
            report(error)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED  # the program inside got it, too, and has said what it had to say


def _run(options: argparse.Namespace) -> int:
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "up": _up,
        "down": _down,
        "status": _status,
        "reboot": _reboot,
        "exec": _exec,
        "ssh": lambda given: show.shell(Lab.load(given.name), given.node),
    }
    return actions[options.action](options)


def _up(options: argparse.Namespace) -> int:
    spec = LabSpec.from_json(options.spec) if options.spec else replace(DEFAULT_SPEC, name=options.name)
    if options.porcelain:
        Lab.up(spec, lambda line: show.porcelain("progress", line))
    else:
        lab = Lab.up(spec, show.progress)
        show.table(Lab.status(lab.name))
    return 0


def _down(options: argparse.Namespace) -> int:
    there = take_down(options.name)
    if not options.porcelain:
        show.progress(f"the lab {options.name} is down" if there else f"there is no lab {options.name}")
    return 0


def _status(options: argparse.Namespace) -> int:
    status = Lab.status(options.name)
    if options.porcelain:
        show.porcelain("result", status.to_raw())
    elif options.json:
        show.as_json(status)
    else:
        show.table(status)
    return 0


def _reboot(options: argparse.Namespace) -> int:
    Lab.load(options.name).reboot(options.node, power_cut=options.power_cut)
    return 0


def _exec(options: argparse.Namespace) -> int:
    lab = Lab.load(options.name)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise UserError("no command was given", fix=f"python -m toolkit.lab exec {options.node} -- COMMAND")
    is_host = lab.node(options.node).kind == "host"
    argv = lab.inside(options.node, command) if is_host else lab.command(options.node, command)
    return subprocess.run(argv, check=False).returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m toolkit.lab", description=__doc__)
    parser.add_argument("--porcelain", action="store_true", help="report in lines of JSON, for programs")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    helps = {
        "up": "bring the lab up, or what is missing of it",
        "down": "take the lab down and remove all of it",
        "status": "show the lab's nodes and their addresses",
        "reboot": "restart a host of the lab",
        "exec": "run a command in a node: in a host, or on a client's network",
        "ssh": "open a shell in a node",
    }
    made = {name: actions.add_parser(name, help=text, description=text) for name, text in helps.items()}
    for action in made.values():
        action.add_argument("--name", default=DEFAULT_SPEC.name, help="the lab's name (default: %(default)s)")
    made["up"].add_argument("--spec", default="", help="the lab's nodes as JSON (default: a relay and three clients)")
    made["status"].add_argument("--json", action="store_true", help="print JSON")
    made["reboot"].add_argument("node")
    made["reboot"].add_argument("--power-cut", action="store_true", help="stop nothing first: end everything at once")
    made["exec"].add_argument("node")
    made["exec"].add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    made["ssh"].add_argument("--node", default="relay", help="which node (default: %(default)s)")
    return parser
