"""What xlint looks for line by line (xtools of 2026): its facts in rules of our own words.

Like it, these rules read bytes, leave comments out, and look at lines, not at values: a second line of a value is not
seen by a rule about a field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toolkit.xbps.lint.parse import XLINT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.xbps.lint.parse import Finding, Package

_COMMENT: Final = re.compile(r"(?:^|:)\s*#", re.ASCII)


@dataclass(frozen=True, slots=True)
class LineRule:
    """One rule: the finding's name, what a line must not hold, what is wrong and what to write instead."""

    rule: str
    pattern: str
    message: str
    fix: str


def _sites() -> tuple[LineRule, ...]:
    """Return the rules about download sites that xbps-src has a variable for: it may know another mirror tomorrow."""
    sites = (
        (r"downloads\.sourceforge\.net", "SOURCEFORGE_SITE"),
        (r"savannah.nongnu\.org", "NONGNU_SITE"),
        (r"archive\.ubuntu\.com", "UBUNTU_SITE"),
        (r"x\.org/releases/individual", "XORG_SITE"),
        (r"ftp.*debian\.org", "DEBIAN_SITE"),
        (r"gnome\.org/pub", "GNOME_SITE"),
        (r"www\.kernel\.org/pub/linux", "KERNEL_SITE"),
        (r"cpan\.org/modules/by-module", "CPAN_SITE"),
        (r"files\.pythonhosted\.org/packages", "PYPI_SITE"),
        (r"ftp\.mozilla\.org", "MOZILLA_SITE"),
        (r"ftp\.gnu\.org/(?:pub/)?gnu", "GNU_SITE"),
        (r"freedesktop\.org/software", "FREEDESKTOP_SITE"),
        (r"download.kde.org/stable", "KDE_SITE"),
        (r"xorg\.freedesktop\.org/wiki/", "XORG_HOME"),
    )
    return tuple(
        LineRule("site", f"distfiles=.*{pattern}", "xbps-src has a variable for this site", f"Write ${{{name}}}.")
        for pattern, name in sites
    )


LINE_RULES: Final = (
    LineRule("short_desc", r'short_desc=.*\."', "short_desc ends with a dot", "Remove it."),
    LineRule("short_desc", r'short_desc=.*\s"', "short_desc ends with a blank", "Remove it."),
    LineRule("short_desc", r"short_desc=[\"'][a-z]", "short_desc begins small", "Begin with a capital."),
    LineRule("short_desc", r"short_desc=[\"'](?:An?|The) ", "short_desc begins with an article", "Leave it out."),
    LineRule("short_desc", r"short_desc=[\"'][\t ]", "short_desc begins with a blank", "Remove it."),
    LineRule("short_desc", r"short_desc=[\"'].{74}", "short_desc has more than 72 bytes", "At most 72."),
    LineRule("license", r"license=.*[^NL]GPL[^-]", "GPL without its version", "For example: GPL-3.0-or-later"),
    LineRule("license", r"license=.*LGPL[^-]", "LGPL without its version", "For example: LGPL-2.1-or-later"),
    LineRule("license", r"license=.*SSPL", "Void takes nothing under the SSPL", "Look for an older release."),
    LineRule("helpers", r"vinstall.* 0?755.*usr/bin", "vinstall into usr/bin", "Use vbin."),
    LineRule("helpers", r"vinstall.* usr/share/man", "vinstall into usr/share/man", "Use vman."),
    LineRule("helpers", r"vinstall.* usr/share/licenses", "vinstall into usr/share/licenses", "Use vlicense."),
    LineRule("tabs", r"^ +\t", "blanks before a tab", "Indent with tabs."),
    LineRule("trailing", r"[\t ]$", "blanks at the end of the line", "Remove them."),
    LineRule("backticks", r"[^\\]`", "backticks", "Write $(command)."),
    LineRule("pkgname", r'^pkgname="[^$]+"', "pkgname is quoted", "Write it without quotes."),
    LineRule("revision", r"^revision=0", "revision is 0", "Count from revision=1."),
    LineRule("version", r'^version="[^$]+"', "version is quoted", "Write it without quotes."),
    LineRule("version", r"^version=.*[-:_]", "-, : and _ separate name, version and revision", "X.Y.Z"),
    LineRule("version", r"^version=.*\${.*[:!#%/^,@].*}", "version is put together", "Write the version itself."),
    LineRule("reverts", r"^reverts=.*-", "reverts has a - in it", "Versions alone, without the package's name."),
    LineRule("reverts", r"^reverts=(?!.*_)", "reverts has no revision", "For example: reverts=1.2_1"),
    LineRule("left-out", r"archs=.?noarch.?", "noarch packages are not built any more", "Remove the line."),
    LineRule("left-out", r"pycompile_module=", "pycompile_module is found by itself", "Remove the line."),
    LineRule("left-out", r"python_version=.*#\s*unverified", "python_version is not verified", "Verify it."),
    LineRule(
        "replaces", r"replaces=(?=.*\w)[^<>]*$", "replaces needs a version", 'For example: replaces="thing<1.2_1"'
    ),
    LineRule("homepage", r"homepage=.*\$", "homepage uses a variable", "Write the address itself."),
    LineRule(
        "maintainer", r"maintainer=(?!.*<.*@.*>)", "no mail can be sent to the maintainer", 'maintainer="Name <a@b.c>"'
    ),
    LineRule(
        "maintainer", r"maintainer=.*<.*@users.noreply.github.com>", "this address takes no mail", "Name one that does."
    ),
    LineRule("empty", r"^[^ =]*=(?:\"\"|''|)$", "the field is empty", "Remove the line."),
    LineRule("subpackage", r"^.*-docs_package", "documentation goes into -doc", "Name it thing-doc."),
    LineRule("distfiles", r"distfiles=.*github.com.*/archive/.*\.zip\"?$", "GitHub packs tarballs too", ".tar.gz"),
    LineRule("distfiles", r"distfiles=.*crates.io/api/", "crates are fetched from static.crates.io", "Name that site."),
    *_sites(),
    LineRule("paths", r"usr/lib/python3.[0-9]/site-packages", "the version of Python is in a path", "${py3_sitelib}"),
    LineRule("function", r"^\t*function\b", "the word function", "Write: name() {"),
    LineRule("function", r"^\t*[^ ]* +\(\)", "a blank before ()", "Write: name() {"),
    LineRule("function", r"^\t*[^ ]*\(\)(?:| {2,}){", "not one blank between () and {", "Write: name() {"),
    LineRule("function", r"^\t*[^ ]*\(\)$", "{ is in another line", "Write: name() {"),
    LineRule(
        "cargo",
        r"cargo update (?:--package|-p) [A-Za-z_]\w*(?!:\d+\.\d+\.\d+)(?:\s.+)?$",
        "cargo update does not say from which version",
        "cargo update --package NAME:1.2.3 --precise 1.2.4",
    ),
    LineRule(
        "cargo",
        r"cargo update (?:--package|-p) [A-Za-z_][\w-]*:\d+\.\d+\.\d+(?!--precise \d+\.\d+\.\d+)$",
        "cargo update does not say to which version",
        "cargo update --package NAME:1.2.3 --precise 1.2.4",
    ),
    LineRule(
        "options", r"-D([A-Za-z0-9_-]+)=\$\(vopt_if \1 true false\)", "vopt_if true false", "Write $(vopt_bool ...)."
    ),
)
_COMPILED: Final = tuple((each, re.compile(each.pattern, re.ASCII)) for each in LINE_RULES)
_OF_THEIR_AUTHOR: Final = ("custom", "AGPL", "MIT", "BSD", "ISC", "X11")
_SHARED: Final = re.compile(r'license="(?:\b(?:LGPL|GPL|GFDL|Apache)-\S+(?:, )?)+"', re.ASCII)


