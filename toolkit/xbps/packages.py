"""The three packages a template can be rendered for: what is fixed about each, as data.

The two older relays are here because people come from them. Both have no tags: only snapshots of them can be packaged.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from toolkit.console import ROOT
from toolkit.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

OWN: Final = "netplay-relay"


@dataclass(frozen=True, slots=True)
class Subpackage:
    """What a subpackage takes over: paths below the root, without the first slash."""

    name: str
    note: str
    depends: tuple[str, ...]
    takes: tuple[str, ...]
    conf_files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Package:
    """One package: names, license, the default source, the default commit and its date ("" where there is none).

    broken: commits that do not build, and why.
    """

    name: str
    summary: str
    license: str
    homepage: str
    account: str
    home: str
    depends: tuple[str, ...]
    services: tuple[str, ...]
    conf_files: tuple[str, ...]
    directories: tuple[str, ...]
    commit: str = ""
    date: str = ""
    broken: dict[str, str] = field(default_factory=dict)
    subpackages: tuple[Subpackage, ...] = ()


PLACEHOLDER: Final = "https://example.org/netplay-relay"
"""The home page where none is known: a template has to have one. It leads nowhere, and whoever writes it says so."""


def homepage(checkout: Path = ROOT) -> str:
    """Return the project's address from pyproject.toml; PLACEHOLDER when it names none."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project.get("urls", {}).get("Homepage", PLACEHOLDER))


_FIREWALL: Final = Subpackage(
    name="netplay-relay-firewall",
    note="firewall service",
    depends=("nftables",),
    takes=("etc/sv/netplay-relay-firewall",),
    conf_files=(),
)


def all_packages() -> dict[str, Package]:
    """Return the packages by name."""
    return {
        package.name: package
        for package in (
            Package(
                name=OWN,
                summary="RetroArch netplay relay that only friends can reach",
                license="MIT",
                homepage=homepage(),
                account="_netplay_relay",
                home="/var/empty",
                depends=("python3", "util-linux"),
                services=("netplay-relay", "netplay-relay-firewall"),
                conf_files=(
                    "/etc/netplay-relay/relay.toml",
                    "/etc/netplay-relay/friends.toml",
                    "/etc/netplay-relay/allowlist",
                ),
                # Settings are the account's to read and nobody else's; what the firewall agent knows is root's.
                directories=("/etc/netplay-relay 0750 root _netplay_relay", "/var/lib/netplay-relay 0700 root root"),
                subpackages=(_FIREWALL,),
            ),
            Package(
                name="netplay-mitm-server",
                summary="RetroArch netplay relay of older versions",
                license="GPL-3.0-or-later",
                homepage="https://github.com/libretro/netplay-mitm-server",
                account="_netplay_mitm",
                home="/var/empty",
                depends=("util-linux",),
                services=("netplay-mitm-server",),
                conf_files=(),
                directories=(),
                # The two commits after it, of 2021-11-10, are half of a change: the newest does not compile.
                commit="fae1270e7f0d7434471a2719df4c826f7f60e146",
                date="20211023",
                broken={
                    "35b53b1cc42a2e81a827212d59ae5d81d01fccc8": "no compiler takes its mitm.cpp (line 847)",
                },
            ),
            Package(
                name="netplay-tunnel-server",
                summary="RetroArch netplay tunnel relay",
                license="GPL-3.0-or-later",
                homepage="https://github.com/libretro/netplay-tunnel-server",
                account="_netplay_tunnel",
                home="/var/empty",
                depends=("python3", "util-linux"),
                services=("netplay-tunnel-server",),
                conf_files=("/etc/netplay-tunnel-server.ini",),
                directories=("/var/log/netplay-tunnel-server 0750 _netplay_tunnel _netplay_tunnel",),
                commit="23ddababf1ce1c600b7ac108ec7fb683e564d0ba",
                date="20221101",
            ),
        )
    }


def find(name: str) -> Package:
    """Return the package of that name; UserError when there is none."""
    packages = all_packages()
    if name not in packages:
        raise UserError(f"there is no package {name!r}", fix=f"Choose one: --package {' | '.join(packages)}")
    return packages[name]
