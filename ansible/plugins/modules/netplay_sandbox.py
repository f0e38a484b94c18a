"""Ansible module: try whether a program can be started as our services will be, and leave nothing."""

from __future__ import annotations

import contextlib
import os
import pwd
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netplay.relay.plugins.module_utils import netplay_sandbox
from ansible_collections.netplay.relay.plugins.module_utils.netplay_sandbox import Attempt

DOCUMENTATION = r"""
module: netplay_sandbox
short_description: Try whether a program can be started as our services will be
description:
  - Under systemd starts a transient unit with the sandbox of each unit given, which runs Python for a moment, and finds
    out what has to be left out where that fails.
  - Under runit and OpenRC runs Python by setpriv with the rights that the services leave.
  - Leaves nothing, and does the same in check mode.
options:
  units:
    description: For each service, the text of its unit or of the template for it.
    type: dict
    required: true
  manager:
    description: The service manager, as Ansible names it.
    type: str
    choices: [systemd, runit, openrc]
    default: systemd
author: The netplay-relay developers
"""

EXAMPLES = r"""
- name: Try the sandbox
  netplay.relay.netplay_sandbox:
    units:
      netplay-relay: "{{ lookup('ansible.builtin.file', 'netplay-relay.service.j2') }}"
  register: tried
"""

RETURN = r"""
without:
  description: For each service, the kinds of settings that its unit has to leave out.
  type: dict
  returned: always
failed_at:
  description: For each service that cannot be started all the same, why; empty where all can.
  type: dict
  returned: always
container:
  description: What kind of container the host is, empty for a machine.
  type: str
  returned: always
forbidden:
  description: Which kinds of namespaces sysctl user.max_KIND_namespaces forbids.
  type: list
  elements: str
  returned: always
"""

# What the relay needs of its interpreter first of all.
PROGRAM = ["/usr/bin/python3", "-I", "-c", "import asyncio"]
# What templates/runit and templates/openrc leave to a service.
RIGHTS = {"netplay-relay": "-all", "netplay-relay-firewall": "-all,+net_admin,+net_raw,+chown"}
ACCOUNTS = ("netplay-relay", "_netplay_relay", "daemon", "nobody")


def account() -> str:
    """Return an account without rights: the relay's own, where it is there already."""
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return "root"


class Trial:
    """Attempts on this host."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.count = 0

    def run(self, *argv: str) -> tuple[int, str]:
        """Run a program; return its status and what it said. Raises OSError where there is none."""
        status, output, errors = self.module.run_command(
            list(argv), environ_update={"LC_ALL": "C"}, handle_exceptions=False
        )
        return int(status), (output + errors).strip()

    def by_systemd(self, name: str, found: list[tuple[str, str]]) -> Attempt:
        """Start a transient unit and wait for its end."""
        self.count += 1
        unit = f"{name}-trial-{os.getpid()}-{self.count}.service"
        argv = ["systemd-run", "--wait", "--quiet", f"--unit={unit}", "--service-type=oneshot"]
        argv += ["--property=TimeoutStartSec=30", "--description=Tries the sandbox of " + name]
        argv += [f"--property={key}={value}" for key, value in found]
        argv += [f"--property=User={account()}"] if name == "netplay-relay" else []
        code, said = self.run(*argv, "--", *PROGRAM)
        if code == 0:
            return Attempt(0)
        _, shown = self.run("systemctl", "show", "--property=ExecMainStatus,Result", "--", unit)
        told = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        _, log = self.run("journalctl", "--boot", "--no-pager", "--output=cat", "--lines=20", f"--unit={unit}")
        self.run("systemctl", "reset-failed", "--", unit)
        status = int(told.get("ExecMainStatus", "0") or 0)
        # What systemd-run does not even begin, it says itself.
        return Attempt(status or -1, log if status else said)

    def by_setpriv(self, name: str) -> Attempt:
        """Run a program as the service's own script will."""
        who = ["--reuid", account(), "--regid", str(pwd.getpwnam(account()).pw_gid), "--clear-groups"]
        argv = ["setpriv", *(who if name == "netplay-relay" else [])]
        argv += ["--bounding-set", RIGHTS[name], "--inh-caps", "-all", "--ambient-caps", "-all", "--no-new-privs", "--"]
        try:
            code, said = self.run(*argv, *PROGRAM)
        except OSError as error:
            return Attempt(-1, f"setpriv: {error.strerror}")
        return Attempt(code, said)


def forbidden() -> list[str]:
    """Return the kinds of namespaces of which none may be made."""
    found = []
    for path in sorted(Path("/proc/sys/user").glob("max_*_namespaces")):
        with contextlib.suppress(OSError, ValueError):
            if int(path.read_text()) == 0:
                found.append(path.name.split("_")[1])
    return found


def main() -> None:
    """Answer one call."""
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "dict", "required": True},
            "manager": {"type": "str", "choices": ["systemd", "runit", "openrc"], "default": "systemd"},
        },
        supports_check_mode=True,
    )
    trial = Trial(module)
    verdicts: dict[str, netplay_sandbox.Verdict] = {}
    for name, text in module.params["units"].items():
        if module.params["manager"] == "systemd":
            found = netplay_sandbox.directives(text)
            verdicts[name] = netplay_sandbox.judge(found, lambda each, name=name: trial.by_systemd(name, each))
        else:
            attempt = trial.by_setpriv(name)
            verdicts[name] = netplay_sandbox.Verdict([], attempt if attempt.status else None)
    failed: dict[str, Any] = {
        name: netplay_sandbox.words(each.failed) for name, each in verdicts.items() if each.failed is not None
    }
    container = ""
    if failed and module.params["manager"] == "systemd":
        code, said = trial.run("systemd-detect-virt", "--container")
        container = said if code == 0 else ""
    module.exit_json(
        changed=False,
        without={name: each.without for name, each in verdicts.items()},
        failed_at=failed,
        container=container,
        forbidden=forbidden(),
    )


if __name__ == "__main__":
    main()
