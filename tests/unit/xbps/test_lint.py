"""The lint: nothing against a good package, and for each rule a package that breaks it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import xbps_packages
from tests.support.templates import ROOT
from tests.support.xbps_sources import PACKAGES, settled
from toolkit.errors import UserError
from toolkit.xbps import render
from toolkit.xbps.lint import RULES, lint, packages_below
from toolkit.xbps.lint.parse import read

# What is written instead of what in the good template, the rule that notices it, and in which line. None of Void's
# tools objects to what stands in ADVICE.
TEMPLATE_FAULTS = [
    ("for 'thing'", "for thing", "header", 1),
    ("# Template file for 'thing'\n", "", "header", 1),
    ("\t}\n}\n", "\t}\n}", "ending", 31),
    ("\t}\n}\n", "\t}\n}\n\n", "ending", 32),
    ("\tvsv thing", "        vsv thing", "tabs", 22),
    ("\tvsv thing", "\tvsv thing ", "trailing", 22),
    ("\tvsv thing", "\tvsv `echo thing`", "backticks", 22),
    ("post_install() {", "post_install()\n{", "function", 19),
    ("post_install() {", "post_install () {", "function", 19),
    ("post_install() {", "post_install(){", "function", 19),
    ("post_install() {", "function post_install() {", "function", 19),
    ('license="MIT"\nhomepage="https://example.org/thing"', 'homepage="https://example.org/thing"\nlicense="MIT"',
     "order", 11),
    ("version=1.2.3\nrevision=1\n", "version=1.2.3\n_x=1\nrevision=1\n", "order", 5),
    ('depends="python3"\nshort', 'make_check="extended" # slow\ndepends="python3"\nshort', "order", 8),
    ("\tvsv thing", "\tif vsv thing", "syntax", 23),
    ('license="MIT"\n', "", "required", 0),
    ("pkgname=thing\n", "pkgname=thing\npkgname=thing\n", "required", 3),
    ('depends="python3"', 'depends=""', "empty", 7),
    ('depends="python3"', "depends=", "empty", 7),
    ("build_style=", "archs=noarch\nbuild_style=", "left-out", 5),
    ("build_style=", "wrksrc=thing-1\nbuild_style=", "left-out", 5),
    ("make_dirs=", 'pycompile_module="thing"\nmake_dirs=', "left-out", 17),
    ("make_dirs=", 'long_desc="More"\nmake_dirs=', "left-out", 17),
    ("make_dirs=", "mine=1\nmake_dirs=", "unknown", 17),
    ("pkgname=thing", 'pkgname="thing"', "pkgname", 2),
    ("version=1.2.3", 'version="1.2.3"', "version", 3),
    ("version=1.2.3", "version=${_v//-/.}", "version", 3),
    ("version=1.2.3", "version=1.2-3", "version", 3),
    ("version=1.2.3", "version=1:1.2", "version", 3),
    ("version=1.2.3", "version=1.2_3", "version", 3),
    ("revision=1", "revision=0", "revision", 4),
    ('"Small thing', '"Small ' + "very " * 11 + "thing", "short_desc", 8),
    ('"Small thing for tests"', '"small thing for tests"', "short_desc", 8),
    ('"Small thing for tests"', '"A small thing for tests"', "short_desc", 8),
    ('"Small thing for tests"', '" Small thing for tests"', "short_desc", 8),
    ('"Small thing for tests"', '"Small thing for tests."', "short_desc", 8),
    ("anna@example.org>", "anna>", "maintainer", 9),
    ("anna@example.org", "1+anna@users.noreply.github.com", "maintainer", 9),
    ("https://example.org/thing\"", '$_site/thing"', "homepage", 11),
    ("thing-${version}.tar.gz", "thing-1.2.3.tar.gz", "distfiles", 12),
    ("checksum=" + "5" * 64, "checksum=" + "5" * 63, "checksum", 13),
    ("checksum=" + "5" * 64 + "\n", "", "checksum", 12),
    ("${version}.tar.gz\"", "${version}.tar.gz\n https://example.org/b\"", "checksum", 14),
    ('"MIT"', '"GPL"', "license", 10),
    ('"MIT"', '"GPLv3"', "license", 10),
    ('"MIT"', '"Apache 2"', "license", 10),
    ("\tvlicense LICENSE\n", "", "vlicense", 10),
    ('"MIT"', '"GPL-3.0-or-later"', "vlicense", 21),
    ('"_thing"', '"thing"', "accounts", 14),
    ("644 etc\n", "644 usr/sbin\n", "places", 20),
    ("\tvsv thing", "\tvmkdir usr/local/share", "places", 22),
    ("\tvsv thing", '\tvinstall x 644 "etc/sysctl.d/"', "places", 22),
    ("\tvsv thing", "\tvinstall rules 644 etc/udev/rules.d", "places", 22),
    ("\tvsv thing", "\tvinstall thing 644 etc/bash_completion.d", "places", 22),
    ("\tvsv thing", "\tvinstall thing 644 etc/modprobe.d", "places", 22),
    ("\tvsv thing", "\tvinstall thing 644 lib/thing", "places", 22),
    ("\tvsv thing", "\tvinstall thing 755 usr/bin", "helpers", 22),
    ("\tvsv thing", "\tvinstall thing.1 644 usr/share/man/man1", "helpers", 22),
    ("\tvsv thing", "\tvinstall COPYING 644 usr/share/licenses/thing", "helpers", 22),
    ("make_dirs=", "make_check=no\nmake_dirs=", "make_check", 17),
    ("thing-extra_package", "thing-other_package", "subpackage", 25),
    ("vsv thing", "vsv other", "vsv", 22),
    ("Small thing for tests", "Small thing for tests ", "short_desc", 8),
    ('"MIT"', '"SSPL-1.0"', "license", 10),
    ('"MIT"', '"MIT AND Nonsense-1.0"', "license", 10),
    ('"MIT"', '"GPL-3.0, MIT"', "license", 10),
    ('"MIT"', '"mit"', "license", 10),
    ('"MIT"', '"GPL-2.0-or-later WITH Nonsense-exception"', "license", 10),
    ('"MIT"', '"LGPL"', "license", 10),
    ('"MIT"', '"BSD"', "license", 10),
    ("version=1.2.3", "reverts=thing-1.3_1\nversion=1.2.3", "reverts", 3),
    ("version=1.2.3", "reverts=1.3\nversion=1.2.3", "reverts", 3),
    ("make_dirs=", 'replaces="other"\nmake_dirs=', "replaces", 17),
    ("thing-extra_package", "thing-docs_package", "subpackage", 25),
    ("https://example.org/thing-${version}.tar.gz", "https://github.com/a/b/archive/${version}.zip", "distfiles", 12),
    ("https://example.org/thing-", "https://ftp.gnu.org/gnu/thing-", "site", 12),
    ("https://example.org/thing-", "https://files.pythonhosted.org/packages/thing-", "site", 12),
    ("https://example.org/thing-", "https://crates.io/api/thing-", "distfiles", 12),
    ("\tvsv thing", "\trm ${DESTDIR}/usr/lib/python3.9/site-packages/x", "paths", 22),
    ("\tvsv thing", "\tcargo update --package x:1.2.3", "cargo", 22),
    ("\tvsv thing", "\tx -Dy=$(vopt_if y true false)", "options", 22),
    ('depends="python3"', 'make_check_pre="x"\ndepends="python3"', "order", 8),
    ('depends="python3"', 'depends="python3"\nmakedepends="x"', "order", 8),
    ("make_dirs=", "cmake_args=1\nmake_dirs=", "unknown", 17),
    ("build_style=gnu-makefile\n", "", "build_style", 0),
    ("build_style=gnu-makefile", "build_style=meta", "build_style", 5),
    ('"pkg-config"', '"pkg-config>=1"', "depends", 6),
    ("version=1.2.3", "version=one", "version", 3),
    ("\tvsv thing", "\tvinstall thing 644 /etc/X11/xorg.conf.d", "places", 22),
    ("\tvsv thing", "\tvmkdir usr/usr/share", "places", 22),
]  # fmt: skip
ADVICE = [
    ("make_dirs=", "python_version=3\nmake_dirs=", "left-out", 17),
    ("pkgname=thing", "pkgname=other", "pkgname", 2),
    ("version=1.2.3", "version=20261103", "version", 3),
    ("version=1.2.3", "version=1.0.20261103", "version", 3),
    ("version=1.2.3", "version=1.2.3.dev1", "version", 3),
    ("revision=1", "revision=one", "revision", 4),
    ("system_accounts=", "_commit=35b53b1\nsystem_accounts=", "commit", 14),
    ('" - more"', f'" - {"more " * 10}"', "short_desc", 26),
    ("https://example.org/thing\"", 'thing"', "homepage", 11),
    ("thing-${version}.tar.gz", "thing.tar.gz", "distfiles", 12),
    ('"python3"', '"python3-structlog>=1"', "depends", 7),
    ('gnu-makefile\nhostmakedepends="pkg-config"', 'python3-pep517\nhostmakedepends="python3-build"', "depends", 6),
    ('_thing_homedir="/var/empty"\n', "", "accounts", 14),
    ("0750 _thing _thing", "0750 _thing", "make_dirs", 17),
    ("vmove etc/extra.conf", "vmove etc/other.conf", "conf_files", 27),
    ('"/etc/thing.conf"', '"etc/thing.conf"', "conf_files", 16),
    ("\t\tvmove etc/extra.conf\n", "\t\t:\n", "subpackage", 25),
    ("make_dirs=", f"_x=\"{'x' * 79}\"\nmake_dirs=", "columns", 17),
    ("build_style=", "archs=x86_64\nbuild_style=", "left-out", 5),
    ("anna@example.org>", "anna@localhost>", "maintainer", 9),
]  # fmt: skip
RUN_FAULTS = [
    ("#!/bin/sh", "#!/bin/bash", "run", 1),
    ("exec 2>&1\n", "", "run", 2),
    ("[ -r ./conf ] && . ./conf\n", "", "run", 3),
    ("exec setpriv", "setpriv", "run", 4),
    ("[ -r ./conf ] && . ./conf", "[ -r ./conf ] && . ./conf\n[ -e /etc/thing ] || exit 0", "run", 4),
    ("[ -r ./conf ] && . ./conf", "[ -r ./conf ] && . ./conf\nmkdir -p /run/thing", "run", 4),
    ("setpriv --no-new-privs --", "chpst -u _thing", "confinement", 4),
    ("exec setpriv", "if exec setpriv", "syntax", 5),
]


@pytest.fixture
def thing(tmp_path: Path) -> Path:
    return xbps_packages.write(tmp_path)


def found(folder: Path) -> list[tuple[str, int]]:
    return [(finding.rule, finding.line) for finding in lint(folder)]


def put(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_nothing_is_said_against_a_good_package(thing: Path) -> None:
    assert lint(thing) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_is_said_against_what_is_generated(package: str, tmp_path: Path) -> None:
    render.write(settled(package, tmp_path), tmp_path / "out")
    assert lint(tmp_path / "out") == []


@pytest.mark.parametrize(("old", "new", "rule", "line"), TEMPLATE_FAULTS)
def test_a_fault_in_a_template_is_found_where_it_is(thing: Path, old: str, new: str, rule: str, line: int) -> None:
    put(thing / "template", old, new)
    assert (rule, line) in [(each.rule, each.line) for each in lint(thing) if each.tool]


@pytest.mark.parametrize(("old", "new", "rule", "line"), ADVICE)
def test_what_only_we_would_do_another_way_is_advice(thing: Path, old: str, new: str, rule: str, line: int) -> None:
    put(thing / "template", old, new)
    assert (rule, line, "") in [(each.rule, each.line, each.tool) for each in lint(thing)]


@pytest.mark.parametrize(("old", "new", "rule", "line"), RUN_FAULTS)
def test_a_fault_in_a_run_script_is_found_where_it_is(thing: Path, old: str, new: str, rule: str, line: int) -> None:
    put(thing / "files" / "thing" / "run", old, new)
    assert (rule, line) in found(thing)


def test_what_is_not_the_packages_own_to_ship_is_found(thing: Path) -> None:
    (thing / "files" / "thing" / "log").mkdir()
    (thing / "files" / "thing" / "conf").write_text("OPTS=\n")
    (thing / "files" / "thing" / "supervise").symlink_to("/run/runit/supervise.thing")
    assert [finding.path.name for finding in lint(thing)] == ["conf", "log", "supervise"]


def test_a_service_without_a_check_and_one_that_nothing_installs_are_found(thing: Path) -> None:
    (thing / "files" / "thing" / "check").unlink()
    put(thing / "template", "\tvsv thing\n", "")
    assert found(thing) == [("vsv", 0), ("service-check", 0)]


def test_a_subpackages_own_name_is_the_service_that_it_installs(thing: Path) -> None:
    put(thing / "template", "\tvsv thing\n", "")
    put(thing / "template", "\t\tvmove etc/extra.conf\n", '\t\tvmove etc/extra.conf\n\t\tvsv "${pkgname}"\n')
    (thing / "files" / "thing").rename(thing / "files" / "thing-extra")
    assert lint(thing) == []


def test_a_link_without_its_function_is_found(thing: Path) -> None:
    (thing.parent / "thing-doc").symlink_to("thing")
    assert [(finding.rule, finding.path.name) for finding in lint(thing)] == [("subpackage", "thing-doc")]


@pytest.mark.parametrize(("text", "line"), [(None, 0), ("", 0), ("site=\n", 1), ("# a\nwhere=there\n", 2)])
def test_an_update_file_that_says_nothing_is_found(thing: Path, text: str | None, line: int) -> None:
    (thing / "update").unlink()
    if text is not None:
        (thing / "update").write_text(text)
    assert ("update", line) in found(thing)


def test_every_rule_has_a_package_here_that_breaks_it(tmp_path: Path) -> None:
    broken = set()
    for number, (old, new, _, _) in enumerate(TEMPLATE_FAULTS + ADVICE + RUN_FAULTS):
        folder = xbps_packages.write(tmp_path / str(number))
        path = folder / (
            "template" if (old, new) in {fault[:2] for fault in TEMPLATE_FAULTS + ADVICE} else "files/thing/run"
        )
        put(path, old, new)
        broken |= {rule.__name__ for rule in RULES if list(rule(read(folder)))}
    # These two have tests of their own above: no line of a template breaks them.
    assert {rule.__name__ for rule in RULES} - broken == {"contents", "update"}


def test_every_message_says_what_to_write_instead(thing: Path) -> None:
    put(thing / "template", "version=1.2.3", "version=1.2-3")
    (finding,) = [each for each in lint(thing) if each.rule == "version" and each.tool]
    assert str(finding).startswith(f"{thing}/template:3: -, : and _ separate")
    assert finding.fix


def test_packages_are_found_from_any_folder_above_them(thing: Path) -> None:
    assert packages_below(thing) == packages_below(thing.parent) == packages_below(thing.parents[1]) == [thing]
    with pytest.raises(UserError, match="holds no template"):
        packages_below(thing / "files")


def test_a_template_that_is_no_text_is_an_error_without_a_traceback(thing: Path) -> None:
    (thing / "template").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8"):
        lint(thing)


def task(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "invoke", "xbps.lint", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)


def test_the_task_ends_with_what_it_found(thing: Path) -> None:
    assert task(str(thing)).returncode == 0
    put(thing / "template", "revision=1", "revision=0")
    done = task(str(thing))
    assert done.returncode == 1
    assert f"{thing}/template:4: revision is 0 [xlint: revision]" in done.stdout
    said = json.loads(task("--json", str(thing)).stdout)
    assert [(each["tool"], each["line"], Path(each["path"]).name) for each in said if each["tool"]] == [
        ("xlint", 4, "template")
    ]
    put(thing / "template", "revision=0", "revision=1")
    (thing / "update").unlink()
    done = task(str(thing))
    assert done.returncode == 0
    assert "advice: there is no update file [ours: update]" in done.stdout
    assert "no objections of Void's tools in thing; 1 of advice" in " ".join(done.stdout.split())
    assert json.loads(task("--json", str(thing)).stdout)[0]["tool"] == ""
    done = task(str(thing / "files"))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
