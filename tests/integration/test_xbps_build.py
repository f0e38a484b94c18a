"""invoke xbps.build and a deployment from its repository, on the stand-in for Void; git and xbps are stood in for.

What is shown: which of their commands are called, as whom, in which order, and what is done again after a failure; and
that the packages' services, once unpacked, are enabled and serve. What is not: that xbps takes any of it.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import xbps_harness
from tests.support.labs import a_lab
from tests.support.waiting import wait_for
from tests.support.xbps_host import TRIGGERS, VoidlikeHost
from tests.support.xbps_sources import MAINTAINER
from toolkit.deploy import remove, rollback, run
from toolkit.errors import DEPLOY_FAILED, UserError
from toolkit.friends import commands
from toolkit.friends.edit import FriendChange
from toolkit.hosts import target as places
from toolkit.lab import NodeSpec
from toolkit.xbps import build, repository, request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.hosts.target import DeployTarget

# Building, which the first of these tests waits for, has bounds of its own.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(600, func_only=True)]

NODES = (
    NodeSpec("relay", "host", "voidlike"),
    NodeSpec("player", "client"),
    NodeSpec("friend", "client"),
    NodeSpec("stranger", "client"),
)
STOOD_IN_FOR = ("git", "xbps-install", "xbps-query", "xbps-remove", "xbps-rindex", "xbps-uhelper")
STAND_IN = Path(xbps_harness.__file__).with_name("xbps_stand_in.py")
PROGRAM = "/usr/libexec/xbps-stand-in"
# Calls the stand-in by its name, and notes what the settings are when it is done.
WATCHED = "/usr/libexec/watched/watching"
WATCHING = """\
#!/bin/sh
/usr/libexec/watched/xbps-install "$@" || exit
case "$*" in *--repository*) ;; *) exit 0 ;; esac
cd /etc/netplay-relay && cat relay.toml friends.toml allowlist >/srv/stand-in/settings
"""


@dataclass(frozen=True)
class Builder:
    """A voidlike host with stand-ins for git and xbps, and what is to be built there."""

    host: VoidlikeHost
    place: DeployTarget
    request: request.Request

    def build(self) -> int:
        """Type invoke xbps.build; return how much changed."""
        return build.build(self.place, build.Wanted(), self.request)

    def calls(self) -> list[str]:
        """Return what the stand-ins noted of calls that change something since the last time: who called, and what."""
        text = self.host.run("sh", "-c", "cat /srv/stand-in/calls; : >/srv/stand-in/calls")
        asked = ("xbps-query", "xbps-uhelper", "xbps-install -S\n", "xbps-install -Sun\n")
        return [line for line in text.splitlines() if not f"{line.partition(' ')[2]}\n".startswith(asked)]


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    folder = tmp_path_factory.mktemp("builder")
    with pytest.MonkeyPatch.context() as patched, a_lab(*NODES) as lab:
        patched.setenv("XDG_CONFIG_HOME", str(folder / "owner"))
        host = VoidlikeHost(lab)
        wanted = _source(folder)
        python = host.run("python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
        for path in repository.make(wanted, folder / "repo", "x86_64", python=python):
            if path.suffix == ".xbps":
                plain = subprocess.run(["zstd", "-dc", str(path)], capture_output=True, check=True, timeout=60).stdout
                name = path.name.rpartition("-")[0]
                host.run("install", "-D", "-m", "644", "/dev/stdin", f"/srv/stand-in/{name}.tar", stdin=plain)
        for trigger, text in TRIGGERS.items():
            host.write(f"/usr/libexec/xbps-triggers/{trigger}", f"#!/bin/sh\n{text}\n", "755")
        host.write(PROGRAM, STAND_IN.read_text(), "755")
        host.write("/srv/stand-in/calls", "", "666")
        for name in STOOD_IN_FOR:
            host.run("ln", "-sfn", PROGRAM, f"/usr/bin/{name}")
        yield Builder(host, places.DeployTarget(places.lab_host(lab.name), lab.ssh_config, lab), wanted)


def _source(folder: Path) -> request.Request:
    (folder / "source.tar.gz").write_bytes(xbps_harness.source_tarball())
    return request.settle(request.Asked(distfile=str(folder / "source.tar.gz"), maintainer=MAINTAINER))


@pytest.fixture(scope="module")
def built(builder: Builder) -> Builder:
    """Return it once a build has failed at each long step, and then come to its end."""
    said = []
    for target in ("binary-bootstrap", "pkg"):
        builder.host.write(f"/srv/stand-in/break-{target}", "")
        with pytest.raises(UserError) as refused:
            builder.build()
        assert refused.value.exit_code == DEPLOY_FAILED
        said.append(refused.value.fix)
        builder.host.run("rm", f"/srv/stand-in/break-{target}")
    assert all("Build again when that is mended" in fix for fix in said)
    assert builder.build() > 0
    return builder


def test_a_build_that_failed_goes_on_where_it_was_as_an_ordinary_account(built: Builder) -> None:
    calls = built.calls()
    uid = built.host.run("id", "-u", "_netplay_builder").strip()
    checkout, repo = "/var/lib/netplay-builder/void-packages", "/var/lib/netplay-packages"
    url, version = "https://github.com/void-linux/void-packages.git", f"{built.request.version}_1"
    names = ("netplay-relay", "netplay-relay-firewall")
    assert [call for call in calls if "git" in call.split()[1:]] == [
        "0 xbps-install -y git",
        f"{uid} git clone --quiet --depth=1 -- {url} {checkout}.cloning",
    ]
    assert [call for call in calls if "git" not in call.split()[1:]] == [
        f"{uid} xbps-src binary-bootstrap",
        f"{uid} xbps-src binary-bootstrap",
        f"{uid} xbps-src -f pkg netplay-relay",
        f"{uid} xbps-src -f pkg netplay-relay",
        "0 xbps-rindex --force --add " + " ".join(f"{repo}/{name}-{version}.x86_64.xbps" for name in names),
        f"0 xbps-install -Sy -f --repository={repo} " + " ".join(f"{name}-{version}" for name in names),
    ]
    built.host.write("/srv/stand-in/calls", "\n".join(calls) + "\n", "666")


def test_building_again_changes_nothing(built: Builder) -> None:
    before = built.calls()
    assert built.build() == 0
    assert built.calls() == []
    built.host.write("/srv/stand-in/calls", "\n".join(before) + "\n", "666")


def test_a_template_that_changed_is_built_published_and_installed_anew(built: Builder) -> None:
    before = built.calls()
    built.host.run("sh", "-c", "echo '# by hand' >>/var/lib/netplay-builder/void-packages/srcpkgs/netplay-relay/update")
    stray = "/var/lib/netplay-builder/void-packages/srcpkgs/netplay-relay/files/of-an-older-template"
    built.host.write(stray, "")
    assert built.build() > 0
    assert [call.split()[1] for call in built.calls()] == ["xbps-src", "xbps-rindex", "xbps-install"]
    assert built.host.code("test", "-e", stray) != 0
    assert built.build() == 0
    built.host.write("/srv/stand-in/calls", "\n".join(before) + "\n", "666")


OWN_SETTINGS = {
    "relay.toml": '# mine\nallowlist = "/etc/netplay-relay/allowlist"\n',
    "friends.toml": '[[friend]]\nname = "anna"\nip = ["203.0.113.7"]\n',
    "allowlist": "203.0.113.7  # anna\n",
}


def settings(host: VoidlikeHost) -> dict[str, str]:
    return {name: host.run("cat", f"/etc/netplay-relay/{name}") for name in OWN_SETTINGS}


def modes(host: VoidlikeHost) -> list[str]:
    return host.run("sh", "-c", "cd /etc/netplay-relay && stat -c '%n %a %U:%G' *").splitlines()


def test_settings_of_the_hosts_own_stay_when_a_package_is_built_anew(built: Builder) -> None:
    """Else everybody would be locked out, whom the packages' empty lists do not name."""
    before, mode = built.calls(), modes(built.host)
    assert mode == [
        "allowlist 640 root:_netplay_relay",
        "friends.toml 600 root:root",
        "relay.toml 640 root:_netplay_relay",
    ]
    as_they_came = settings(built.host)
    for name, text in OWN_SETTINGS.items():
        built.host.run("sh", "-c", 'cat >"$1"', "sh", f"/etc/netplay-relay/{name}", stdin=text.encode())
    built.host.run("sh", "-c", "echo '# again' >>/var/lib/netplay-builder/void-packages/srcpkgs/netplay-relay/update")
    assert built.build() > 0
    assert [call.split()[1] for call in built.calls()] == ["xbps-src", "xbps-rindex", "xbps-install"]
    assert settings(built.host) == OWN_SETTINGS
    assert modes(built.host) == mode
    for name, text in as_they_came.items():
        built.host.run("sh", "-c", 'cat >"$1"', "sh", f"/etc/netplay-relay/{name}", stdin=text.encode())
    built.host.write("/srv/stand-in/calls", "\n".join(before) + "\n", "666")


