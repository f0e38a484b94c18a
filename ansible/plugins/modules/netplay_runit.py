"""Ansible module: enable, start, restart, stop or disable a runit service, and see that it came to that."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netplay.relay.plugins.module_utils import netplay_runit

DOCUMENTATION = r"""
module: netplay_runit
short_description: Have runit run a service, or not
description:
  - Makes or removes the service's link, gives runsv its orders, and waits until what was ordered is so. A service is
    up when its own check says that it is ready.
  - In check mode nothing is done; a service that does not exist yet would be changed.
options:
  name:
    description: The service's name below /etc/sv.
    type: str
    required: true
  state:
    description: What it is to do.
    type: str
    choices: [started, stopped, restarted]
    required: true
  enabled:
    description: Whether it is to run from the next boot on as well. Left out, that stays as it is.
    type: bool
  seconds:
    description: How long the order may take; games may go on until the relay stops.
    type: int
    default: 30
author: The netplay-relay developers
"""

EXAMPLES = r"""
- name: Run the relay
  netplay.relay.netplay_runit:
    name: netplay-relay
    enabled: true
    state: started
"""

RETURN = r"""
said:
  description: The last words of sv.
  type: str
  returned: always
"""

# runsvdir looks for new links every five seconds.
SEEN = 20.0
PAUSE = 0.1


class Service:
    """One service, and the program sv."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.name = str(module.params["name"])
        self.seconds = int(module.params["seconds"])
        self.source = netplay_runit.SOURCES / self.name
        self.link = netplay_runit.ENABLED / self.name
        self.said = ""

    def sv(self, order: str, seconds: int) -> bool:
        """Give an order and wait for it at most so long; return whether sv is content."""
        argv = ["sv", "-w", str(seconds), order, str(self.source)]
        status, output, errors = self.module.run_command(argv, environ_update={"LC_ALL": "C"})
        self.said = (output + errors).strip()
        return bool(status == 0)

    def ready(self) -> bool:
        """Whether it is up and its check says so."""
        return self.sv("check", 1) and netplay_runit.is_ready(self.said)

    def is_up(self) -> bool:
        """Whether it runs and is meant to, ready or not."""
        return self.sv("status", 1) and self.said.startswith("run:") and "want down" not in self.said.split(";")[0]

    def enable(self, wanted: bool | None) -> bool:
        """Make or remove the link; return whether that is a change."""
        if wanted is None or wanted == self.link.is_symlink():
            return False
        if not self.module.check_mode and wanted:
            self.link.symlink_to(self.source)
        elif not self.module.check_mode:
            self.link.unlink()
        return True

    def start(self) -> bool:
        """Have it run and be ready; return whether it did not before."""
        if netplay_runit.is_supervised(self.name) and self.is_up():
            return False
        if not self.module.check_mode:
            self.until(lambda: netplay_runit.is_supervised(self.name), SEEN, "runsvdir has not taken note of it")
            self.sv("up", 1)
            self.until(self.ready, self.seconds, "it is not ready")
        return True

    def restart(self) -> bool:
        """Have it stop and run anew."""
        if not self.module.check_mode:
            self.sv("restart", self.seconds)
            self.until(self.ready, self.seconds, "it is not ready")
        return True

    def stop(self, enabled: bool | None) -> bool:
        """Have it stop, and where it is disabled its supervisor end; return whether there was anything to stop."""
        if not netplay_runit.is_supervised(self.name):
            return False
        up = netplay_runit.pid(self.name) != 0
        if not self.module.check_mode:
            self.sv("force-stop", self.seconds)
            if enabled is False:
                self.sv("exit", self.seconds)
                self.until(lambda: not netplay_runit.is_supervised(self.name), SEEN, "its supervisor does not end")
            self.until(lambda: netplay_runit.pid(self.name) == 0, 5, "it does not stop")
        return up or enabled is False

    def until(self, holds: Any, seconds: float, otherwise: str) -> None:
        """Wait for a condition; fail with what is the matter when it has not come."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                self.module.fail_json(msg=f"{self.name}: {otherwise} after {seconds:g} s. sv says: {self.said}")
            time.sleep(PAUSE)


def main() -> None:
    """Answer one call."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["started", "stopped", "restarted"], "required": True},
            "enabled": {"type": "bool"},
            "seconds": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    service, state, enabled = Service(module), module.params["state"], module.params["enabled"]
    changed = service.enable(enabled)
    if state == "started":
        changed |= service.start()
    elif state == "restarted":
        changed |= service.restart()
    else:
        changed |= service.stop(enabled)
    module.exit_json(changed=changed, said=service.said)


if __name__ == "__main__":
    main()
