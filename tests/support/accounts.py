"""Accounts on a lab host that are nobody special until sudo says so; root's key opens them all."""

from __future__ import annotations

PASSWORD = "it is $ecret"  # noqa: S105 - of accounts that live as long as a test
_RIGHTS = {"keeper": "ALL", "helper": "NOPASSWD: ALL"}


def made(*names: str) -> str:
    """Return the script that makes them: keeper's sudo wants a password, helper's none, others may not use it."""
    lines = [
        f"for name in {' '.join(names)}; do useradd --create-home --shell /bin/bash $name",
        "install -d -m 700 -o $name -g $name /home/$name/.ssh",
        "install -m 600 -o $name -g $name /root/.ssh/authorized_keys /home/$name/.ssh/; done",
        f"echo 'keeper:{PASSWORD}' | chpasswd",
        *(f"echo '{name} ALL=(ALL) {right}' >/etc/sudoers.d/{name}" for name, right in _RIGHTS.items()),
    ]
    return "; ".join(lines)


def gone(*names: str) -> str:
    """Return the script that takes them away, logged in or not."""
    traces = "/etc/sudoers.d/$name /var/lib/sudo/lectured/$name"
    return f"for name in {' '.join(names)}; do userdel --force --remove $name; rm -f {traces}; done"