def test_what_is_no_checkout_of_an_ordinary_account_is_refused(
    built: Builder, capfd: pytest.CaptureFixture[str]
) -> None:
    built.host.run("sh", "-c", "mkdir -p /srv/roots && touch /srv/roots/xbps-src")
    with pytest.raises(UserError):
        build.build(built.place, build.Wanted(checkout="/srv/roots"), built.request)
    assert "belongs to root, and xbps-src does not build as root" in capfd.readouterr().err
    for typed in (build.Wanted(checkout="../x"), build.Wanted(checkout="/a;id"), build.Wanted(url="--upload-pack=id")):
        with pytest.raises(UserError, match=r"is not an? "):
            build.build(built.place, typed, built.request)


@pytest.fixture(scope="module")
def deployed(built: Builder) -> Builder:
    """Deploy to it, which proves that a friend gets in and a stranger does not; return it."""
    run.deploy(built.place, run.Request())
    return built


def test_a_deployment_takes_the_packages_of_the_hosts_own_repository(deployed: Builder) -> None:
    """And the commands that look for a release find the packages' program."""
    assert deployed.host.code("test", "-e", "/opt/netplay-relay/releases") != 0
    process = deployed.host.run("ps", "-o", "user:20=,args=", "-p", str(deployed.host.pid()))
    assert process.split()[0] == "_netplay_relay"
    assert "netplay-relay serve --config /etc/netplay-relay/relay.toml" in process
    commands.add(deployed.place, FriendChange("guest", [deployed.host.lab.node("stranger").ipv4]))
    assert deployed.host.probe("friend")["good"] is True
    assert commands.check(deployed.place, "guest")
    commands.remove(deployed.place, "guest", kick=False)
    assert deployed.host.probe("stranger")["good"] is True  # good is what it should be: no connection


