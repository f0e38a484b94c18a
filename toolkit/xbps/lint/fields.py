"""Rules about single fields."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from toolkit.xbps import versions
from toolkit.xbps.lint.lines import read_lines
from toolkit.xbps.lint.parse import XBPS_SRC, XLINT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.xbps.lint.parse import Finding, Package

ONCE: Final = ("pkgname", "version", "revision", "short_desc", "maintainer", "license", "homepage")
DESC_MOST: Final = 72
OUT_OF_USE: Final = {
    "wrksrc": "Remove it: xbps-src names the folder itself.",
    "long_desc": "Remove it: short_desc and homepage say enough.",
}
_ADVISED_AGAINST: Final = {
    "archs": "Say it by broken= or nocross=, or remove it.",
    "python_version": "Remove it: the shebang is rewritten by itself.",
}
# Fields of xbps-src, and what a build reads of the environment. What is not among them is the template's own, and
# begins with an underscore. xlint takes what begins like one of these too (make_check_pre, nopie_files).
_KNOWN: Final = """
    AR AS CC CFLAGS CPP CPPFLAGS CXX CXXFLAGS GCC LD LDFLAGS LD_LIBRARY_PATH NM OBJCOPY OBJDUMP RANLIB READELF STRIP
    XBPS_FETCH_CMD allow_unknown_shlibs alternatives archs binfmts bootstrap broken build_helper build_options
    build_options_default build_style build_wrksrc cabal_index_state changelog checkdepends checksum cmake_builddir
    conf_files configure_args configure_script conflicts create_wrksrc depends desc_option_ disable_parallel_build
    disable_parallel_check distfiles dkms_modules fetch_cmd font_dirs force_debug_pkgs go_build_tags go_get
    go_import_path go_ldflags go_mod_mode go_package homepage hostmakedepends ignore_elf_dirs ignore_elf_files
    keep_libtool_archives kernel_hooks_version lib32depends lib32disabled lib32files lib32mode lib32symlinks license
    maintainer make_build_args make_build_target make_check make_check_args make_check_target make_cmd make_dirs
    make_install_args make_install_target make_use_env makedepends meson_builddir meson_cmd meson_crossfile metapackage
    mutable_files no_generic_pkgconfig_link nocheckperms nocross nodebug nofixperms nopie nopyprovides noshlibprovides
    nostrip nostrip_files noverifypydeps noverifyrdeps patch_args pkgname preserve provides pycompile_dirs
    pycompile_module python_extras python_version qmake_default_version register_shell replaces repository restricted
    reverts revision run_depends scons_use_destdir sgml_catalogs sgml_entries shlib_provides shlib_requires short_desc
    skip_extraction skiprdeps stackage subpackages system_accounts system_groups tags triggers version xml_catalogs
    xml_entries
"""
KNOWN: Final = tuple(_KNOWN.split())
_ABOUT_ACCOUNTS: Final = ("_descr", "_groups", "_homedir", "_pgroup", "_shell")


def required(package: Package) -> Iterator[Finding]:
    """Hold that seven fields are there, each exactly once."""
    for name in ONCE:
        found = [number for number, line in enumerate(package.lines, start=1) if line.startswith(f"{name}=")]
        if not found:
            yield package.finding(0, "required", f"{name} is missing", f"Add {name}=", XLINT)
        for number in found[1:]:
            yield package.finding(number, "required", f"{name} is there twice", f"Keep one {name}=.", XLINT)


def unknown(package: Package) -> Iterator[Finding]:
    """Hold that the template's own fields begin with an underscore, and that none is out of use."""
    for number, line in read_lines(package):
        found = re.match(r"[^\s=-]+(?==)", line)
        if not found or line.startswith(("#", "_", *KNOWN)) or any(word in line for word in _ABOUT_ACCOUNTS):
            continue
        name = found[0]
        if name in OUT_OF_USE:
            yield package.finding(number, "left-out", f"{name} is not used any more", OUT_OF_USE[name], XLINT)
        else:
            yield package.finding(
                number, "unknown", f"xbps-src knows no {name}", f"Name it _{name} if it is yours.", XLINT
            )
    for each in package.assignments:
        if not each.scope and each.name in _ADVISED_AGAINST:
            yield package.finding(each.line, "left-out", f"{each.name} is rarely needed", _ADVISED_AGAINST[each.name])


def name(package: Package) -> Iterator[Finding]:
    """Hold that pkgname is the folder's name."""
    folder = package.folder.resolve().name
    if (each := package.first("pkgname")) and each.value != folder:
        yield package.finding(each.line, "pkgname", f"the folder is {folder}", f"Name both {each.value}.")


