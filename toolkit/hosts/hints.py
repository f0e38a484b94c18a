"""What the owner types to look at a host: for errors, and for the doctor."""

from __future__ import annotations

import shlex


def sudo_ssh(typed: str, *, become: bool, asks: bool) -> str:
    """Return how the owner types what is for the host: as the account that deploys, by sudo where that is not root.

    typed: the login as it is typed ("ssh myvps"); become: by sudo; asks: sudo wants a password, on a terminal alone.
    """
    if asks:
        typed = typed.replace("ssh ", "ssh -t ", 1)
    return f"{typed} sudo" if become else typed


def there(ssh: str, command: str) -> str:
    """Return what the owner types to run a command line on the host, quoted for both shells; ssh: see `sudo_ssh`.

    Of several commands sudo would run the first alone: a shell that it starts runs them all.
    """
    if ssh.endswith(" sudo") and any(sign in command for sign in "&|;"):
        command = f"sh -c {shlex.quote(command)}"
    return f"{ssh} {shlex.quote(command)}"


def managed(init: str, verb: str, name: str) -> str:
    """Return what is typed on the host to have its service manager do something with one of our services.

    init: "systemd", "runit" or "openrc"; anything else is taken for systemd. name: without ".service".
    """
    argv = {"runit": f"sv {verb} {name}", "openrc": f"rc-service {name} {verb}"}
    return argv.get(init, f"systemctl {verb} {name}")


def log(init: str, installed: str | None, name: str = "netplay-relay", lines: int = 100) -> str:
    """Return what is typed on the host to read the log of one of our services; installed: "release" or "current"."""
    # The package's program stands in a folder, and no link leads to a release; its log goes to syslog (socklog).
    package = installed == "current"
    files = {
        "runit": "/var/log/socklog/everything/current" if package else f"/var/log/{name}/current",
        "openrc": f"/var/log/{name}.log",
    }
    return f"tail -n {lines} {files[init]}" if init in files else f"journalctl -u {name} -n {lines}"
