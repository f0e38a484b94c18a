"""Running a playbook against one host: its own configuration, the shared ssh login, what it came to as numbers."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.console import ROOT
from toolkit.errors import DEPLOY_FAILED, HOST_UNUSABLE, PREFLIGHT_REFUSED, UserError

if TYPE_CHECKING:
    from toolkit.ssh import Connection

PLAYBOOKS = ROOT / "ansible" / "playbooks"
# A stuck module would otherwise wait for ever; installing a package on a slow host takes a minute or two.
PLAYBOOK_SECONDS = 1200


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run failed: the role it was in (empty: none), what to read, and whether the host could not be reached."""

    role: str
    message: str
    unreachable: bool


@dataclass(frozen=True, slots=True)
class Run:
    """One run: the playbook's name, the inventory file, the file of variables, a scratch folder for ansible itself."""

    playbook: str
    inventory: Path
    variables: Path
    scratch: Path
    check: bool = False
    sudo_password: str = ""

    @property
    def summary(self) -> Path:
        """Where the callback plugin `sentences` leaves what the run came to."""
        return self.scratch / "summary.json"

    def argv(self) -> list[str]:
        """Return the command line."""
        words = [sys.executable, "-m", "ansible", "playbook", "--inventory", str(self.inventory)]
        words += ["--extra-vars", f"@{self.variables}"]
        words += ["--check", "--diff"] if self.check else []
        words += ["--become-password-file", "-"] if self.sudo_password else []
        return [*words, str(PLAYBOOKS / f"{self.playbook}.yml")]

    def environment(self, link: Connection) -> dict[str, str]:
        """Return the environment: of ansible's settings only ours, and nothing written outside the scratch folder."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        return {
            **kept,
            "LC_ALL": "C.UTF-8",  # ansible refuses to start in another encoding
            "ANSIBLE_CONFIG": str(ROOT / "ansible" / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.scratch / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(self.scratch / "ansible" / "tmp"),
            "ANSIBLE_SSH_ARGS": shlex.join(link.options),
            "NETPLAY_RELAY_SUMMARY": str(self.summary),
        }


def play(run: Run, link: Connection) -> int:
    """Run a playbook and return how many tasks changed something (under check: would change something).

    Its output goes to the terminal as it comes. Raises UserError with the exit code that fits the failure.
    """
    try:
        done = subprocess.run(
            run.argv(),
            input=run.sudo_password,
            env=run.environment(link),
            text=True,
            check=False,
            timeout=PLAYBOOK_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"working on {link.alias} has not come to an end in {PLAYBOOK_SECONDS // 60} minutes",
            fix=f"Look at the host by hand ({link.typed}); deploying again goes on from where it was.",
            exit_code=DEPLOY_FAILED,
        ) from None
    changed, failure = _summary(run.summary)
    if done.returncode == 0:
        return changed
    raise _as_error(link, failure)


def _summary(path: Path) -> tuple[int, Failure | None]:
    """Read what the run came to; a run that broke off before the end has left nothing."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0, None
    changed = sum(int(counts["changed"]) for counts in raw["hosts"].values())
    unreachable = any(counts["unreachable"] for counts in raw["hosts"].values())
    failures = [Failure(entry["role"], entry["message"], unreachable) for entry in raw["failures"]]
    return changed, failures[0] if failures else None


def _as_error(link: Connection, failure: Failure | None) -> UserError:
    again = f"Deploy again when it is mended; it goes on from where it was. By hand: {link.typed}"
    if failure is None:
        return UserError(
            f"ansible broke off while it worked on {link.alias}",
            fix=f"Its last words stand above. {again}",
            exit_code=DEPLOY_FAILED,
        )
    if failure.unreachable:
        return UserError(failure.message, fix=again, exit_code=HOST_UNUSABLE)
    if failure.role == "preflight":
        return UserError(failure.message, fix="Nothing was changed.", exit_code=PREFLIGHT_REFUSED)
    return UserError(failure.message, fix=again, exit_code=DEPLOY_FAILED)
