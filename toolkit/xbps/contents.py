"""What the packages contain, worked out from the same data as the template, without running it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toolkit.errors import UserError
from toolkit.xbps import packages, render, wheel
from toolkit.xbps.archives import Member

if TYPE_CHECKING:
    from toolkit.xbps.request import Request

PYTHON: Final = "3.14"
"""The Python of Void's repository; a package is good for this one alone, and says so."""
# What post_install installs beside the wheel, the license and the services: the name in files/, where to, the mode.
_INSTALLED: Final = (
    ("relay.toml", "etc/netplay-relay/relay.toml", 0o644),
    ("friends.toml", "etc/netplay-relay/friends.toml", 0o600),
    ("allowlist", "etc/netplay-relay/allowlist", 0o644),
    ("README.voidlinux", "usr/share/doc/netplay-relay/README.voidlinux", 0o644),
)


@dataclass(frozen=True, slots=True)
class Binary:
    """One binary package: its facts as xbps wants them, its entries by path (no first slash), its scripts."""

    name: str
    version: str
    short_desc: str
    depends: tuple[str, ...]
    conf_files: tuple[str, ...]
    entries: dict[str, Member]
    scripts: dict[str, str]

    @property
    def provides(self) -> tuple[str, ...]:
        """What the package stands for besides its name: its Python distribution, and each of its commands."""
        names = (path.split("/") for path in self.entries)
        wheels = sorted({name.partition("-")[0] for parts in names for name in parts if name.endswith(".dist-info")})
        commands = sorted(path.removeprefix("usr/bin/") for path in self.entries if path.startswith("usr/bin/"))
        found = (*(f"py3:{wheel.replace('_', '-').lower()}" for wheel in wheels), *(f"cmd:{name}" for name in commands))
        return tuple(f"{name}-{self.version}" for name in found)

    @property
    def pkgver(self) -> str:
        """Name, version and revision, as xbps writes them."""
        return f"{self.name}-{self.version}"


def binaries(request: Request, python: str = PYTHON) -> list[Binary]:
    """Return the package and its subpackages. UserError for one that has to be compiled, or a source not at hand."""
    package = request.package
    if package.name != packages.OWN:
        raise UserError(
            f"{package.name} can only be packaged by xbps-src, which builds it",
            fix=f"invoke xbps.template --package {package.name} ... --out DIR, and build that with xbps-src.",
        )
    if request.distfile.content is None:
        raise UserError("the source is not at hand, only its checksum", fix="Leave --checksum out, or: --distfile FILE")
    entries = _all_entries(request, request.distfile.content, python)
    version = f"{request.version}_1"
    found = []
    for sub in package.subpackages:
        taken = {path: entries.pop(path) for path in list(entries) if _is_below(path, sub.takes)}
        depends = (f"{package.name}-{version}", *(f"{each}>=0" for each in sub.depends))
        desc = f"{package.summary} - {sub.note}"
        found.append(Binary(sub.name, version, desc, depends, sub.conf_files, taken, {}))
    depends = (*(f"{each}>=0" for each in package.depends if each != "python3"), _one_python(python))
    main = Binary(
        package.name, version, package.summary, depends, package.conf_files, entries, _scripts(request, python)
    )
    return [main, *found]


def _all_entries(request: Request, content: bytes, python: str) -> dict[str, Member]:
    installed, license_text = wheel.files(request, content, python)
    texts = render.texts(request)
    members = [Member(path, data, mode) for path, (data, mode) in installed.items()]
    members += [Member(path, texts[f"files/{name}"].encode(), mode) for name, path, mode in _INSTALLED]
    members.append(Member(f"usr/share/licenses/{request.package.name}/LICENSE", license_text))
    for service in request.package.services:
        members += _service(service, texts)
    return {member.name: member for member in members}


def _service(name: str, texts: dict[str, str]) -> list[Member]:
    """Return what vsv makes of files/NAME: the service itself, its log to syslog, and where runit keeps its state."""
    own = f"etc/sv/{name}"
    programs = [
        Member(f"etc/sv/{path.removeprefix('files/')}", text.encode(), 0o755)
        for path, text in texts.items()
        if path.startswith(f"files/{name}/")
    ]
    log = f"#!/bin/sh\nexec vlogger -t {name} -p daemon\n"
    return [
        *programs,
        Member(f"{own}/log/run", log.encode(), 0o755),
        Member(f"{own}/log/supervise", target=f"/run/runit/supervise.{name}-log"),
        Member(f"{own}/supervise", target=f"/run/runit/supervise.{name}"),
    ]


def _scripts(request: Request, python: str) -> dict[str, str]:
    """Return INSTALL and REMOVE: they call Void's triggers, as xbps-src has every package do."""
    account = request.package.account
    exports = {
        "system_accounts": account,
        f"{account}_homedir": request.package.home,
        "make_dirs": "\n".join(request.package.directories),
        "pycompile_version": python,
        "pycompile_module": "relay",
    }
    # Which trigger acts when is the trigger's own choice; these are theirs.
    after = {"INSTALL": ("system-accounts", "mkdirs", "pycompile"), "REMOVE": ("mkdirs",)}
    before = {"INSTALL": (), "REMOVE": ("system-accounts", "pycompile")}
    own = render.texts(request)
    return {
        name: _script(exports, name.lower(), before[name], after[name], own.get(name, ""))
        for name in ("INSTALL", "REMOVE")
    }


def _script(exports: dict[str, str], target: str, before: tuple[str, ...], after: tuple[str, ...], own: str) -> str:
    """Return a script; own is what the template has of its own, which knows the variables by these names.

    A trigger that fails, or is not there, ends the script without an error, as in xbps-src's packages: an error would
    end the whole transaction, that of other packages too.
    """
    lines = ["#!/bin/sh", "# Called by xbps with: pre or post, name, version, update (yes or no), its settings.", ""]
    lines += [
        'export PATH="/bin:/sbin:/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin"',
        *(f'export {key}="{text}"' for key, text in exports.items()),
    ]
    lines += [
        "",
        "act() {",
        '\t"./usr/libexec/xbps-triggers/$1" run "$2" "$PKGNAME" "$VERSION" "$UPDATE" "$CONF_FILE" || exit 0',
    ]
    lines += ["}", "", "ACTION=$1 PKGNAME=$2 VERSION=$3 UPDATE=$4 CONF_FILE=$5", 'case "$ACTION" in']
    for moment, triggers in (("pre", before), ("post", after)):
        lines += [f"{moment})", *(f"\tact {trigger} {moment}-{target}" for trigger in triggers), "\t;;"]
    return "\n".join([*lines, "esac", "", f"{own}exit 0", ""])


def _is_below(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _one_python(python: str) -> str:
    """Return the dependency that xbps-src adds to a package of Python modules."""
    major, minor = python.split(".")
    return f"python3>={python}.0_1<{major}.{int(minor) + 1}.0_1"
