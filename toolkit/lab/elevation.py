"""Work that only root can do, for a person who is not: the same work through sudo and this package's own command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import HOST_UNUSABLE, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CAP_NET_ADMIN = 12
CAP_SYS_ADMIN = 21


def is_root() -> bool:
    """Tell whether this process may do the lab's work itself."""
    return os.geteuid() == 0


def check_privileges() -> None:
    """Raise UserError where being root is not enough: in a container without the right to make namespaces."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    if not all(effective >> capability & 1 for capability in (CAP_SYS_ADMIN, CAP_NET_ADMIN)):
        raise UserError(
            "root may not make namespaces here (no CAP_SYS_ADMIN or CAP_NET_ADMIN), so the lab cannot run",
            fix="In a container: start it with --privileged. Or deploy to a real host: invoke deploy --host HOST",
            exit_code=HOST_UNUSABLE,
        )


def as_root(arguments: Sequence[str], progress: Callable[[str], None]) -> Any:  # decoded JSON
    """Run `python -m toolkit.lab --porcelain ARGUMENTS` through sudo and return what it reports as its result.

    Raises the UserError that it raised.
    """
    if shutil.which("sudo") is None:
        raise UserError(
            "the lab needs root and this account has no sudo",
            fix="Run the same command as root, or deploy to a real host: invoke deploy --host HOST",
            exit_code=HOST_UNUSABLE,
        )
    argv = ["sudo", "--", sys.executable, "-B", "-m", "toolkit.lab", "--porcelain", *arguments]
    result: Any = None
    error: UserError | None = None
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        for line in process.stdout or ():
            report: dict[str, Any] = json.loads(line)
            if "progress" in report:
                progress(report["progress"])
            elif "error" in report:
                error = UserError(report["error"], fix=report["fix"], exit_code=report["exit_code"])
            else:
                result = report["result"]
    if error is not None:
        raise error
    if process.returncode:
        raise UserError(
            f"sudo did not run the lab's part (exit code {process.returncode})",
            fix="Try it by hand: sudo true",
            exit_code=HOST_UNUSABLE,
        )
    return result
