"""Ansible module: ask the service manager how our services stand, and change nothing."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netplay.relay.plugins.module_utils import (
    netplay_openrc,
    netplay_ports,
    netplay_runit,
    netplay_units,
)

DOCUMENTATION = r"""
module: netplay_service_info
short_description: Ask systemd, runit or OpenRC how services stand
description:
  - Says of each unit whether the service manager knows it, whether it runs, and whether it runs with older files than
    are installed, as it does when an earlier run was interrupted before it restarted anything.
  - Says where a socket unit should listen and does not, or the other way round.
  - Reads only. A unit that does not exist is an answer, not a failure, also in check mode.
options:
  units:
    description: The units by name, each with the files it reads at its start.
    type: dict
    required: true
  manager:
    description: The service manager, as Ansible names it.
    type: str
    choices: [systemd, runit, openrc]
    default: systemd
  ask:
    description: A command that has the running program tell C(pid) and C(age) in JSON; runit knows nothing of reloads.
    type: list
    elements: str
    default: []
  socket_unit:
    description: The socket unit among I(units), whose service is there too.
    type: str
    default: ""
  listens:
    description: Where it is to listen, each like "tcp 0.0.0.0 55435"; left out, where systemd says.
    type: list
    elements: str
author: The netplay-relay developers
"""

EXAMPLES = r"""
- name: Ask about the relay
  netplay.relay.netplay_service_info:
    units:
      netplay-relay.service: [/etc/netplay-relay/relay.toml]
  register: found
"""

RETURN = r"""
units:
  description:
    - For each unit C(known), C(runs), C(active), C(pid) (0 where it has no process), and C(outdated), the files that it
      should have read since.
    - A unit that runs and is not active is between two attempts, and cannot be reloaded.
  type: dict
  returned: always
misplaced:
  description: Where the socket unit should listen and does not, or does and should not; nothing while it does not run.
  type: list
  elements: str
  returned: always
"""


def main() -> None:
    """Answer one call."""
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "dict", "required": True},
            "manager": {"type": "str", "choices": ["systemd", "runit", "openrc"], "default": "systemd"},
            "ask": {"type": "list", "elements": "str", "default": []},
            "socket_unit": {"type": "str", "default": ""},
            "listens": {"type": "list", "elements": "str"},
        },
        supports_check_mode=True,
    )

    def run(command: list[str], *, check: bool = True) -> str:
        _, output, _ = module.run_command(command, check_rc=check, environ_update={"LC_ALL": "C"})
        return str(output)

    def ask() -> str:
        return run(module.params["ask"], check=False) if module.params["ask"] else ""

    units = {name: [Path(file) for file in files] for name, files in module.params["units"].items()}
    looks = {
        "systemd": lambda: netplay_units.look(units, run),
        "runit": lambda: netplay_runit.look(units, ask),
        "openrc": lambda: netplay_runit.look_with(units, ask, netplay_openrc.pid, netplay_openrc.is_known),
    }
    found = looks[module.params["manager"]]()
    name, listens, misplaced = module.params["socket_unit"], module.params["listens"], []
    if name and found[name]["runs"]:
        if listens is None:
            listens = netplay_ports.listens(run(["systemctl", "show", "--property=Listen", "--", name]))
        pid = found[name.replace(".socket", ".service")]["pid"]
        misplaced = netplay_ports.misplaced(listens, pid)
    module.exit_json(changed=False, units=found, misplaced=misplaced)


if __name__ == "__main__":
    main()
