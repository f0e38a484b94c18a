"""Whether a host's /usr/bin/python3 is a Python that runs, asked of its shell alone; and what puts it right."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.ssh import bounded, connection, shapes

if TYPE_CHECKING:
    from toolkit.hosts.remote import Remote

LOOK_SECONDS = 20
# What runs is asked for what the relay needs of it; the others beside it are what a link may lead to again.
QUESTIONS = f"""
say() {{ printf '{connection.MARK}%s=%s\\n' "$1" "$2"; }}
runs() {{ [ "$("$1" -I -c 'import json, tomllib, sys; print(sys.version_info >= (3, 11))' 2>/dev/null)" = True ]; }}
if runs /usr/bin/python3; then say python runs; elif [ -e /usr/bin/python3 ]; then say python broken
else say python missing; fi
for one in /usr/bin/python3.[0-9] /usr/bin/python3.[0-9][0-9]; do
    if runs "$one"; then say other "${{one##*/}}"; fi
done
for one in apt-get xbps-install apk; do if command -v "$one" >/dev/null; then say installer "$one"; fi; done
if [ -e /run/systemd/system ]; then say init systemd; elif [ -e /run/openrc ]; then say init openrc
else say init runit; fi
say uid "$(id -u)"
"""
INSTALL = {
    "apt-get": "apt-get install --reinstall python3-minimal python3",
    "xbps-install": "xbps-install -f python3",
    "apk": "apk fix python3",
}
RESTART = {
    "systemd": "systemctl restart netplay-relay-firewall netplay-relay",
    "openrc": "rc-service netplay-relay-firewall restart; rc-service netplay-relay restart",
    "runit": "sv restart netplay-relay-firewall netplay-relay",
}
OTHER = shapes.matching(r"python3\.[0-9]{1,2}", "a Python")


def trouble(remote: Remote) -> UserError | None:
    """Return the error for a host whose Python does not run; None where it does, or the host does not tell."""
    told: dict[str, str] = {}
    with contextlib.suppress(OSError, subprocess.SubprocessError, bounded.TooMuchError):
        argv = remote.link.argv("exec sh -s")
        told = connection.marked(
            bounded.run(argv, QUESTIONS, seconds=LOOK_SECONDS, env=connection.environment()).stdout
        )
    if told.get("python") not in ("missing", "broken"):
        return None
    gone = told["python"] == "missing"
    what = "there is no /usr/bin/python3" if gone else "/usr/bin/python3 is not a Python that runs"
    return UserError(
        f"on {remote.link.alias}: {what}, and the relay is a Python program",
        fix=remote.there(_cure(told), root=told.get("uid") == "0"),
        exit_code=HOST_UNUSABLE,
    )


def _cure(told: dict[str, str]) -> str:
    again = RESTART.get(told.get("init", ""), RESTART["systemd"])
    with contextlib.suppress(shapes.WrongShapeError):
        return f"ln -sfn {OTHER(told.get('other', ''), 'other')} /usr/bin/python3 && {again}"
    return f"{INSTALL.get(told.get('installer', ''), INSTALL['apt-get'])} && {again}"
