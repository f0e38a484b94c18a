"""Rules about licenses, dependencies, accounts, folders and where files go."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from toolkit.xbps.lint.lines import read_lines
from toolkit.xbps.lint.parse import PKGLINT, XBPS_SRC, XLINT, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.xbps.lint.parse import Package

# Where pkglint lets no package put anything, and where it belongs.
FORBIDDEN: Final = {
    "usr/sbin": "usr/bin",
    "sbin": "usr/bin",
    "bin": "usr/bin",
    "lib": "usr/lib",
    "usr/local": "usr",
    "usr/usr": "usr",
    "usr/etc": "etc",
    "usr/man": "usr/share/man",
    "usr/share/man/man": "usr/share/man",
    "usr/doc": "usr/share/doc",
    "usr/dict": "usr/share/dict",
    "usr/lib/libexec": "usr/libexec",
    "usr/lib/locale": "usr/share/locale",
    "etc/sysctl.d": "usr/lib/sysctl.d",
    "etc/udev/rules.d": "usr/lib/udev/rules.d",
    "etc/udev/hwdb.d": "usr/lib/udev/hwdb.d",
    "etc/modprobe.d": "usr/lib/modprobe.d",
    "etc/X11/xorg.conf.d": "usr/share/X11/xorg.conf.d",
    "etc/gconf/schemas": "usr/share/gconf/schemas",
    "etc/dracut.conf.d": "usr/lib/dracut/dracut.conf.d",
    "etc/bash_completion.d": "usr/share/bash-completion/completions",
    "var/run": "make_dirs or the service's run",
    **dict.fromkeys(("run", "tmp", "home", "root", "mnt", "proc", "dev"), "make_dirs or the service's run"),
}
# Accounts of before the underscore became the rule; their packages are in Void's repository.
_OLD_ACCOUNTS: Final = """
    at avahi bitlbee boinc caddy chrony clocksd colord cups dbus deluge dictd dnscrypt_proxy dnsmasq elog etcd fcron ftp
    gdm gerbera gitolite gpsd h2o haproxy icinga inadyn inspircd jenkins kube ldap libvirt lightdm mail minidlna mopidy
    mpd munge mysql named nbd ndhc nethack nginx nsd nslcd ntpd nut openntpd orientdb polkitd postfix postgres privoxy
    prosody pulse quassel radicale redis relaysrv rmilter rpc rspamd rsvlog rtkit sddm shadowsocks sndiod squid storm
    suricata synapse taskd tomcat tor transmission tuntox umurmur usbmux voidupdates x2gouser znc
"""
OLD_ACCOUNTS: Final = tuple(_OLD_ACCOUNTS.split())
_NEW_ACCOUNT: Final = re.compile(rf"system_accounts=.*\b(?!{'|'.join(OLD_ACCOUNTS)})[a-zA-Z]", re.ASCII)
# Deprecated by the SPDX list. Its other ids, and how they are written, packaging knows.
_DEPRECATED: Final = """
    AGPL-1.0 AGPL-3.0 BSD-2-Clause-FreeBSD BSD-2-Clause-NetBSD GFDL-1.1 GFDL-1.2 GFDL-1.3 GPL-1.0 GPL-1.0+ GPL-2.0
    GPL-2.0+ GPL-2.0-with-GCC-exception GPL-2.0-with-autoconf-exception GPL-2.0-with-bison-exception
    GPL-2.0-with-classpath-exception GPL-2.0-with-font-exception GPL-3.0 GPL-3.0+ GPL-3.0-with-GCC-exception
    GPL-3.0-with-autoconf-exception LGPL-2.0 LGPL-2.0+ LGPL-2.1 LGPL-2.1+ LGPL-3.0 LGPL-3.0+ Net-SNMP Nunit
    StandardML-NJ bzip2-1.0.5 eCos-2.0 wxWindows
"""
DEPRECATED: Final = frozenset(_DEPRECATED.split())
# Looked for in vain in Void's repository; python3-nftables is part of nftables there.
ABSENT: Final = frozenset(
    (
        *("ansible-lint", "fabric", "molecule", "python3-invoke", "python3-msgspec", "python3-nftables"),
        *("python3-sdnotify", "python3-structlog", "python3-systemd", "python3-typer"),
    )
)
_TAKERS: Final = ("vmove ", "vcopy ", "vmkdir ", "vinstall ", "vbin ", "vsv ", "ln ")
# Which of a helper's words is the place.
_WHERE: Final = {"vinstall": 3, "vmkdir": 1, "vcopy": 2}
BROUGHT: Final = frozenset(("python3-build", "python3-installer", "python3-packaging-bootstrap"))


def license_ids(package: Package) -> Iterator[Finding]:
    """Hold that licenses are named by their SPDX ids, each in the list's own letters."""
    for number, line in enumerate(package.lines, start=1):
        if not (found := re.fullmatch(r'(?!\s*#).*license="(.*)".*', line)) or "$" in found[1]:
            continue
        for part in map(str.strip, re.split(r",| (?:WITH|OR|AND) ", re.sub(r"[()]", "", found[1]))):
            if not part.startswith("custom:") and part != "Public Domain" and not is_spdx(part):
                yield package.finding(
                    number, "license", f"{part or 'nothing'} is not an SPDX id", "For example: GPL-3.0-or-later, MIT.",
                    XLINT,
                )  # fmt: skip


