"""Rules about the template's text and the order of what stands in it."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from toolkit.xbps.lint.parse import XBPS_SRC, XLINT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.xbps.lint.parse import Finding, Package

COLUMNS: Final = 80
TAB: Final = 8
BASH_SECONDS: Final = 10.0
# The order of fields up to the first blank line or function; what is not named comes last.
ORDER: Final = (
    ("pkgname",),
    ("reverts",),
    ("version",),
    ("revision",),
    ("archs",),
    ("create_wrksrc",),
    ("build_wrksrc",),
    ("build_style", "build_helper"),
    ("metapackage",),
    (
        *("cabal_index_state", "cmake_args", "cmake_builddir", "configure_args", "configure_script", "go_build_tags"),
        *("go_get", "go_import_path", "go_ldflags", "go_mod_mode", "go_package", "make_build_args"),
        *("make_build_target", "make_check_args", "make_check_target", "make_cmd", "make_install_args"),
        *("make_install_target", "make_use_env", "meson_builddir", "meson_cmd", "meson_crossfile"),
        *("perl_configure_dirs", "pycompile_dirs", "pycompile_module", "python_versions", "qmake_default_version"),
        *("scons_use_destdir", "stackage"),
    ),
    ("hostmakedepends",),
    ("makedepends",),
    ("depends",),
    ("checkdepends",),
    ("short_desc",),
    ("maintainer",),
    ("license",),
    ("homepage",),
    ("changelog",),
    ("distfiles",),
    ("checksum",),
    ("alternatives", "fetch_cmd"),
)
ANYWHERE: Final = ("conf_files", "make_dirs", "bootstrap")
_RANK: Final = {name: rank for rank, names in enumerate(ORDER) for name in names}
# Where these stand xlint does not say, nor where build_wrksrc and create_wrksrc do.
_OUT_OF_USE: Final = ("long_desc", "wrksrc")


def header(package: Package) -> Iterator[Finding]:
    """Hold that the first line names the package."""
    name = next((line[len("pkgname=") :] for line in package.lines if line.startswith("pkgname=")), "")
    wanted = f"# Template file for '{name}'"
    if package.lines[0] != wanted:
        yield package.finding(1, "header", "the first line does not name the package", f"Write: {wanted}", XLINT)


def ending(package: Package) -> Iterator[Finding]:
    """Hold that the file ends with one newline."""
    if not package.text.endswith("\n"):
        yield package.finding(
            len(package.lines), "ending", "the last line does not end", "End it with one newline.", XLINT
        )
    elif package.text.endswith("\n\n"):
        yield package.finding(len(package.lines) - 1, "ending", "the file ends with an empty line", "Remove it.", XLINT)


def columns(package: Package) -> Iterator[Finding]:
    """Hold that lines fit into 80 columns, as far as they can be broken."""
    for number, line in enumerate(package.lines, start=1):
        width = len(line.expandtabs(TAB))
        if width > COLUMNS and not re.match(r"#|\s*(?:short_desc|distfiles|homepage|changelog)=", line):
            yield package.finding(number, "columns", f"the line has {width} columns", f"Break it at {COLUMNS}.")


def order(package: Package) -> Iterator[Finding]:
    """Hold that fields stand in xlint's order, and revision right behind version."""
    highest, last = -1, ""
    for number, line in enumerate(package.lines, start=1):
        if not line or (line.endswith("{") and line[0] not in "# \t" and "=" not in line):
            break
        if line[0] in "# \t_" or "=" not in line:
            continue
        name = line.partition("=")[0]
        if name in ANYWHERE:
            continue
        rank = _RANK.get(name, len(ORDER))
        if rank < highest and not (name.endswith(_OUT_OF_USE) or last.endswith(_OUT_OF_USE)):
            yield package.finding(number, "order", f"{name} stands behind {last}", f"Place it before {last}=.", XLINT)
        elif rank > highest:
            highest, last = rank, name
    yield from _revision_follows(package)


def _revision_follows(package: Package) -> Iterator[Finding]:
    after_version = [
        following
        for line, following in zip(package.lines, package.lines[1:], strict=False)
        if line.startswith("version=")
    ]
    if all("revision=" in line for line in after_version):
        return
    for number, line in enumerate(package.lines, start=1):
        if "revision=" in line and not line.lstrip().startswith("#"):
            yield package.finding(
                number, "order", "revision does not follow version", "Place it below version=.", XLINT
            )


def syntax(package: Package) -> Iterator[Finding]:
    """Ask bash -n. Without bash nothing is said: xbps-src itself cannot run there."""
    bash = shutil.which("bash")
    if bash is None:
        return
    done = subprocess.run(
        [bash, "-n", str(package.template)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=BASH_SECONDS,
    )
    for said in done.stderr.splitlines() if done.returncode else ():
        if found := re.search(r": line (\d+): (.*)", said):
            yield package.finding(int(found[1]), "syntax", found[2], "bash -n template says the same.", XBPS_SRC)
