"""Rendered folders: whole or not at all, programs that a shell takes, settings that the relay takes."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from relay import config
from relay.gate.policy import friends
from tests.support.templates import program, run
from tests.support.xbps_sources import MAINTAINER, PACKAGES, settled, tarball
from toolkit.errors import UserError
from toolkit.xbps import archives, example, render, request

if TYPE_CHECKING:
    from toolkit.xbps.render import Rendered
    from toolkit.xbps.request import Request


@pytest.fixture(params=PACKAGES)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Rendered:
    return render.write(settled(request.param, tmp_path), tmp_path / "out")


@pytest.fixture
def relay(tmp_path: Path) -> Path:
    return render.write(settled("netplay-relay", tmp_path), tmp_path / "out").folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_laid_out_as_in_a_checkout_of_void_packages(relay: Path) -> None:
    top = relay.parents[1]
    assert (top / "srcpkgs" / "netplay-relay-firewall").readlink() == Path("netplay-relay")
    assert [path.name for path in (top / "hostdir/sources/netplay-relay-0.1.0").iterdir()] == [
        "netplay-relay-0.1.0.tar.gz"
    ]


def test_rendering_twice_gives_the_same_files(tmp_path: Path) -> None:
    wanted = settled("netplay-relay", tmp_path)
    first = render.write(wanted, tmp_path / "first")
    assert files(render.write(wanted, tmp_path / "second").folder) == files(first.folder)


def test_an_empty_folder_is_filled_and_the_callers_umask_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    folder = render.write(settled("netplay-relay", tmp_path), tmp_path / "out").folder
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.rglob("*")}
    assert (modes["run"], modes["template"], modes["files"]) == (0o755, 0o644, 0o755)


def test_a_folder_with_something_in_it_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(UserError, match=r"is not empty \(mine is in it\)"):
        render.write(settled("netplay-relay", tmp_path), tmp_path / "out")
    assert files(tmp_path / "out") == {"mine": b"x"}


def test_a_file_in_the_way_and_a_place_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    wanted = settled("netplay-relay", tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is there, and is not a folder"):
        render.write(wanted, tmp_path / "file")
    with pytest.raises(UserError, match="cannot be written"):
        render.write(wanted, tmp_path / "file" / "out")


def test_what_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = settled("netplay-relay", tmp_path)
    (tmp_path / "place").mkdir()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)  # the tarball, when the rest is written
    with pytest.raises(UserError, match="No space left on device"):
        render.write(wanted, tmp_path / "place" / "out")
    assert list((tmp_path / "place").iterdir()) == []


def test_a_shell_and_shellcheck_have_nothing_to_say(made: Rendered) -> None:
    programs = [str(path) for name in render.PROGRAMS for path in made.folder.rglob(name)]
    assert any(path.endswith("/run") for path in programs)
    for path in programs:
        assert run(program("sh"), "-n", path).stderr == ""
    checked = run(program("shellcheck"), "--shell=sh", "--severity=style", *programs)
    assert checked.stdout == ""
    assert run(program("bash"), "-n", str(made.folder / "template")).stderr == ""


def test_lines_hold_80_columns(made: Rendered) -> None:
    for line in (made.folder / "template").read_text().splitlines():
        assert len(line.expandtabs(8)) <= 80


def test_the_packaged_settings_let_nobody_in_who_is_not_named(relay: Path) -> None:
    loaded = config.load(relay / "files" / "relay.toml")
    assert loaded.gate.allowlist == Path("/etc/netplay-relay/allowlist")
    assert loaded.control.socket == Path("/run/netplay-relay/control.sock")
    assert friends.load(relay / "files" / "friends.toml") == []
    lines = (relay / "files" / "allowlist").read_text().splitlines()
    assert all(line.startswith("#") for line in lines)


def with_settings(folder: Path, settings: str) -> Request:
    """Return the request for a source that has its own relay.toml."""
    path = tarball(folder)
    with tarfile.open(path) as archive:
        (project,) = archive.getmembers()
        members = [archives.Member(project.name, archive.extractfile(project).read())]
    members.append(archives.Member("netplay-relay-0.1.0/relay/relay.toml", settings.encode()))
    path.write_bytes(archives.gzip(archives.tar(members)))
    return request.settle(request.Asked(distfile=str(path), maintainer=MAINTAINER))


def test_the_settings_are_those_of_the_program_that_is_packaged(tmp_path: Path) -> None:
    older = "# An older example.\n" + "".join(f"# {setting}\n" for setting in example.SWITCHED_ON) + "[end]\n"
    wanted = with_settings(tmp_path, older)
    text = (render.write(wanted, tmp_path / "out").folder / "files/relay.toml").read_text()
    assert text == "\n".join(["# An older example.", *example.SWITCHED_ON, "[end]", ""])
    assert "relay.toml" not in example.borrowed(wanted)
    assert example.borrowed(settled("netplay-relay", tmp_path)).startswith("relay.toml, services and template are")


def test_an_example_that_lost_a_setting_is_noticed(tmp_path: Path) -> None:
    wanted = with_settings(tmp_path, "[listen]\n# port = 55435\n")
    with pytest.raises(UserError, match=r"relay/relay.toml in netplay-relay-0.1.0.tar.gz does not mention allowlist"):
        render.write(wanted, tmp_path / "out")
    assert not (tmp_path / "out").exists()