def xlint_lines(package: Package) -> Iterator[Finding]:
    """Hold each line against the rules above."""
    for number, line in read_lines(package):
        for rule, pattern in _COMPILED:
            if pattern.search(line):
                yield package.finding(number, rule.rule, rule.message, rule.fix, XLINT)
    for number, line in read_lines(package):
        if line.startswith("  "):
            yield package.finding(number, "tabs", "the line is indented with blanks", "Indent with tabs.", XLINT)
            break


def read_lines(package: Package) -> Iterator[tuple[int, str]]:
    """Return the lines that xlint looks at, numbered from 1, a character for each byte."""
    for number, line in enumerate(package.lines, start=1):
        seen = line.encode().decode("latin-1")
        if not _COMMENT.search(seen):
            yield number, seen


def license_text(package: Package) -> Iterator[Finding]:
    """Hold that a license of its author's is installed, and one that is the same everywhere is not."""
    named = [(number, line) for number, line in read_lines(package) if "license=" in line]
    if "vlicense" not in package.text:
        for number, line in named:
            if found := [kind for kind in _OF_THEIR_AUTHOR if re.search(f"license=.*{kind}", line)]:
                yield package.finding(
                    number, "vlicense", f"the text of {found[0]} is not installed", "In post_install: vlicense LICENSE",
                    XLINT,
                )  # fmt: skip
    elif all(_SHARED.search(line) for line in package.lines if "license=" in line):
        for number, line in read_lines(package):
            if "vlicense" in line:
                yield package.finding(
                    number, "vlicense", "the license's text is there already", "Remove the call of vlicense.", XLINT
                )
                break


def literal_version(package: Package) -> Iterator[Finding]:
    """Hold that distfiles follow the version by its variable."""
    version = next((line[len("version=") :] for line in package.lines if line.startswith("version=")), "")
    for number, line in read_lines(package):
        _, field, rest = line.partition("distfiles=")
        if field and version in rest:
            yield package.finding(number, "distfiles", f"distfiles name {version} itself", "Write ${version}.", XLINT)


def check_reason(package: Package) -> Iterator[Finding]:
    """Hold that tests are not left out without a reason, in the line or the one above."""
    before = ""
    for number, line in enumerate(package.lines, start=1):
        if re.search(r"make_check=[^#]*$", line) and not re.match(r"[ \t]*#", before):
            yield package.finding(number, "make_check", "tests are left out", "Say why, in a comment above.", XLINT)
        before = line
