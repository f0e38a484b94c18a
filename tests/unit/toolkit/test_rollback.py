"""Which release a rollback goes to, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from relay import __version__
from toolkit.console import ROOT
from toolkit.deploy import releases, remove, rollback
from toolkit.deploy.releases import Release
from toolkit.errors import BAD_INPUT, HOST_UNUSABLE, UserError
from toolkit.hosts import target
from toolkit.hosts.inventory import Entry, files_of, write
from toolkit.hosts.login import LoginFacts
from toolkit.hosts.names import parse_host
from toolkit.ssh.connection import Connection

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.toolkit.conftest import FakeSsh

OLD = Release("aaaa1111", "0.1.0", 100.0, current=False)
MIDDLE = Release("bbbb2222", "0.2.0", 200.0, current=False)
NEW = Release("cccc3333", "0.3.0", 300.0, current=True)


def listed(*found: Release) -> list[Release]:
    """Return releases as the host lists them, read again."""
    raw: list[dict[str, Any]] = json.loads(releases.as_json(found))
    return releases.parse(json.dumps(raw), "myvps")


def at(release: Release, used: float | None, *, current: bool = False) -> Release:
    return replace(release, used=used, current=current)


def test_it_is_the_one_that_ran_before_and_not_the_one_that_was_copied_before() -> None:
    """OLD was gone back to by name, and ran until NEWEST was deployed: both MIDDLE and NEW had been bad."""
    newest = Release("dddd4444", "0.4.0", 400.0, current=True, used=400.0)
    found = listed(at(OLD, 399.0), at(MIDDLE, 299.0), at(NEW, None), newest)
    assert releases.choose(found, None, "myvps").id == OLD.id
    # The same release deployed again: its files are older than what ran before.
    again = listed(at(OLD, 301.0, current=True), at(MIDDLE, 299.0), at(NEW, 300.0))
    assert releases.choose(again, None, "myvps").id == NEW.id


def test_one_that_never_ran_and_one_that_was_gone_back_from_are_not_gone_to_by_themselves() -> None:
    never = Release("dddd4444", "0.4.0", 400.0, current=False)
    found = listed(at(OLD, 199.0), at(MIDDLE, 200.0, current=True), at(NEW, None), never)
    assert releases.choose(found, None, "myvps").id == OLD.id
    # What was there before this was noted is known by when it was copied.
    assert releases.choose(listed(OLD, at(MIDDLE, 300.0, current=True)), None, "myvps").id == OLD.id


def test_the_host_tells_which_ran_and_when(tmp_path: Path) -> None:
    for release in (OLD, NEW):
        (tmp_path / "releases" / release.id).mkdir(parents=True)
        (tmp_path / "releases" / release.id / "netplay-relay.pyz").touch()
    (tmp_path / "releases" / OLD.id / "used").touch()
    os.utime(tmp_path / "releases" / OLD.id / "used", (7, 7))
    (tmp_path / "current").symlink_to(f"releases/{NEW.id}")
    script = releases._LIST.replace("/opt/netplay-relay", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    found = releases.parse(done.stdout, "myvps")
    assert {each.id: (each.used, each.current) for each in found} == {OLD.id: (7.0, False), NEW.id: (None, True)}


def test_without_a_name_it_is_the_newest_that_is_older_than_what_runs() -> None:
    assert releases.choose(listed(OLD, NEW, MIDDLE), None, "myvps") == MIDDLE


def test_what_was_gone_back_from_is_not_gone_back_to() -> None:
    """After a rollback from NEW to MIDDLE, the next one goes on to OLD."""
    back = Release(MIDDLE.id, MIDDLE.version, MIDDLE.installed, current=True)
    gone = Release(NEW.id, NEW.version, NEW.installed, current=False)
    assert releases.choose(listed(OLD, back, gone), None, "myvps") == OLD


@pytest.mark.parametrize("typed", ["aaaa1111", "aa", "0.1.0"])
def test_a_release_is_named_by_its_id_the_beginning_of_it_or_its_version(typed: str) -> None:
    assert releases.choose(listed(OLD, MIDDLE, NEW), typed, "myvps") == OLD


@pytest.mark.parametrize(
    ("found", "typed", "code", "words"),
    [
        ([], None, HOST_UNUSABLE, ["there is no relay on myvps", "invoke deploy --host myvps"]),
        ([NEW], None, BAD_INPUT, ["no release on myvps that ran before", "0.3.0 (cccc3333)", "invoke deploy"]),
        ([OLD, NEW], "9.9", BAD_INPUT, ["there is no release '9.9' on myvps", "rollback --host myvps --to aaaa1111"]),
        ([OLD, NEW], "", BAD_INPUT, ["there is no release ''"]),
        ([OLD, Release("aaaa9999", "0.1.0", 150.0, current=False), NEW], "aaaa", BAD_INPUT, ["2 releases 'aaaa'"]),
    ],
)
def test_where_there_is_none_to_go_to_a_sentence_says_so(
    found: list[Release], typed: str | None, code: int, words: list[str]
) -> None:
    with pytest.raises(UserError) as refused:
        releases.choose(listed(*found), typed, "myvps")
    assert refused.value.exit_code == code
    assert [word for word in words if word not in str(refused.value)] == []


def test_the_host_is_asked_with_its_own_python_and_nothing_typed_reaches_its_shell(fake_ssh: FakeSsh) -> None:
    fake_ssh.answers(stdout=releases.as_json([OLD, NEW]))
    assert releases.on_host(Connection("myvps")) == [NEW, OLD]
    (arguments, script) = fake_ssh.calls[-1]
    assert arguments[-1] == "exec /usr/bin/python3 -I -X utf8 -"
    compile(script, "asked", "exec")


def test_releases_are_found_behind_what_a_login_prints_and_missing_ones_are_a_sentence() -> None:
    assert releases.parse(f"[ok] welcome\nhello {releases.as_json([OLD])}", "myvps") == [OLD]
    with pytest.raises(UserError, match="did not list its releases; it said: Welcome"):
        releases.parse("Welcome\n", "myvps")


def test_a_relay_that_is_a_package_is_no_release_and_the_sentence_says_so(tmp_path: Path) -> None:
    script = releases._LIST.replace("/opt/netplay-relay", str(tmp_path))
    argv = [sys.executable, "-c", script]

    def said() -> str:
        return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout

    assert releases.parse(said(), "myvps") == []
    (tmp_path / "current").mkdir()
    with pytest.raises(UserError, match=rf"on myvps is its package netplay-relay \({__version__}\), not a") as refused:
        releases.parse(said(), "myvps")
    assert "xbps-install -f netplay-relay-VERSION" in refused.value.fix


def known() -> None:
    """Let the host be one that was deployed to."""
    host = parse_host("myvps")
    write(files_of(host).inventory, Entry(host).render())


def test_what_failed_half_way_is_to_be_done_again_and_not_to_be_deployed(
    fake_ssh: FakeSsh, monkeypatch: pytest.MonkeyPatch
) -> None:
    known()
    visit = LoginFacts(Connection("myvps"), "myvps", False, "root", "", False)
    monkeypatch.setattr(rollback.login, "visit", lambda *_: visit)
    # Breaks off before it has left a recap.
    monkeypatch.setattr(rollback.ansible.Run, "argv", lambda _: [sys.executable, "-c", "raise SystemExit(2)"])
    fake_ssh.answers(stdout=releases.as_json([OLD, MIDDLE, NEW]))
    with pytest.raises(UserError, match="half-way") as caught:
        rollback.rollback(target.real("myvps"))
    assert "Roll back again with --to bbbb2222 when that is mended" in caught.value.fix
    with pytest.raises(UserError, match="half-way") as caught:
        remove.remove(target.real("myvps"))
    assert "Remove it again when that is mended" in caught.value.fix


def test_a_release_of_a_time_when_the_clock_was_ahead_did_not_run_last(tmp_path: Path) -> None:
    """The current one may be of that time as well: it runs now."""
    year = 86400 * 365
    for name, years in (("ahead", 3), ("before", -1), ("current", 0)):
        folder = tmp_path / "releases" / name
        folder.mkdir(parents=True)
        for file in ("netplay-relay.pyz", "used"):
            (folder / file).touch()
            os.utime(folder / file, (time.time() + years * year,) * 2)
    (tmp_path / "current").symlink_to("releases/current")
    script = releases._LIST.replace("/opt/netplay-relay", str(tmp_path))
    said = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True).stdout
    assert releases.choose(releases.parse(said, "myvps"), None, "myvps").id == "before"
    os.utime(tmp_path / "releases" / "current" / "used", (time.time() + 4 * year,) * 2)
    said = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True).stdout
    assert releases.choose(releases.parse(said, "myvps"), None, "myvps").id == "before"


def test_nothing_is_touched_where_there_is_nothing_to_go_back_to(
    fake_ssh: FakeSsh, monkeypatch: pytest.MonkeyPatch
) -> None:
    known()
    monkeypatch.setattr(rollback.login, "visit", lambda *_: None)
    monkeypatch.setattr(rollback.ansible, "play", lambda *_: pytest.fail("a playbook was run"))
    fake_ssh.answers(stdout=releases.as_json([NEW]))
    with pytest.raises(UserError, match="no release on myvps that ran before"):
        rollback.rollback(target.real("myvps"))
    assert rollback.look(target.real("myvps")) == [NEW]
