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
    from toolkit.ssh.connection import Connection

PLAYBOOKS = ROOT / "ansible" / "playbooks"
# A stuck module would otherwise wait for ever; installing a package on a slow host takes a minute or two.
PLAYBOOK_SECONDS = 1200
# Our own become plugin: it does not wait for a prompt that each sudo words as it likes (ansible/plugins/become).
ASKING = "netplay.relay.sudo"


@dataclass(frozen=True, slots=True)
class Recap:
    """What a run came to: how many tasks changed something (under check: would change something)."""

    changed: int
    failed: int = 0
    unreachable: int = 0
    failed_role: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: the playbook's name, the inventory file, the file of variables, a scratch folder for ansible itself.

    seconds: when it counts as stuck, if the usual time is not enough. again: what a person does when it has failed.
    """

    playbook: str
    inventory: Path
    variables: Path
    scratch: Path
    check: bool = False
    sudo_password: str = ""
    seconds: float = 0.0
    again: str = "Deploy again"

    @property
    def recap(self) -> Path:
        """Where the callback plugin `netplay_recap` leaves what the run came to."""
        return self.scratch / "recap.json"

    def argv(self) -> list[str]:
        """Return the command line."""
        words = [sys.executable, "-m", "ansible", "playbook", "--inventory", str(self.inventory)]
        words += ["--extra-vars", f"@{self.variables}"]
        words += ["--check", "--diff"] if self.check else []
        if self.sudo_password:
            words += ["--become-password-file", "-", "--extra-vars", f"ansible_become_method={ASKING}"]
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
            "ANSIBLE_SSH_EXTRA_ARGS": shlex.join(link.session),
            # The second does nothing unless NETPLAY_RELAY_PAYLOADS is set: the tests set it.
            "ANSIBLE_CALLBACKS_ENABLED": "netplay.relay.netplay_recap,netplay.relay.payloads",
            "NETPLAY_RELAY_RECAP": str(self.recap),
        }


def play(run: Run, link: Connection) -> int:
    """Run a playbook and return how many tasks changed something (under check: would change something).

    Its output goes to the terminal as it comes. Raises UserError with the exit code that fits the failure.
    """
    bound = run.seconds or PLAYBOOK_SECONDS
    try:
        done = subprocess.run(
            run.argv(),
            input=run.sudo_password,
            env=run.environment(link),
            text=True,
            check=False,
            timeout=bound,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"working on {link.alias} has not come to an end in {bound // 60:g} minutes",
            fix=f"Look at the host by hand ({link.typed}). {run.again}: it goes on from where it was.",
            exit_code=DEPLOY_FAILED,
        ) from None
    recap = _read_recap(run.recap)
    if done.returncode == 0 and recap is not None:
        return recap.changed
    raise _failure(link, recap, run.again)


def _read_recap(path: Path) -> Recap | None:
    """Read what the run came to; None when it broke off before its end."""
    try:
        return Recap(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _failure(link: Connection, recap: Recap | None, again: str) -> UserError:
    """Return what the task ends with; the reason itself has been printed by the callback plugin `sentences`."""
    again = f"{again} when that is mended: it goes on from where it was."
    if recap is not None and recap.unreachable:
        return UserError(
            f"{link.alias} stopped answering while it was worked on",
            fix=f"{again} By hand: {link.typed}",
            exit_code=HOST_UNUSABLE,
        )
    if recap is not None and recap.failed_role == "preflight":
        return UserError(
            f"{link.alias} is not fit for a relay yet, and was left as it is",
            fix="The reason and what to do are above. Then deploy again.",
            exit_code=PREFLIGHT_REFUSED,
        )
    return UserError(
        f"the work on {link.alias} stopped half-way", fix=f"The reason is above. {again}", exit_code=DEPLOY_FAILED
    )
