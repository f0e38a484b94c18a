"""Become plugin `netplay.relay.sudo`: sudo with a password, whatever sudo it is and however it asks."""

from __future__ import annotations

import shlex
from typing import Any

from ansible.module_utils.common.text.converters import to_bytes

from ansible.plugins.become import BecomeBase

DOCUMENTATION = r"""
name: sudo
short_description: sudo with a password, without waiting for sudo's own prompt
description:
  - Ansible's own plugin waits for the prompt that it has told sudo to use. sudo-rs puts words of its own before it, PAM
    modules speak first, and a host may speak another language; then nothing comes that it waits for.
  - This one asks for the password itself, before sudo is run, and sudo reads it from standard input without a prompt.
    So sudo has to ask for one, whatever it remembers (C(-k)); where it needs none, do without this plugin.
options:
  become_user:
    description: Whom to become.
    default: root
    vars:
      - name: ansible_become_user
  become_exe:
    description: The program.
    default: sudo
    vars:
      - name: ansible_become_exe
  become_flags:
    description: Not used; what a password needs is given.
    default: ''
    vars:
      - name: ansible_become_flags
  become_pass:
    description: The password.
    vars:
      - name: ansible_become_password
      - name: ansible_become_pass
"""

# Run by the login shell's sh: says our own prompt, then becomes sudo, which reads the line that answers it.
ASK = 'printf "%s\\n" "$1"; shift; exec "$@"'


class BecomeModule(BecomeBase):  # type: ignore[misc]  # Ansible has no types
    """What Ansible looks for."""

    name = "sudo"
    # Words for a password that was refused: sudo's, and sudo-rs'.
    fail = ("Sorry, try again.", "Authentication failed, try again.", "incorrect authentication attempt")
    missing = ("a password is required", "must have a tty to run sudo")

    def build_become_command(self, cmd: str, shell: Any) -> str:
        """Return a command line that asks for the password and runs cmd as another account."""
        super().build_become_command(cmd, shell)
        if not cmd:
            return cmd
        self.prompt = f"[netplay-relay: sudo's password, {self._id}]"
        program = [str(self.get_option("become_exe") or self.name), "-k", "-S", "-p", "", "-H"]
        program += ["-u", str(self.get_option("become_user") or "root")]
        asking = shlex.join(["/bin/sh", "-c", ASK, "sh", self.prompt, *program])
        return f"{asking} {self._build_success_command(cmd, shell)}"

    def check_password_prompt(self, b_output: bytes) -> bool:
        """Tell whether our prompt has come; a login may have left its last line unended before it."""
        return bool(self.prompt) and to_bytes(self.prompt) in b_output
