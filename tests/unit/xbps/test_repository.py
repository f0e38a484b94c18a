"""The repository: an index of what is there, signatures that hold, and refusals without a traceback."""

from __future__ import annotations

import hashlib
import os
import plistlib
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from relay import __version__
from tests.support import xbps_harness, xbps_reader
from tests.support.templates import program
from tests.support.xbps_sources import MAINTAINER, MITM_COMMIT, settled
from toolkit.errors import UserError
from toolkit.xbps import repository, request
from toolkit.xbps.request import Asked

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.xbps.request import Request

OWN = f"netplay-relay-{__version__}_1.x86_64.xbps"


def openssl(*arguments: str) -> None:
    subprocess.run([program("openssl"), *arguments], capture_output=True, check=True, timeout=60)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> Request:
    path = tmp_path_factory.mktemp("source") / "netplay-relay.tar.gz"
    path.write_bytes(xbps_harness.source_tarball())
    return request.settle(Asked(distfile=str(path), maintainer=MAINTAINER))


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("a key") / "-key.pem"
    openssl("genrsa", "-out", f"{path.parent}/-key.pem", "2048")
    openssl("pkey", "-in", f"{path.parent}/-key.pem", "-pubout", "-out", f"{path.parent}/public.pem")
    return path


@pytest.fixture(scope="module")
def signed(wanted: Request, key: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repo") / "signed"
    repository.make(wanted, folder, "x86_64", python="3.14", key=repository.load_key(key, MAINTAINER))
    return folder


def test_members_stand_in_the_order_that_xbps_create_gives_them(signed: Path) -> None:
    read = xbps_reader.package(signed / OWN)
    assert read.members[:4] == ["./REMOVE", "./INSTALL", "./props.plist", "./files.plist"]
    paths = [name.split("/") for name in read.members[4:]]
    assert paths == sorted(paths, reverse=True)
    assert all(name.startswith("./") for name in read.members)


def test_scripts_call_voids_triggers_at_their_time(signed: Path) -> None:
    scripts = xbps_reader.package(signed / OWN).scripts
    assert 'export system_accounts="_netplay_relay"' in scripts["INSTALL"]
    assert "act pycompile post-install" in scripts["INSTALL"]
    assert "act system-accounts pre-remove" in scripts["REMOVE"]
    for text in scripts.values():
        done = subprocess.run([program("sh"), "-n"], input=text, text=True, capture_output=True, check=False)
        assert done.stderr == ""
    assert xbps_reader.package(signed / OWN.replace("relay-", "relay-firewall-", 1)).scripts == {}


TRIGGERS = ("system-accounts", "mkdirs", "pycompile")


def a_root(folder: Path, signed: Path, failing: str = "") -> Path:
    """Lay out a root with the package's scripts, its settings, and triggers that note their calls."""
    read = xbps_reader.package(signed / OWN)
    triggers = folder / "usr" / "libexec" / "xbps-triggers"
    triggers.mkdir(parents=True)
    for name in TRIGGERS:
        end = "exit 3" if name == failing else "exit 0"
        (triggers / name).write_text(
            f'#!/bin/sh\necho {name} "$@" "$system_accounts" "$pycompile_version" >>calls\n{end}\n'
        )
        (triggers / name).chmod(0o755)
    for name in ("relay.toml", "allowlist", "friends.toml"):
        (folder / "etc/netplay-relay").mkdir(parents=True, exist_ok=True)
        (folder / "etc/netplay-relay" / name).write_text("")
        (folder / "etc/netplay-relay" / name).chmod(0o644)
    for name, text in read.scripts.items():
        # The account's group is not on this machine.
        (folder / name).write_text(text.replace("chgrp _netplay_relay", f"chgrp {os.getgid()}"))
    return folder


def called(root: Path, script: str, action: str) -> tuple[int, list[str]]:
    """Call a script as xbps does; return how it ended and what triggers noted."""
    (root / "calls").write_text("")
    argv = [program("sh"), str(root / script), action, "netplay-relay", "1_1", "no", "no", "x86_64"]
    done = subprocess.run(argv, cwd=root, capture_output=True, check=False, timeout=30)
    return done.returncode, (root / "calls").read_text().splitlines()


@pytest.mark.parametrize(
    ("script", "action", "moment", "expected"),
    [
        ("INSTALL", "pre", "", ()),
        ("INSTALL", "post", "post-install", TRIGGERS),
        ("REMOVE", "pre", "pre-remove", ("system-accounts", "pycompile")),
        ("REMOVE", "post", "post-remove", ("mkdirs",)),
        ("REMOVE", "purge", "", ()),
    ],
)
def test_a_script_runs_the_triggers_of_the_root_it_is_in(
    signed: Path, tmp_path: Path, script: str, action: str, moment: str, expected: tuple[str, ...]
) -> None:
    root = a_root(tmp_path, signed)
    calls = [f"{name} run {moment} netplay-relay 1_1 no no _netplay_relay 3.14" for name in expected]
    assert called(root, script, action) == (0, calls)


@pytest.mark.parametrize("failing", [*TRIGGERS, "missing"])
@pytest.mark.parametrize(("script", "action"), [("INSTALL", "post"), ("REMOVE", "pre"), ("REMOVE", "post")])
def test_a_trigger_that_fails_or_is_missing_does_not_end_the_transaction(
    signed: Path, tmp_path: Path, script: str, action: str, failing: str
) -> None:
    """What follows it is left out, as with every package of xbps-src's."""
    root = a_root(tmp_path, signed, failing)
    if failing == "missing":
        shutil.rmtree(root / "usr")
    code, calls = called(root, script, action)
    assert code == 0
    names = [line.split()[0] for line in calls]
    assert failing not in names or names[-1] == failing


def test_installing_leaves_the_settings_to_the_accounts_group_and_to_nobody_else(signed: Path, tmp_path: Path) -> None:
    """An update by xbps gives settings that it keeps the mode of the package."""
    root = a_root(tmp_path, signed)
    assert called(root, "INSTALL", "post")[0] == 0
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (root / "etc/netplay-relay").iterdir()}
    assert (modes["relay.toml"], modes["allowlist"]) == (0o640, 0o640)


