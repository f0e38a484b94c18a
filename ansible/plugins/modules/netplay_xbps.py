"""Ansible module: look how far a package is on a Void host, and change nothing."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netplay.relay.plugins.module_utils import netplay_xbps

DOCUMENTATION = r"""
module: netplay_xbps
short_description: Look how far a package is on a Void host
description:
  - Says whether the void-packages checkout is there and who owns it, whether its build root is, whether a package has
    been built since its template changed, whether the repository has it, and whether it is installed from there.
  - Reads only, and asks xbps for what is installed.
options:
  checkout:
    description: The void-packages checkout.
    type: path
    required: true
  repository:
    description: The local repository.
    type: path
    required: true
  package:
    description: The package that has the template.
    type: str
    required: true
  subpackages:
    description: The packages that are built with it.
    type: list
    elements: str
    default: []
  version:
    description: Version and revision, as in 1.2.3_1; without it, that of the repository's newest package.
    type: str
    default: ""
author: The netplay-relay developers
"""

EXAMPLES = r"""
- name: Look how far the package is
  netplay.relay.netplay_xbps:
    checkout: /var/lib/netplay-builder/void-packages
    repository: /var/lib/netplay-packages
    package: netplay-relay
    version: 1.2.3_1
  register: found
"""

RETURN = r"""
version:
  description: Version and revision that the answers are about.
  type: str
  returned: always
known:
  description: Whether any version of the package is installed.
  type: bool
  returned: always
arch:
  description: The host's architecture, as xbps calls it.
  type: str
  returned: always
cloned:
  description: Whether the checkout is there.
  type: bool
  returned: always
bootstrapped:
  description: Whether xbps-src has its build root.
  type: bool
  returned: always
built:
  description: The files that were built from the template as it is.
  type: list
  elements: str
  returned: always
published:
  description: Whether the repository has these files, and its index knows them.
  type: bool
  returned: always
installed:
  description: Whether the host has these packages, from these files.
  type: bool
  returned: always
available:
  description: Whether the repository has any version of the package.
  type: bool
  returned: always
"""


def main() -> None:
    """Answer one call."""
    module = AnsibleModule(
        argument_spec={
            "checkout": {"type": "path", "required": True},
            "repository": {"type": "path", "required": True},
            "package": {"type": "str", "required": True},
            "subpackages": {"type": "list", "elements": "str", "default": []},
            "version": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )

    def run(command: list[str]) -> str:
        try:
            status, output, _ = module.run_command(command, environ_update={"LC_ALL": "C"}, handle_exceptions=False)
        except OSError:  # it is not there
            return ""
        return str(output) if status == 0 else ""

    given = module.params
    wanted = netplay_xbps.Wanted(
        Path(given["checkout"]), Path(given["repository"]), given["package"], tuple(given["subpackages"]),
        given["version"],
    )  # fmt: skip
    try:
        module.exit_json(changed=False, **netplay_xbps.look(wanted, run))
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")


if __name__ == "__main__":
    main()
