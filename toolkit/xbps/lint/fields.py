"""Rules about single fields."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from toolkit.xbps import versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.xbps.lint.parse import Finding, Package

ONCE: Final = ("pkgname", "version", "revision", "short_desc", "maintainer", "license", "homepage")
DESC_MOST: Final = 72
LEFT_OUT: Final = {
    "archs": "Remove it: noarch packages are not built any more.",
    "noarch": "Remove it: noarch packages are not built any more.",
    "wrksrc": "Remove it: xbps-src names the folder itself.",
    "python_version": "Remove it: the shebang is rewritten by itself.",
    "pycompile_module": "Remove it: it is found by itself.",
    "long_desc": "Remove it: short_desc and homepage say enough.",
}
# Fields of xbps-src. What is not among them is the template's own, and begins with an underscore.
_KNOWN: Final = """
    AR AS CC CFLAGS CPP CPPFLAGS CXX CXXFLAGS GCC LD LDFLAGS LD_LIBRARY_PATH NM OBJCOPY OBJDUMP RANLIB READELF STRIP
    XBPS_FETCH_CMD allow_unknown_shlibs alternatives binfmts bootstrap broken build_helper build_options
    build_options_default build_style build_wrksrc changelog checkdepends checksum cmake_args cmake_builddir conf_files
    configure_args configure_script conflicts create_wrksrc depends disable_parallel_build disable_parallel_check
    distfiles dkms_modules fetch_cmd font_dirs go_build_tags go_import_path go_ldflags go_mod_mode go_package homepage
    hostmakedepends ignore_elf_dirs ignore_elf_files keep_libtool_archives kernel_hooks_version lib32depends
    lib32disabled lib32files lib32mode lib32symlinks license maintainer make_build_args make_build_target make_check
    make_check_args make_check_pre make_check_target make_cmd make_dirs make_install_args make_install_target
    make_use_env makedepends meson_builddir meson_cmd meson_crossfile metapackage mutable_files nocheckperms nocross
    nodebug nofixperms nopie nopie_files noshlibprovides nostrip nostrip_files noverifyrdeps patch_args pkgname preserve
    provides pycompile_dirs python_extras register_shell replaces repository restricted reverts revision run_depends
    sgml_catalogs sgml_entries shlib_provides shlib_requires short_desc skip_extraction skiprdeps sourcepkg stackage
    subpackages system_accounts system_groups tags triggers verbatim version xml_catalogs xml_entries
"""
KNOWN: Final = frozenset(_KNOWN.split())
_OWN_BEGINNINGS: Final = ("_", "desc_option_")
_OWN_ENDINGS: Final = ("_descr", "_groups", "_homedir", "_pgroup", "_shell")


def required(package: Package) -> Iterator[Finding]:
    """Hold that seven fields are there, each exactly once."""
    for name in ONCE:
        found = [each for each in package.assignments if each.name == name and not each.scope]
        if not found:
            yield package.finding(0, "required", f"{name} is missing", f"Add {name}=")
        for each in found[1:]:
            yield package.finding(each.line, "required", f"{name} is there twice", f"Keep one {name}=.")


def empty(package: Package) -> Iterator[Finding]:
    """Hold that no field is empty."""
    for each in package.assignments:
        if not each.value.strip():
            yield package.finding(each.line, "empty", f"{each.name} is empty", "Remove the line.")


def unknown(package: Package) -> Iterator[Finding]:
    """Hold that the template's own fields begin with an underscore, and that none is out of use."""
    for each in package.assignments:
        if each.scope:
            continue
        if each.name in LEFT_OUT:
            yield package.finding(each.line, "left-out", f"{each.name} is not used any more", LEFT_OUT[each.name])
        elif not (each.name in KNOWN or each.name.startswith(_OWN_BEGINNINGS) or each.name.endswith(_OWN_ENDINGS)):
            yield package.finding(
                each.line, "unknown", f"xbps-src knows no {each.name}", f"Name it _{each.name} if it is yours."
            )


def name(package: Package) -> Iterator[Finding]:
    """Hold that pkgname is unquoted and the folder's name."""
    if not (each := package.first("pkgname")):
        return
    if each.raw != each.value:
        yield package.finding(each.line, "pkgname", "pkgname is quoted", f"Write pkgname={each.value}")
    folder = package.folder.resolve().name
    if each.value != folder:
        yield package.finding(each.line, "pkgname", f"the folder is {folder}", f"Name both {each.value}.")


