"""Ansible module: try whether a host's packet filter takes rules like the gate's, and change nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netplay.relay.plugins.module_utils import netplay_filters, netplay_lacking

DOCUMENTATION = r"""
module: netplay_filters
short_description: Try whether a host's packet filter takes rules like the gate's
description:
  - Has nft, or iptables-restore where there is no nft, check rules like those that the gate will load.
  - Changes nothing, and says the same in check mode. Where neither program is installed, nothing is tried.
options:
  rules:
    description: The rules, by program and feature.
    type: dict
    required: true
  backend:
    description: What relay.toml says under C([gate]).
    type: str
    choices: [auto, nftables, iptables]
    default: auto
author: The netplay-relay developers
"""

EXAMPLES = r"""
- name: Try the packet filter
  netplay.relay.netplay_filters:
    rules: "{{ lookup('ansible.builtin.file', 'rules.json') | from_json }}"
  register: tried
"""

RETURN = r"""
backend:
  description: The packet filter that was tried, empty for none.
  type: str
  returned: always
lacks:
  description: What it lacks and the gate leaves out, in sentences.
  type: list
  elements: str
  returned: always
refused:
  description: What it refuses of the rules that cannot be left out, with the cure; empty for nothing.
  type: str
  returned: always
"""


def main() -> None:
    """Answer one call."""
    module = AnsibleModule(
        argument_spec={
            "rules": {"type": "dict", "required": True},
            "backend": {"type": "str", "choices": ["auto", "nftables", "iptables"], "default": "auto"},
        },
        supports_check_mode=True,
    )
    places = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    def run(argv: list[str], text: str) -> tuple[int, str]:
        environ = {"LC_ALL": "C", "PATH": places}
        status, output, errors = module.run_command(argv, data=text, binary_data=True, environ_update=environ)
        return int(status), str(errors or output)

    found = netplay_filters.tried(
        module.params["backend"],
        module.params["rules"],
        lambda name: shutil.which(name, path=places),
        run,
        ipv6=Path("/proc/net/if_inet6").exists(),
    )
    module.exit_json(
        changed=False,
        backend=found.backend,
        lacks=netplay_lacking.sentences(found.backend, found.lacks),
        refused=netplay_lacking.refusal(found.said, found.rule),
    )


if __name__ == "__main__":
    main()