def test_packages_say_what_else_they_are_as_xbps_src_has_them_say(signed: Path) -> None:
    version = f"{__version__}_1"
    own = xbps_reader.package(signed / OWN).props
    assert own["provides"] == [f"py3:netplay-relay-{version}", f"cmd:netplay-relay-{version}"]
    assert "provides" not in xbps_reader.package(signed / OWN.replace("relay-", "relay-firewall-", 1)).props


def test_the_index_names_each_package_with_its_hash_and_size(signed: Path) -> None:
    index = xbps_reader.archive(signed / "x86_64-repodata")
    assert list(index) == ["index.plist", "index-meta.plist", "stage.plist"]
    listed = plistlib.loads(index["index.plist"][1])
    assert sorted(listed) == ["netplay-relay", "netplay-relay-firewall"]
    for name, facts in listed.items():
        path = signed / f"{name}-{__version__}_1.x86_64.xbps"
        assert facts["filename-sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert facts["filename-size"] == path.stat().st_size
        props = xbps_reader.package(path).props
        kept = {key: value for key, value in facts.items() if not key.startswith("filename-")}
        assert kept == {key: props[key] for key in props.keys() - {"pkgname", "version", "packaged-with"}}
    assert index["stage.plist"][1] == b""


def test_signatures_hold_and_a_changed_package_is_noticed(signed: Path, key: Path, tmp_path: Path) -> None:
    public = key.with_name("public.pem")
    assert xbps_reader.verified(signed / OWN, public)
    for name in (OWN, f"{OWN}.sig2"):
        (tmp_path / name).write_bytes((signed / name).read_bytes())
    with (tmp_path / OWN).open("r+b") as changed:
        changed.seek(1000)
        changed.write(b"x")
    assert not xbps_reader.verified(tmp_path / OWN, public)


def test_the_index_carries_the_public_key_and_who_signed(signed: Path, key: Path) -> None:
    meta = plistlib.loads(xbps_reader.archive(signed / "x86_64-repodata")["index-meta.plist"][1])
    assert meta == {
        "public-key": key.with_name("public.pem").read_bytes(),
        "public-key-size": 2048,
        "signature-by": MAINTAINER,
        "signature-type": "rsa",
    }


def test_a_repository_without_a_key_is_told_apart_from_a_signed_one(wanted: Request, tmp_path: Path) -> None:
    (tmp_path / f"{OWN}.sig2").write_bytes(b"of an earlier run")
    written = repository.make(wanted, tmp_path, "x86_64", python="3.14")
    assert xbps_reader.archive(tmp_path / "x86_64-repodata")["index-meta.plist"][1] == b""
    assert sorted(tmp_path.iterdir()) == sorted(written)


def test_a_package_that_has_to_be_compiled_is_left_to_xbps_src(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can only be packaged by xbps-src"):
        repository.make(settled("netplay-mitm-server", tmp_path), tmp_path / "repo", "x86_64", python="3.14")
    assert not (tmp_path / "repo").exists()


def test_a_source_that_is_only_known_by_its_checksum_cannot_be_packaged(tmp_path: Path) -> None:
    address = f"https://example.org/netplay-relay/netplay-relay-{MITM_COMMIT}.tar.gz"
    only = request.settle(Asked(commit=MITM_COMMIT, date="20261103", distfile=address, checksum="5" * 64))
    with pytest.raises(UserError, match="not at hand"):
        repository.make(only, tmp_path / "repo", "x86_64", python="3.14")


def test_a_source_that_does_not_build_is_an_error_and_leaves_no_repository(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the wheel of netplay-relay-0\.1\.0 could not be built"):
        repository.make(settled("netplay-relay", tmp_path), tmp_path / "repo", "x86_64", python="3.14")
    assert not (tmp_path / "repo").exists()


def test_a_passphrase_that_nobody_types_leaves_the_repository_as_it_was(
    wanted: Request, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing = repository.load_key(key, MAINTAINER)
    waits = tmp_path / "bin" / "openssl"
    waits.parent.mkdir()
    # The first package is signed; then it waits, as for somebody who types.
    waits.write_text(
        f'#!/bin/sh\nmkdir {tmp_path}/asked 2>/dev/null && exec {program("openssl")} "$@"\nexec sleep 600\n'
    )
    waits.chmod(0o755)
    out = tmp_path / "repo"
    out.mkdir()
    (out / OWN).write_bytes(b"of an earlier run")
    monkeypatch.setenv("PATH", f"{waits.parent}:/usr/bin:/bin")
    monkeypatch.setattr(repository, "OPENSSL_SECONDS", 3.0)
    with pytest.raises(UserError, match="openssl dgst was not done within 3 s; nothing was written") as refused:
        repository.make(wanted, out, "x86_64", python="3.14", key=signing)
    assert "passphrase" in refused.value.fix
    assert (tmp_path / "asked").exists()
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {OWN: b"of an earlier run"}


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a file"):
        repository.load_key(tmp_path / "missing", MAINTAINER)
    (tmp_path / "text").write_text("text")
    with pytest.raises(UserError, match="openssl pkey failed"):
        repository.load_key(tmp_path / "text", MAINTAINER)
    openssl("genpkey", "-algorithm", "ed25519", "-out", str(tmp_path / "other"))
    openssl("genrsa", "-out", str(tmp_path / "short"), "1024")
    for name in ("other", "short"):
        with pytest.raises(UserError, match="no RSA key of 2048 bits"):
            repository.load_key(tmp_path / name, MAINTAINER)


def test_without_openssl_there_is_no_signing_but_a_way_out(
    key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError) as refused:
        repository.load_key(key, MAINTAINER)
    assert "openssl is not installed" in refused.value.message
    assert "leave --key out" in refused.value.fix