def version(package: Package) -> Iterator[Finding]:
    """Hold that the version is plain and sorts below what comes later, and that the revision counts from 1."""
    if each := package.first("version"):
        if each.raw != each.value:
            yield package.finding(each.line, "version", "version is quoted", f"Write version={each.value}")
        if "$" in each.value:
            yield package.finding(each.line, "version", "version is put together", "Write the version itself.")
        elif each.value and (reason := versions.objection(each.value)):
            yield package.finding(
                each.line, "version", f"{each.value}: {reason}", "X.Y.Z; a snapshot is 0.0.YYYYMMDD or X.Y.Z.YYYYMMDD."
            )
    if (each := package.first("revision")) and not re.fullmatch(r"[1-9]\d*", each.value):
        yield package.finding(each.line, "revision", f"revision is {each.value!r}", "Count from revision=1.")


def commit(package: Package) -> Iterator[Finding]:
    """Hold that a commit is named by its full hash."""
    for each in package.assignments:
        if each.name in {"_commit", "_githash"} and not re.fullmatch(r"[0-9a-f]{40}", each.value):
            yield package.finding(each.line, "commit", f"{each.value} is no full hash", "Write all 40 hex digits.")


def description(package: Package) -> Iterator[Finding]:
    """Hold that short_desc has at most 72 characters, a capital first, no article, no dot."""
    for each in package.assignments:
        if each.name != "short_desc" or not each.value:
            continue
        text = each.value
        if each.appended:
            text = package.value("short_desc") + text
        elif text != text.lstrip():
            yield package.finding(each.line, "short_desc", "short_desc begins with a blank", "Remove it.")
        elif re.match(r"(?:An?|The) ", text):
            yield package.finding(each.line, "short_desc", "short_desc begins with an article", "Leave it out.")
        elif text[0].islower():
            yield package.finding(each.line, "short_desc", "short_desc begins small", "Begin with a capital.")
        if len(text) > DESC_MOST:
            yield package.finding(
                each.line, "short_desc", f"short_desc has {len(text)} characters", f"At most {DESC_MOST}."
            )
        if text.endswith("."):
            yield package.finding(each.line, "short_desc", "short_desc ends with a dot", "Remove it.")


def maintainer(package: Package) -> Iterator[Finding]:
    """Hold that the maintainer can be written to."""
    if not (each := package.first("maintainer")) or not each.value:
        return
    good = re.fullmatch(r"[^<>]+ <[^<>@\s]+@[^<>@\s]+\.[^<>@\s]+>", each.value)
    if not good or each.value.endswith("@users.noreply.github.com>"):
        yield package.finding(
            each.line, "maintainer", "no mail can be sent to the maintainer", 'maintainer="Name <address@host.tld>"'
        )


def homepage(package: Package) -> Iterator[Finding]:
    """Hold that the homepage is an address without variables."""
    if (each := package.first("homepage")) and each.value:
        if "$" in each.value:
            yield package.finding(each.line, "homepage", "homepage uses a variable", "Write the address itself.")
        elif not re.match(r"https?://\S+\.\S+", each.value):
            yield package.finding(each.line, "homepage", "homepage is no address", 'homepage="https://..."')


def distfiles(package: Package) -> Iterator[Finding]:
    """Hold that distfiles follow the version by a variable, and each has its checksum."""
    sums = package.first("checksum")
    for each in package.assignments:
        if each.name != "distfiles":
            continue
        literal = package.value("version")
        if literal and literal in each.value:
            yield package.finding(each.line, "distfiles", f"distfiles name {literal} itself", "Write ${version}.")
        elif not re.search(r"\$\{?(version|_commit|_githash)\b", package.value("_site") + each.value):
            yield package.finding(
                each.line, "distfiles", "distfiles do not follow the version", "Use ${version} or ${_commit}."
            )
        if sums is None:
            yield package.finding(each.line, "checksum", "checksum is missing", "Add checksum=SHA256.")
        elif len(sums.words) != len(each.words):
            yield package.finding(
                sums.line, "checksum", f"{len(each.words)} distfiles, {len(sums.words)} checksums", "One for each."
            )
    for word in sums.words if sums else []:
        if sums and not re.fullmatch(r"@?[0-9a-f]{64}", word):
            yield package.finding(sums.line, "checksum", f"{word[:20]} is no SHA-256", "xgensum -i template")