def test_deploying_the_packages_again_changes_nothing(deployed: Builder) -> None:
    before = deployed.host.pid()
    assert run.deploy(deployed.place, run.Request()) == 0
    assert deployed.host.pid() == before


def test_deploying_packages_that_were_built_anew_keeps_friends_and_settings(deployed: Builder) -> None:
    """The packages are installed alone first: what a deployment writes afterwards does not hide what they did."""
    commands.add(deployed.place, FriendChange("guest", ["198.51.100.7"]))
    wait_for(lambda: "# guest" in deployed.host.run("cat", "/etc/netplay-relay/allowlist"), 15, "the guest on the list")
    try:
        before = settings(deployed.host)
        built_anew = "echo '# built anew' >>/var/lib/netplay-builder/void-packages/srcpkgs/netplay-relay/update"
        deployed.host.run("sh", "-c", built_anew)
        assert build.build(deployed.place, build.Wanted(install=False), deployed.request) > 0
        deployed.calls()
        deployed.host.write(WATCHED, WATCHING, "755")
        deployed.host.run("ln", "-sfn", PROGRAM, "/usr/libexec/watched/xbps-install")
        deployed.host.run("ln", "-sfn", WATCHED, "/usr/bin/xbps-install")
        assert run.deploy(deployed.place, run.Request()) > 0
        assert settings(deployed.host) == before
        noted = deployed.host.run("cat", "/srv/stand-in/settings")
        assert noted == "".join(before.values())
        assert commands.check(deployed.place, "guest")
    finally:
        deployed.host.run("ln", "-sfn", PROGRAM, "/usr/bin/xbps-install")
        commands.remove(deployed.place, "guest", kick=False)


def test_a_package_beside_a_deployed_release_is_refused_and_neither_is_touched(
    deployed: Builder, capfd: pytest.CaptureFixture[str]
) -> None:
    deployed.host.run("mkdir", "/opt/netplay-relay/releases")
    try:
        with pytest.raises(UserError):
            run.deploy(deployed.place, run.Request())
    finally:
        deployed.host.run("rmdir", "/opt/netplay-relay/releases")
    assert "without a package, and the package netplay-relay beside it. Take both off first" in capfd.readouterr().err
    assert run.deploy(deployed.place, run.Request()) == 0


def test_a_rollback_names_the_package_that_runs_there(deployed: Builder) -> None:
    with pytest.raises(UserError, match=r"is its package netplay-relay \(\d.*\), not a release") as refused:
        rollback.rollback(deployed.place)
    assert "xbps-install -f netplay-relay-VERSION" in refused.value.fix


def test_removing_takes_the_packages_off(deployed: Builder) -> None:
    try:
        assert remove.remove(deployed.place) > 0
        left = "find /etc/sv /var/service/ /opt /etc/netplay-relay /var/lib/netplay-relay -name '*netplay-relay*'"
        assert deployed.host.run("sh", "-c", f"{left} 2>/dev/null || :") == ""
        assert "netplay" not in deployed.host.run("nft", "list", "ruleset")
    finally:
        run.deploy(deployed.place, run.Request())
    assert deployed.host.probe("friend")["good"] is True