def is_spdx(text: str) -> bool:
    """Tell whether a license or an exception is in the SPDX list by that id, and not out of use."""
    if text in DEPRECATED or not re.fullmatch(r"[A-Za-z0-9.-]+", text) or text.startswith("LicenseRef-"):
        return False
    # An exception is one only behind a license.
    return any(_canonical(before + text) == before + text for before in ("", "MIT WITH "))


def _canonical(expression: str) -> str:
    try:
        return str(canonicalize_license_expression(expression))
    except InvalidLicenseExpression:
        return ""


def dependencies(package: Package) -> Iterator[Finding]:
    """Hold that Void has what is needed, and that nothing is named that the build style brings."""
    for each in package.assignments:
        if not each.name.endswith("depends"):
            continue
        for word in each.words:
            bare = re.split(r"[<>=]", word)[0]
            if bare in ABSENT:
                yield package.finding(
                    each.line, "depends", f"Void has no {bare}", "Do without it, or package it first."
                )
            if each.name == "hostmakedepends" and bare in BROUGHT and "pep517" in package.value("build_style"):
                yield package.finding(each.line, "depends", f"the build style brings {bare}", "Name only the backend.")


def accounts(package: Package) -> Iterator[Finding]:
    """Hold that accounts begin with an underscore and have a home."""
    for number, line in read_lines(package):
        if _NEW_ACCOUNT.search(line):
            yield package.finding(number, "accounts", "the account has no underscore in front", "Name it _NAME.", XLINT)
    for each in package.assignments:
        if each.name != "system_accounts" or "$" in each.value:
            continue
        for account in (word.partition(":")[0] for word in each.words):
            if account.startswith("_") and not package.first(f"{account}_homedir", each.scope):
                yield package.finding(
                    each.line, "accounts", f"{account} has no home", f'Add {account}_homedir="/var/empty"'
                )


def directories(package: Package) -> Iterator[Finding]:
    """Hold that make_dirs has a path, a mode, a user and a group on each line."""
    for each in package.assignments:
        if each.name != "make_dirs":
            continue
        for number, line in enumerate(each.value.splitlines()):
            if line.strip() and not re.fullmatch(r"\s*/\S+\s+[0-7]{3,4}\s+\S+\s+\S+\s*", line):
                yield package.finding(
                    each.line + number,
                    "make_dirs",
                    f"{line.strip()} is not a folder",
                    "/path 0750 user group, one a line",
                )


def places(package: Package) -> Iterator[Finding]:
    """Hold that files go where packages may put them."""
    for line, _, words in package.calls("vinstall", "vmkdir", "vcopy"):
        path = re.sub(r"^/+|/+$", "", words[_WHERE[words[0]]].strip("\"'")) if len(words) > _WHERE[words[0]] else ""
        for bad, good in FORBIDDEN.items():
            if path == bad or path.startswith(f"{bad}/"):
                yield package.finding(line, "places", f"{bad} is refused by pkglint", f"Use {good}.", PKGLINT)


def settings(package: Package) -> Iterator[Finding]:
    """Hold that conf_files are installed. With a build style, that may do it by itself: then nothing is said."""
    installed = {
        f"/{_target(words)}" for _, _, words in package.calls("vinstall", "vconf", "vmove", "vcopy") if len(words) > 1
    }
    for each in package.assignments:
        if each.name != "conf_files":
            continue
        for word in each.words:
            path = package.expanded(word)
            known = any(path == place or path.startswith(f"{place}/") or "*" in place for place in installed)
            if not path.startswith("/"):
                yield package.finding(each.line, "conf_files", f"{path} is not absolute", f"Write /{path}")
            elif not known and (each.scope or not package.value("build_style")):
                yield package.finding(
                    each.line, "conf_files", f"nothing installs {path}", "Install it, or take it off the list."
                )


def subpackages(package: Package) -> Iterator[Finding]:
    """Hold that each subpackage has a link beside the folder and takes something over, and each link its function."""
    own = package.folder.resolve()
    for function, (line, body) in package.functions.items():
        if not function.endswith("_package"):
            continue
        sub = function.removesuffix("_package")
        link = own.parent / sub
        if not link.is_symlink() or link.resolve() != own:
            yield package.finding(
                line - 1, "subpackage", f"{link} does not lead here", f"ln -s {own.name} {link}", XBPS_SRC
            )
        is_meta = "meta" in package.value("build_style") or any("build_style=meta" in each for each in body)
        if not is_meta and not any(each.strip().startswith(_TAKERS) for each in body):
            yield package.finding(line - 1, "subpackage", f"{sub} takes nothing", "In pkg_install: vmove PATH")
    for link in sorted(own.parent.iterdir()):
        if link.is_symlink() and link.resolve() == own and f"{link.name}_package" not in package.functions:
            yield Finding(
                link, 0, "subpackage", f"the template has no {link.name}_package()", "Remove the link.", XBPS_SRC
            )


def _target(words: list[str]) -> str:
    """Return where a helper puts its file, without the first slash."""
    if words[0] in {"vmove", "vcopy"}:
        return words[-1].strip("\"'/")
    last = words[1].rpartition("/")[2].strip("\"'")
    if words[0] == "vconf":
        return f"etc/{words[2] if len(words) > 2 else last}"
    folder = words[3].strip("/") if len(words) > 3 else ""
    return f"{folder}/{words[4] if len(words) > 4 else last}"
