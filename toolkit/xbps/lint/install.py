"""Rules about licenses, dependencies, accounts, folders and where files go."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from toolkit.xbps.lint.parse import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.xbps.lint.parse import Package

# Their text is the same everywhere and shipped once; the others' names the author.
_SHARED: Final = re.compile(r"(?:GPL|LGPL|Apache)-")
_OWN_TEXT: Final = re.compile(r"(?:MIT|BSD|ISC|AGPL|X11|custom)\b")
_SPDX: Final = re.compile(r"[A-Za-z0-9.+:-]+")
FORBIDDEN: Final = {
    "usr/sbin": "usr/bin",
    "sbin": "usr/bin",
    "bin": "usr/bin",
    "lib": "usr/lib",
    "lib64": "usr/lib",
    "usr/lib64": "usr/lib",
    "usr/local": "usr",
    "usr/man": "usr/share/man",
    "usr/doc": "usr/share/doc",
    "etc/sysctl.d": "usr/lib/sysctl.d",
    "etc/udev/rules.d": "usr/lib/udev/rules.d",
    "etc/modprobe.d": "usr/lib/modprobe.d",
    "etc/bash_completion.d": "usr/share/bash-completion/completions",
    "run": "make_dirs or the service's run",
    "tmp": "the service's run",
}
# Looked for in vain in Void's repository; python3-nftables is part of nftables there.
ABSENT: Final = frozenset(
    (
        *("ansible-lint", "fabric", "molecule", "python3-invoke", "python3-msgspec", "python3-nftables"),
        *("python3-sdnotify", "python3-structlog", "python3-systemd", "python3-typer"),
    )
)
_TAKERS: Final = ("vmove ", "vcopy ", "vmkdir ", "vinstall ", "vbin ", "vsv ", "ln ")
BROUGHT: Final = frozenset(("python3-build", "python3-installer", "python3-packaging-bootstrap"))


def license_field(package: Package) -> Iterator[Finding]:
    """Hold that the license is SPDX, and that a text of its own is installed and a shared one is not."""
    if not (each := package.first("license")) or not each.value:
        return
    parts = [part for part in re.split(r"\s*,\s*|\s+(?:AND|OR|WITH)\s+|[()]", each.value) if part]
    for part in parts:
        if re.fullmatch(r"[AL]?GPL(?:v?\d.*)?|BSD|Apache(?:[ v]?\d.*)?", part) or not _SPDX.fullmatch(part):
            yield package.finding(each.line, "license", f"{part} is not SPDX", "For example: GPL-3.0-or-later, MIT.")
    calls = package.calls("vlicense")
    if any(_OWN_TEXT.match(part) for part in parts):
        if not calls:
            yield package.finding(
                each.line, "vlicense", f"the text of {each.value} is not installed", "In post_install: vlicense LICENSE"
            )
    elif calls and all(_SHARED.match(part) for part in parts):
        yield package.finding(
            calls[0][0], "vlicense", f"the text of {each.value} is there already", "Remove the call of vlicense."
        )


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
    for each in package.assignments:
        if each.name not in {"system_accounts", "system_groups"}:
            continue
        for word in each.words:
            account = word.partition(":")[0]
            if not account.startswith("_"):
                yield package.finding(each.line, "accounts", f"{account} has no underscore", f"Name it _{account}.")
            elif each.name == "system_accounts" and not package.first(f"{account}_homedir", each.scope):
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
                    each.line + number, "make_dirs", f"{line.strip()} is no folder", "/path 0750 user group, one a line"
                )


def places(package: Package) -> Iterator[Finding]:
    """Hold that files go where packages may put them, by the helper that is for it."""
    for line, _, words in package.calls("vinstall", "vmkdir", "vcopy", "vmove", "mkdir", "install", "cp", "mv", "ln"):
        for word in words[1:]:
            path = re.sub(r"^[\"']?\$\{?(?:PKG)?DESTDIR\}?/|^[\"']|[\"']$", "", word).strip("/")
            for bad, good in FORBIDDEN.items():
                if path == bad or path.startswith(f"{bad}/"):
                    yield package.finding(line, "places", f"{bad} is refused by pkglint", f"Use {good}.")
    for line, _, words in package.calls("vinstall"):
        target = words[3] if len(words) > 3 else ""
        if target == "usr/bin" and words[2] in {"755", "0755"}:
            yield package.finding(line, "helpers", "vinstall into usr/bin", "Use vbin.")
        for start, helper in (("usr/share/man", "vman"), ("usr/share/licenses", "vlicense")):
            if target.startswith(start):
                yield package.finding(line, "helpers", f"vinstall into {start}", f"Use {helper}.")


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


def tests(package: Package) -> Iterator[Finding]:
    """Hold that tests are not left out without a reason."""
    for number, line in enumerate(package.lines):
        explained = "#" in line or (number and package.lines[number - 1].lstrip().startswith("#"))
        if re.match(r"make_check=", line) and not explained:
            yield package.finding(number + 1, "make_check", "tests are left out", "Say why, in a comment above.")


def subpackages(package: Package) -> Iterator[Finding]:
    """Hold that each subpackage has a link beside the folder and takes something over, and each link its function."""
    own = package.folder.resolve()
    for function, (line, body) in package.functions.items():
        if not function.endswith("_package"):
            continue
        sub = function.removesuffix("_package")
        link = own.parent / sub
        if not link.is_symlink() or link.resolve() != own:
            yield package.finding(line - 1, "subpackage", f"{link} does not lead here", f"ln -s {own.name} {link}")
        is_meta = "meta" in package.value("build_style") or any("build_style=meta" in each for each in body)
        if not is_meta and not any(each.strip().startswith(_TAKERS) for each in body):
            yield package.finding(line - 1, "subpackage", f"{sub} takes nothing", "In pkg_install: vmove PATH")
    for link in sorted(own.parent.iterdir()):
        if link.is_symlink() and link.resolve() == own and f"{link.name}_package" not in package.functions:
            yield Finding(link, 0, "subpackage", f"the template has no {link.name}_package()", "Remove the link.")


def _target(words: list[str]) -> str:
    """Return where a helper puts its file, without the first slash."""
    if words[0] in {"vmove", "vcopy"}:
        return words[-1].strip("\"'/")
    last = words[1].rpartition("/")[2].strip("\"'")
    if words[0] == "vconf":
        return f"etc/{words[2] if len(words) > 2 else last}"
    folder = words[3].strip("/") if len(words) > 3 else ""
    return f"{folder}/{words[4] if len(words) > 4 else last}"