def version(package: Package) -> Iterator[Finding]:
    """Hold that the version sorts below what comes later, and that the revision counts from 1."""
    if (each := package.first("version")) and each.value and "$" not in each.value:
        if not re.search(r"\d", each.value):
            yield package.finding(each.line, "version", "there is no digit in it", "X.Y.Z", XBPS_SRC)
        elif reason := versions.objection(each.value):
            yield package.finding(
                each.line, "version", f"{each.value}: {reason}", "X.Y.Z; a snapshot is 0.0.YYYYMMDD or X.Y.Z.YYYYMMDD."
            )
    if (each := package.first("revision")) and not re.fullmatch(r"[1-9]\d*", each.value):
        yield package.finding(each.line, "revision", f"revision is {each.value!r}", "Count from revision=1.")


def commit(package: Package) -> Iterator[Finding]:
    """Hold that a commit is named by its full hash."""
    for each in package.assignments:
        if each.name in {"_commit", "_githash"} and not re.fullmatch(r"[0-9a-f]{40}", each.value):
            yield package.finding(each.line, "commit", f"{each.value} is not a full hash", "Write all 40 hex digits.")


def description(package: Package) -> Iterator[Finding]:
    """Hold that short_desc has at most 72 characters with what a subpackage adds to it."""
    for each in package.assignments:
        if each.name == "short_desc" and each.appended:
            text = package.value("short_desc") + each.value
            if len(text) > DESC_MOST:
                yield package.finding(
                    each.line, "short_desc", f"short_desc has {len(text)} characters", f"At most {DESC_MOST}."
                )


def maintainer(package: Package) -> Iterator[Finding]:
    """Hold that the maintainer's address looks like one on the internet."""
    each = package.first("maintainer")
    if each and "@" in each.value and not re.fullmatch(r"[^<>]+ <[^<>@\s]+@[^<>@\s]+\.[^<>@\s]+>", each.value):
        yield package.finding(
            each.line, "maintainer", "no mail can be sent to the maintainer", 'maintainer="Name <address@host.tld>"'
        )


def homepage(package: Package) -> Iterator[Finding]:
    """Hold that the homepage is an address."""
    each = package.first("homepage")
    if each and each.value and "$" not in each.value and not re.match(r"(?:https?|gopher|ftp)://\S+\.\S+", each.value):
        yield package.finding(each.line, "homepage", "homepage is not an address", 'homepage="https://..."')


def distfiles(package: Package) -> Iterator[Finding]:
    """Hold that distfiles follow the version by a variable."""
    for each in package.assignments:
        if each.name == "distfiles" and not re.search(r"\$\{?(version|_\w+)\b", each.value):
            yield package.finding(
                each.line, "distfiles", "distfiles do not follow the version", "Use ${version} or ${_commit}."
            )


def checksums(package: Package) -> Iterator[Finding]:
    """Hold that each distfile has its checksum, where both are written once and without conditions."""
    files, sums = ([each for each in package.assignments if each.name == name] for name in ("distfiles", "checksum"))
    if len(files) == 1 and not sums and not files[0].scope:
        yield package.finding(files[0].line, "checksum", "checksum is missing", "Add checksum=SHA256.", XBPS_SRC)
    if len(files) != 1 or len(sums) != 1 or files[0].appended or sums[0].appended or "$" in sums[0].value:
        return
    plain = not re.search(r"\$\(|[{][^}]*,", files[0].value)
    if plain and len(sums[0].words) < len(files[0].words):
        wrong = f"{len(files[0].words)} distfiles, {len(sums[0].words)} checksums"
        yield package.finding(sums[0].line, "checksum", wrong, "One for each.", XBPS_SRC)
    for word in sums[0].words:
        if not re.fullmatch(r"@?[0-9a-f]{64}", word):
            yield package.finding(
                sums[0].line, "checksum", f"{word[:20]} is not a SHA-256", "xgensum -i template", XBPS_SRC
            )


def building(package: Package) -> Iterator[Finding]:
    """Hold that xbps-src has a way to build and install it, and takes what it is told of dependencies."""
    style = package.value("build_style")
    if style == "meta":
        each = package.first("build_style")
        yield package.finding(each.line if each else 0, "build_style", "meta is gone", "metapackage=yes", XBPS_SRC)
    builds = style or re.search(r"^\s*do_install\(\)|build_style=", package.text, re.MULTILINE)
    if not builds and package.value("metapackage") != "yes":
        yield package.finding(0, "build_style", "nothing installs it", "Add build_style= or do_install().", XBPS_SRC)
    for each in package.assignments:
        if each.name in {"hostmakedepends", "makedepends", "checkdepends"} and not each.scope:
            for word in each.words:
                if re.search(r"[<>]|-[^-_]*\d[^-_]*_[\d_]+$", word):
                    yield package.finding(
                        each.line, "depends", f"{word} names a version", "xbps-src builds with what there is.", XBPS_SRC
                    )
