"""Starting a run in a network of its own, showing how it goes, and what came out."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from toolkit.bench import records, report, tools
from toolkit.bench.progress import Progress
from toolkit.bench.results import Results
from toolkit.console import ROOT
from toolkit.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.bench.plan import Plan

NO_NAMESPACE = "Making one needs root, or user namespaces: sudo -E invoke bench"


def bench(plan: Plan, *, as_json: bool = False, markdown: bool = False) -> None:
    """Run a plan and print the result, as tables, Markdown or one JSON object. Raises UserError."""
    tools.haproxy()
    tools.compiler()
    tools.cores()
    progress = Progress(plan)
    results = Results(plan)
    for event, data in events(plan):
        if event == "begin":
            results.machine, results.urgent = data["machine"], data["urgent"]
            progress.begin(urgent=data["urgent"])
        elif event == "record":
            results.add(records.from_json(data))
            progress.show(records.from_json(data))
        else:
            raise UserError(data["message"], fix=data["fix"])
    if as_json:
        report.print_json(results)
    elif markdown:
        report.print_markdown(results)
    else:
        report.print_tables(results)


def events(plan: Plan) -> Iterator[tuple[str, Any]]:
    """Run a plan; yield the events of `inside`. Raises UserError when it ends before its time."""
    with subprocess.Popen(command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        if process.stdin is None or process.stdout is None:
            raise UserError("the benchmark could not be started")
        seen = False
        try:
            # One that has ended already says why on its own.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(dataclasses.asdict(plan)))
                process.stdin.close()
            for line in process.stdout:
                seen = True
                yield from json.loads(line).items()
            code = process.wait()
        finally:
            # Whatever it started ends with it: it is the first process of a process namespace.
            process.kill()
    if not seen:
        raise UserError("the benchmark could not have a network of its own on this machine", fix=NO_NAMESPACE)
    if code:
        raise UserError("the benchmark stopped before its end", fix="Its own message is above.")


def command() -> list[str]:
    """Return the argument list that runs `inside` in namespaces of its own."""
    unprivileged = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    spaces = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return ["unshare", *unprivileged, *spaces, "--", sys.executable, "-m", "toolkit.bench.inside"]
