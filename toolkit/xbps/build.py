"""Building the package where xbps-src is: on a Void host, which is told to by the role `xbps`."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from toolkit.console import say, step
from toolkit.deploy import ansible
from toolkit.errors import UserError
from toolkit.hosts import inventory, login
from toolkit.hosts.session import ask_password
from toolkit.ssh import connection
from toolkit.xbps import render

if TYPE_CHECKING:
    from toolkit.hosts.target import DeployTarget
    from toolkit.xbps.request import Request

BUILD_SECONDS: Final = 2 * 7200.0 + 1200.0
"""A build root and a package, each as long as the role lets it take, and the rest."""
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._+-]+)+")
_URL: Final = re.compile(r"(?:https?|git|ssh|file)://[^\s\"'`$\\{}<>|;&()]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed: account, sudo, whether its password is asked for, checkout and its source ("": the usual ones).

    install: whether the packages are installed as well.
    """

    user: str | None = None
    become: bool = False
    ask_become: bool = False
    checkout: str = ""
    url: str = ""
    install: bool = True

    def variables(self) -> dict[str, Any]:
        """Return what the role is told. Raises UserError for a path or an address that is none."""
        found: dict[str, Any] = {"xbps_install": self.install}
        if self.checkout:
            if not _PATH.fullmatch(self.checkout) or ".." in self.checkout.split("/"):
                raise UserError(
                    f"{self.checkout!r} is not a path on the host", fix="Write it like --checkout /srv/void-packages"
                )
            found["xbps_checkout"] = self.checkout
        if self.url:
            if not _URL.fullmatch(self.url):
                raise UserError(
                    f"{self.url!r} is not an address to clone from",
                    fix="Write it like --url https://HOST/void-packages.git",
                )
            found["xbps_url"] = self.url
        return found


def build(place: DeployTarget, wanted: Wanted, request: Request) -> int:
    """Do all of it; return how many tasks changed something. Raises UserError with the exit code that fits."""
    variables = wanted.variables()
    files = inventory.files_of(place.host)
    entry = inventory.update_entry(files, place.host, wanted.user, wanted.become or wanted.ask_become)
    password = ask_password(place) if wanted.ask_become else ""
    with (
        connection.connection(entry.host.alias, entry.user, place.ssh_config) as link,
        tempfile.TemporaryDirectory(prefix="netplay-relay-") as scratch,
    ):
        folder = Path(scratch)
        visit = login.visit(link, entry, password)
        step("host", f"{place.host.alias}: logged in as {visit.account}{', with sudo' if visit.become else ''}")
        render.write(request, folder / "template")
        step("template", f"{request.package.name} {request.version}, SHA-256 of its source {request.distfile.sha256}")
        hosts = folder / files.inventory.name
        inventory.write(hosts, entry.render())
        variables |= {
            "ansible_become": visit.become,
            "xbps_template": str(folder / "template"),
            "xbps_version": f"{request.version}_1",
        }
        inventory.to_json(folder / "variables.json", variables)
        run = ansible.Run(
            "xbps", hosts, folder / "variables.json", folder, False, visit.password, BUILD_SECONDS, "Build again"
        )
        changed = ansible.play(run, link)
    _say_built(place, wanted, changed)
    return changed


def _say_built(place: DeployTarget, wanted: Wanted, changed: int) -> None:
    say()
    say(f"{changed} changed on {place.host.alias}" + ("" if changed else ": it was built already"))
    account = inventory.typed(wanted.user, become=wanted.become, ask_become=wanted.ask_become)
    say(f"To run it there: invoke deploy{place.option}{account}" if wanted.install else "Nothing was installed.")
