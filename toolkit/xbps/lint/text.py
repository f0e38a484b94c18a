"""Rules about the template's text and the order of what stands in it."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

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
    ("create_wrksrc",),
    ("build_wrksrc",),
    ("build_style", "build_helper"),
    (
        *("cmake_args", "cmake_builddir", "configure_args", "configure_script", "go_build_tags", "go_import_path"),
        *("go_ldflags", "go_mod_mode", "go_package", "make_build_args", "make_build_target", "make_check_args"),
        *("make_check_pre", "make_check_target", "make_cmd", "make_install_args", "make_install_target"),
        *("make_use_env", "meson_builddir", "meson_cmd", "meson_crossfile", "perl_configure_dirs", "pycompile_dirs"),
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


def header(package: Package) -> Iterator[Finding]:
    """Hold that the first line names the package."""
    wanted = f"# Template file for '{package.value('pkgname')}'"
    if package.lines[0] != wanted:
        yield package.finding(1, "header", "the first line does not name the package", f"Write: {wanted}")


def ending(package: Package) -> Iterator[Finding]:
    """Hold that the file ends with one newline."""
    if not package.text.endswith("\n"):
        yield package.finding(len(package.lines), "ending", "the last line does not end", "End it with one newline.")
    elif package.text.endswith("\n\n"):
        yield package.finding(len(package.lines) - 1, "ending", "the file ends with an empty line", "Remove it.")


def lines(package: Package) -> Iterator[Finding]:
    """Hold that lines have tabs, 80 columns, no blanks at the end and no backticks."""
    for number, line in enumerate(package.lines, start=1):
        if re.match(r"\t* {2,}", line) or re.match(r" +\t", line):
            yield package.finding(number, "tabs", "the line is indented with spaces", "Indent with tabs.")
        if len(line.expandtabs(TAB)) > COLUMNS:
            yield package.finding(
                number, "columns", f"the line has {len(line.expandtabs(TAB))} columns", f"Break it at {COLUMNS}."
            )
        if line != line.rstrip():
            yield package.finding(number, "trailing", "blanks at the end of the line", "Remove them.")
        if re.search(r"(?<!\\)`", line) and not line.lstrip().startswith("#"):
            yield package.finding(number, "backticks", "backticks", "Write $(command).")


def functions(package: Package) -> Iterator[Finding]:
    """Hold that a function begins with `name() {` on one line."""
    for number, line in enumerate(package.lines, start=1):
        bad = re.match(r"\t*function\b", line) or re.match(r"\t*[\w.+-]+ +\(\)", line)
        if bad or (re.match(r"\t*[\w.+-]+\(\)", line) and not re.match(r"\t*[\w.+-]+\(\) \{", line)):
            yield package.finding(number, "function", "not how a function begins here", "Write on one line: name() {")


def order(package: Package) -> Iterator[Finding]:
    """Hold that fields stand in xlint's order."""
    highest, last = -1, ""
    for each in package.assignments:
        if each.scope or each.line > _end_of_fields(package):
            break
        if each.name in ANYWHERE or each.name.startswith("_"):
            continue
        rank = _RANK.get(each.name, len(ORDER))
        if rank < highest:
            yield package.finding(each.line, "order", f"{each.name} stands behind {last}", f"Place it before {last}=.")
        else:
            highest, last = rank, each.name
    version, revision = package.first("version"), package.first("revision")
    if version and revision and revision.line != version.line + 1:
        yield package.finding(revision.line, "order", "revision does not follow version", "Place it below version=.")


def syntax(package: Package) -> Iterator[Finding]:
    """Ask bash -n. Without bash nothing is said: xbps-src itself cannot run there."""
    bash = shutil.which("bash")
    if bash is None:
        return
    done = subprocess.run(
        [bash, "-n", str(package.template)], capture_output=True, text=True, check=False, timeout=BASH_SECONDS
    )
    for said in done.stderr.splitlines():
        if found := re.search(r": line (\d+): (.*)", said):
            yield package.finding(int(found[1]), "syntax", found[2], "bash -n template says the same.")


def _end_of_fields(package: Package) -> int:
    """Return the line before the first blank line or function."""
    for number, line in enumerate(package.lines, start=1):
        if not line or line.endswith("{"):
            return number - 1
    return len(package.lines)
