"""The .xbps format: one package as an archive of its metadata and its files, in the order of xbps-create."""

from __future__ import annotations

import hashlib
import plistlib
import posixpath
import re
from typing import TYPE_CHECKING, Any, Final

from toolkit.errors import UserError
from toolkit.xbps import archives
from toolkit.xbps.archives import Member

if TYPE_CHECKING:
    from toolkit.xbps.contents import Binary
    from toolkit.xbps.request import Request

ARCHITECTURES: Final = (
    *("x86_64", "x86_64-musl", "i686", "aarch64", "aarch64-musl"),
    *("armv7l", "armv7l-musl", "armv6l", "armv6l-musl"),
)


def check_architecture(text: str) -> str:
    """Return the architecture; UserError when Void has none of that name. noarch is not built any more."""
    if text not in ARCHITECTURES:
        raise UserError(f"Void has no architecture {text!r}", fix=f"Choose one: {', '.join(ARCHITECTURES)}")
    return text


def check_python(text: str) -> str:
    """Return a version of Python; UserError when it is not of the form 3.14."""
    if not re.fullmatch(r"3\.\d{1,2}", text):
        raise UserError(f"{text!r} is not a version of Python", fix="On the Void host: python3 -V; write --python 3.14")
    return text


def properties(package: Binary, request: Request, architecture: str) -> dict[str, Any]:
    """Return props.plist of a package."""
    facts: dict[str, Any] = {
        "architecture": architecture,
        "homepage": request.package.homepage,
        "installed_size": sum(len(entry.content) for entry in package.entries.values()),
        "license": request.package.license,
        "maintainer": request.maintainer,
        "packaged-with": "netplay-relay",
        "pkgname": package.name,
        "pkgver": package.pkgver,
        "run_depends": list(package.depends),
        "short_desc": package.short_desc,
        "sourcepkg": request.package.name,
        "version": package.version,
    }
    lists = {"conf_files": list(package.conf_files), "provides": list(package.provides)}
    return facts | {name: words for name, words in lists.items() if words}


def listing(package: Binary) -> dict[str, list[dict[str, Any]]]:
    """Return files.plist of a package: files with hash and size, settings apart, links, folders; none of them empty."""
    found: dict[str, list[dict[str, Any]]] = {"files": [], "conf_files": [], "links": [], "dirs": []}
    for path in _ascending({*package.entries, *_folders(package)}):
        entry = package.entries.get(path)
        if entry is None:
            found["dirs"].append({"file": f"/{path}"})
        elif entry.target:
            target = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), entry.target))
            found["links"].append({"file": f"/{path}", "target": target})
        else:
            size = {"size": len(entry.content)} if entry.content else {}  # xbps-create writes no size of nothing
            facts = {"file": f"/{path}", "sha256": hashlib.sha256(entry.content).hexdigest(), **size}
            found["conf_files" if f"/{path}" in package.conf_files else "files"].append(facts)
    return {kind: entries for kind, entries in found.items() if entries}


def pack(package: Binary, request: Request, architecture: str) -> bytes:
    """Return the package as the bytes of its .xbps."""
    members = [Member(f"./{name}", package.scripts[name].encode(), 0o755) for name in ("REMOVE", "INSTALL")
               if name in package.scripts]  # fmt: skip
    members.append(Member("./props.plist", plist(properties(package, request, architecture))))
    members.append(Member("./files.plist", plist(listing(package))))
    for path in reversed(_ascending(package.entries)):
        entry = package.entries[path]
        members.append(Member(f"./{path}", entry.content, entry.mode, entry.target))
    return archives.zstd(archives.tar(members))


def plist(content: dict[str, Any]) -> bytes:
    """Return a dictionary as xbps reads it: nothing at all for an empty one."""
    return plistlib.dumps(content) if content else b""


def _ascending(paths: Any) -> list[str]:
    """Return paths folder by folder, a folder before what is in it."""
    return sorted(paths, key=lambda path: path.split("/"))


def _folders(package: Binary) -> set[str]:
    return {
        "/".join(parts[:length])
        for parts in (path.split("/") for path in package.entries)
        for length in range(1, len(parts))
    }
