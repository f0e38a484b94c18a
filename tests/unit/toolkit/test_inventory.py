"""A host's files are made once and are the owner's from then on."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import yaml

from relay import config
from toolkit.errors import UserError
from toolkit.hosts import inventory, target
from toolkit.hosts.inventory import Entry
from toolkit.hosts.names import parse_host
from toolkit.xbps import build
from toolkit.xbps.build import Wanted

HOST = parse_host("myvps")


def test_the_first_deployment_makes_three_files_that_are_valid_and_private() -> None:
    files = inventory.files_of(HOST)
    made = inventory.make_missing(files, Entry(HOST, "admin", True))
    assert made == [files.inventory, files.relay, files.friends]
    assert inventory.read_entry(files, HOST) == Entry(HOST, "admin", True)
    assert config.load(files.relay).gate.allowlist == Path("/etc/netplay-relay/allowlist")
    assert files.friends.stat().st_mode & 0o077 == 0
    assert files.friends.parent.stat().st_mode & 0o077 == 0


def test_the_next_deployment_makes_nothing_and_changes_nothing() -> None:
    files = inventory.files_of(HOST)
    inventory.make_missing(files, Entry(HOST))
    files.relay.write_text("[listen]\nport = 7777\n")
    assert inventory.make_missing(files, Entry(HOST)) == []
    assert config.load(files.relay).ports == (7777,)


def test_a_look_ahead_leaves_no_file_behind(tmp_path: Path, own_configuration: Path) -> None:
    files = inventory.files_of(HOST)
    used = inventory.scratch_files(files, Entry(HOST), tmp_path)
    inventory.make_missing(used, Entry(HOST))
    assert used.relay.exists()
    assert not own_configuration.exists()


def test_a_look_ahead_at_another_account_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    files = inventory.files_of(HOST)
    inventory.make_missing(files, Entry(HOST))
    before = files.inventory.read_text()
    wanted = inventory.update_entry(files, HOST, "admin", become=True)
    used = inventory.scratch_files(files, wanted, tmp_path)
    inventory.make_missing(used, wanted)
    assert inventory.read_entry(used, HOST) == Entry(HOST, "admin", True)
    assert files.inventory.read_text() == before


def test_what_is_typed_is_remembered() -> None:
    files = inventory.files_of(HOST)
    inventory.make_missing(files, inventory.update_entry(files, HOST, "admin", become=True))
    assert inventory.update_entry(files, HOST, None, become=False) == Entry(HOST, "admin", True)


def test_an_entry_that_the_owner_edited_is_never_written_over() -> None:
    files = inventory.files_of(HOST)
    inventory.make_missing(files, Entry(HOST))
    files.inventory.write_text(files.inventory.read_text() + "      my_own_variable: 1\n")
    with pytest.raises(UserError, match="edited by hand"):
        inventory.update_entry(files, HOST, "admin", become=False)
    assert inventory.update_entry(files, HOST, None, become=False) == Entry(HOST)


@pytest.mark.parametrize("name", ["no", "on", "yes", "y", "1", "42", "null", "0x1f", "1.5", "2026-01-01", "myvps"])
def test_a_host_may_be_called_what_yaml_takes_for_something_else(name: str) -> None:
    host = parse_host(name)
    files = inventory.files_of(host)
    inventory.make_missing(files, Entry(host, "admin"))
    assert list(yaml.safe_load(files.inventory.read_text())["relays"]["hosts"]) == [name]
    assert inventory.update_entry(files, host, None, become=True) == Entry(host, "admin", True)
    # As it was written before names were quoted.
    files.inventory.write_text(files.inventory.read_text().replace(f'    "{name}":', f"    {name}:"))
    assert inventory.update_entry(files, host, None, become=True) == Entry(host, "admin", True)


@pytest.mark.parametrize(
    ("wanted", "typed"),
    [
        (Wanted(), "invoke deploy --host myvps\n"),
        (Wanted("admin", become=True), "invoke deploy --host myvps --user admin --become\n"),
        (Wanted("admin", ask_become=True), "invoke deploy --host myvps --user admin --ask-become\n"),
    ],
)
def test_what_is_typed_after_a_build_reaches_the_host_as_the_build_did(
    wanted: Wanted, typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written down of a host that was only built on."""
    build._say_built(target.real("myvps"), wanted, 1)
    assert capsys.readouterr().out.endswith(f"To run it there: {typed}")


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("relays:\n  hosts: [\n", 3, "not YAML"),
        ("relays: {}\n", 1, "does not name myvps"),
        ("", 1, "does not name myvps"),
    ],
)
def test_a_broken_entry_is_a_sentence_with_its_line(text: str, line: int, what: str) -> None:
    files = inventory.files_of(HOST)
    inventory.write(files.inventory, text)
    with pytest.raises(UserError, match=what) as caught:
        inventory.read_entry(files, HOST)
    assert caught.value.message.startswith(f"{files.inventory}:{line}: ")


@pytest.mark.parametrize(
    ("place", "reason"), [("a file/relay.toml", "Not a directory|File exists"), ("a/folder", "Is a")]
)
def test_a_file_that_cannot_be_written_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, place: str, reason: str
) -> None:
    (tmp_path / "a file").touch()
    (tmp_path / "a" / "folder").mkdir(parents=True)
    path = tmp_path / place
    with pytest.raises(UserError, match=f"cannot be written: ({reason})") as caught:
        inventory.write(path, "text\n")
    assert caught.value.message.startswith(str(path))
    assert caught.value.fix.startswith("Look whose it is: ls -ld ")
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == ["a", "a file", "folder"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "friends.toml"
    inventory.write(path, "old\n")
    path.chmod(0o640)
    with pytest.raises(UnicodeEncodeError):
        inventory.write(path, "\ud800")
    assert path.read_text() == "old\n"
    inventory.write(path, "new\n")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new\n", 0o640)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".friends")] == []


def test_a_file_that_is_a_link_into_a_folder_of_dotfiles_stays_one(tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles" / "friends.toml"
    kept.parent.mkdir()
    kept.write_text("before")
    kept.chmod(0o640)
    link = tmp_path / "hosts" / "friends.toml"
    link.parent.mkdir()
    link.symlink_to(Path("..") / "dotfiles" / "friends.toml")
    inventory.write(link, "after")
    assert link.is_symlink()
    assert kept.read_text() == "after"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640
    assert [path.name for path in (*kept.parent.iterdir(), *link.parent.iterdir())] == ["friends.toml"] * 2


def test_a_file_is_on_the_disk_before_it_replaces_the_one_that_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty list of friends is a valid one: after a power loss it would keep everybody out."""
    path = tmp_path / "friends.toml"
    path.write_text("before")
    synced: list[tuple[int, str]] = []

    def fsync(handle: int) -> None:
        there = os.fstat(handle)
        synced.append((0 if stat.S_ISDIR(there.st_mode) else there.st_size, path.read_text()))

    monkeypatch.setattr(os, "fsync", fsync)
    inventory.write(path, "after that")
    assert synced == [(10, "before"), (0, "after that")]
