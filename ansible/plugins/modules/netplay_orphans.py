"""Ansible module: end programs of ours that lost the supervisor that started them."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netplay.relay.plugins.module_utils import netplay_openrc, netplay_orphans

DOCUMENTATION = r"""
module: netplay_orphans
short_description: End a relay, or what keeps its firewall, that runs on without its supervisor
description:
  - Where somebody killed runsv or supervise-daemon, what it had started runs on, and keeps the port. It is asked to
    end, which lets games go on for the drain time, and ended at last.
  - Under OpenRC the service manager is told as well that a service whose supervisor is gone does not run.
options:
  manager:
    description: The service manager, as Ansible names it; under systemd nothing can lose its supervisor.
    type: str
    choices: [systemd, runit, openrc]
    required: true
  seconds:
    description: How long what is asked to end may take.
    type: int
    default: 70
author: The netplay-relay developers
"""

EXAMPLES = r"""
- name: End a relay that lost its supervisor
  netplay.relay.netplay_orphans:
    manager: runit
"""

RETURN = r"""
ended:
  description: The processes that were ended.
  type: list
  elements: int
  returned: always
services:
  description: The services that OpenRC was told of.
  type: list
  elements: str
  returned: always
"""

PAUSE = 0.1


def runs(pid: int) -> bool:
    """Whether a process is still there."""
    return bool(netplay_orphans.kind(pid))


def end(pids: list[int], seconds: float) -> None:
    """Ask processes to end, and end those that have not by then."""
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 10.0)):
        for pid in filter(runs, pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        until = time.monotonic() + patience
        while any(map(runs, pids)) and time.monotonic() < until:
            time.sleep(PAUSE)


def main() -> None:
    """Answer one call."""
    module = AnsibleModule(
        argument_spec={
            "manager": {"type": "str", "choices": ["systemd", "runit", "openrc"], "required": True},
            "seconds": {"type": "int", "default": 70},
        },
        supports_check_mode=True,
    )
    manager = module.params["manager"]
    pids = [] if manager == "systemd" else [orphan.pid for orphan in netplay_orphans.find()]
    crashed = netplay_openrc.crashed() if manager == "openrc" else []
    if not module.check_mode:
        end(pids, module.params["seconds"])
        for name in crashed:
            module.run_command(["rc-service", name, "zap"], check_rc=True)
    left = [] if module.check_mode else [pid for pid in pids if runs(pid)]
    if left:
        module.fail_json(msg=f"process {left[0]}, a program of the relay's without a supervisor, does not end")
    module.exit_json(changed=bool(pids or crashed), ended=pids, services=crashed)


if __name__ == "__main__":
    main()
