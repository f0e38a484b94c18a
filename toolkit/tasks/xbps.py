"""Packages for Void Linux."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.tasks import task

from toolkit import paths
from toolkit.errors import user_errors

if TYPE_CHECKING:
    from pathlib import Path

    from invoke.context import Context

    from toolkit.xbps.request import Request

TEMPLATE_HELP = {
    "out": "a new or empty folder; the result goes into DIR/srcpkgs and DIR/hostdir, as in a void-packages checkout",
    "package": "netplay-relay, netplay-mitm-server or netplay-tunnel-server",
    "commit": "a snapshot of this commit: its full hash",
    "date": "the commit's date, YYYYMMDD",
    "version": "a release: X.Y.Z",
    "distfile": "the source tarball: a file or an address; without it, netplay-relay's is packed from this checkout",
    "checksum": "the SHA-256 of an address's file; without it, the file is fetched once",
    "maintainer": "'Name <address>', who looks after the package",
    "homepage": "netplay-relay's home page, if pyproject.toml names none ([project.urls] Homepage)",
    "after": "with --commit: the release it comes after; without it the last tag vX.Y.Z before it, if there is one",
}


@task(auto_shortflags=False, help=TEMPLATE_HELP)
@user_errors
def template(
    _: Context,
    out: str,
    package: str = "netplay-relay",
    commit: str = "",
    date: str = "",
    version: str = "",
    distfile: str = "",
    checksum: str = "",
    maintainer: str = "",
    homepage: str = "",
    after: str = "",
) -> None:
    """Write an xbps-src template with all of its files."""
    from toolkit.console import short, step
    from toolkit.xbps import dist, render, request

    asked = request.Asked(package, commit, date, version, distfile, checksum, maintainer, homepage, after)
    settled = request.settle(asked)
    written = render.write(settled, paths.typed(out))
    if settled.package.name == "netplay-relay" and not distfile and not commit:
        _note_changes(dist.changes())
    if settled.package.name == "netplay-relay":
        _note_borrowed(settled, commit or distfile)
    step("template", f"{settled.package.name} {settled.version}: {short(written.folder)}")
    if reason := settled.package.broken.get(settled.commit):
        other = f"--commit {settled.package.commit} --date {settled.package.date}"
        step("note", f"{settled.commit} does not build: {reason}. One that does: {other}")
    _note_placeholder(settled.package.homepage)
    if written.tarball:
        step("source", f"{short(written.tarball)}, SHA-256 {settled.distfile.sha256}")
    step("next", f"cp -a {_quoted(paths.typed(out))}/. VOID-PACKAGES/ && cd VOID-PACKAGES && ./xbps-src pkg {package}")


@task(name="dist", auto_shortflags=False, help={"out": "where to; dist without it", "commit": TEMPLATE_HELP["commit"]})
@user_errors
def source(_: Context, out: str = "dist", commit: str = "") -> None:
    """Pack the committed files into a source tarball, with the same bytes on every machine."""
    from toolkit.console import short, step
    from toolkit.xbps import dist

    packed = dist.own(commit=dist.check_commit(commit) if commit else "")
    path = dist.write(paths.typed(out), packed)
    if not commit:
        _note_changes(dist.changes())
    step("source", short(path))
    step("sha256", packed.sha256)


PACKAGE_HELP = {
    "out": "the repository's folder",
    "arch": "the hosts' architecture, as xbps-uhelper arch prints it",
    "python": "the hosts' Python: a package is good for one minor version",
    "key": "an RSA private key to sign with; xbps asks for signatures where a repository is on http(s)",
    "signed_by": "who signs, as xbps-install shows it when it asks whether to trust the key",
    **{
        name: TEMPLATE_HELP[name]
        for name in ("commit", "date", "version", "distfile", "maintainer", "homepage", "after")
    },
}


@task(auto_shortflags=False, help=PACKAGE_HELP)
@user_errors
def package(
    _: Context,
    out: str,
    arch: str = "x86_64",
    python: str = "3.14",
    key: str = "",
    signed_by: str = "",
    commit: str = "",
    date: str = "",
    version: str = "",
    distfile: str = "",
    maintainer: str = "",
    homepage: str = "",
    after: str = "",
) -> None:
    """Build .xbps packages of netplay-relay and a repository of them, without a Void host."""
    from toolkit.console import short, step
    from toolkit.xbps import binary, repository, request

    place = paths.typed(out)
    asked = request.Asked(
        commit=commit, date=date, version=version, distfile=distfile, maintainer=maintainer, homepage=homepage,
        after=after,
    )  # fmt: skip
    settled = request.settle(asked)
    signing = repository.load_key(paths.typed(key), signed_by or settled.maintainer) if key else None
    architecture = binary.check_architecture(arch)
    for path in repository.make(settled, place, architecture, python=binary.check_python(python), key=signing):
        step("written", short(path))
    _note_borrowed(settled, commit or distfile)
    _note_placeholder(settled.package.homepage)
    served = "   (or serve that folder by https)" if signing else ""
    # Into the folder, whether it is there already or not: a copy beside an earlier one would never be looked at.
    step("next", f"ssh HOST mkdir -p netplay-repo && scp -r {_quoted(place)}/. HOST:netplay-repo/{served}")
    step("then", "on HOST: xbps-install --repository=$HOME/netplay-repo netplay-relay netplay-relay-firewall")
    if not signing:
        step("note", "not signed: xbps takes it from a folder, but not by http. --key FILE signs it.")


BUILD_HELP = {
    "host": "a Void host that ssh knows",
    "user": "the account to log in as, if ssh's configuration does not say",
    "become": "the account is not root: use sudo there",
    "ask_become": "the same, and sudo wants a password: ask for it once",
    "ssh_config": "an ssh configuration to use instead of your own",
    "checkout": "the void-packages checkout there; made in the default place where there is none",
    "url": "where void-packages is cloned from",
    "install": "install the packages as well; --no-install leaves them in the repository",
    **{
        name: TEMPLATE_HELP[name]
        for name in ("commit", "date", "version", "distfile", "maintainer", "homepage", "after")
    },
}


@task(auto_shortflags=False, help=BUILD_HELP)
@user_errors
def build(
    _: Context,
    host: str,
    user: str | None = None,
    become: bool = False,
    ask_become: bool = False,
    ssh_config: str = "",
    checkout: str = "",
    url: str = "",
    install: bool = True,
    commit: str = "",
    date: str = "",
    version: str = "",
    distfile: str = "",
    maintainer: str = "",
    homepage: str = "",
    after: str = "",
) -> None:
    """Build netplay-relay's packages with xbps-src on a Void host, publish them there, and install them."""
    from toolkit.hosts import target
    from toolkit.hosts.names import parse_user
    from toolkit.xbps import build, dist, request

    place = target.real(host, paths.typed(ssh_config) if ssh_config else None)
    asked = request.Asked(
        commit=commit, date=date, version=version, distfile=distfile, maintainer=maintainer, homepage=homepage,
        after=after,
    )  # fmt: skip
    wanted = build.Wanted(
        None if user is None else parse_user(user), become, ask_become, checkout=checkout, url=url, install=install
    )
    settled = request.settle(asked)
    if not distfile and not commit:
        _note_changes(dist.changes())
    _note_borrowed(settled, commit or distfile)
    build.build(place, wanted, settled)


@task(
    auto_shortflags=False,
    positional=["folder"],
    help={"folder": "a package's folder, or one that holds packages or srcpkgs/", "json": "print JSON"},
)
@user_errors
def lint(_: Context, folder: str, json: bool = False) -> None:
    """Report what xlint, xbps-src and pkglint object to (exit code 1), and further advice."""
    import dataclasses

    from toolkit.console import as_json, say, step
    from toolkit.xbps import lint as rules

    place = paths.typed(folder)
    findings = rules.lint(place)
    if json:
        as_json([dataclasses.asdict(each) | {"path": str(each.path)} for each in findings])
    for finding in [] if json else findings:
        say(str(finding))
        say(f"  {finding.fix}")
    objections = [each for each in findings if each.tool]
    if not json:
        names = ", ".join(path.resolve().name for path in rules.packages_below(place))
        advice = len(findings) - len(objections)
        more = f"; {advice} of advice, which none of them gives" if advice else ""
        step("lint", f"{len(objections) or 'no'} objections of Void's tools in {names}{more}")
    if objections:
        raise SystemExit(1)


def _quoted(path: Path) -> str:
    """Return a path of this machine as a shell takes it, with ~ for the home where nothing has to be quoted."""
    from toolkit.console import short

    whole = str(path.absolute())
    return short(path.absolute()) if shlex.quote(whole) == whole else shlex.quote(whole)


def _note_placeholder(homepage: str) -> None:
    from toolkit.console import step
    from toolkit.xbps.packages import PLACEHOLDER

    if homepage == PLACEHOLDER:
        step("note", f"no home page is known, so it says {PLACEHOLDER}, which leads nowhere: --homepage URL")


def _note_borrowed(settled: Request, named: str) -> None:
    from toolkit.console import step
    from toolkit.xbps.example import borrowed

    if named:
        step("note", borrowed(settled))


def _note_changes(changed: list[str]) -> None:
    from toolkit.console import step

    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        step("note", f"what is in no commit was left out: {changed[0]}{more}")


ns = Collection("xbps", template, lint, source, package, build)
