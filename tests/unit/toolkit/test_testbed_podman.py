"""A scenario's containers: what podman is told, and what is left when it is gone."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from toolkit.errors import UserError
from toolkit.lab import programs, state
from toolkit.testbed import containers, podman


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the command lines that would have been run; none is."""
    lines: list[list[str]] = []

    def run(argv: list[str], **_: object) -> str:
        lines.append(argv)
        return ""

    monkeypatch.setattr(programs, "run", run)
    return lines


def test_podman_keeps_everything_in_places_of_the_testbeds_own(tmp_path: Path) -> None:
    argv = podman.Podman.of("tb-podman", tmp_path).argv("ps")
    assert argv[argv.index("--root") + 1] == str(tmp_path / "podman" / "storage")
    for option in ("--runroot", "--tmpdir"):
        assert Path(argv[argv.index(option) + 1]).is_relative_to(state.directory("tb-podman"))
    assert f"CONTAINERS_CONF={tmp_path / 'podman' / 'containers.conf'}" in argv
    # podman's own limit, with the longest name that a lab can have.
    longest = podman.Podman.of("x" * 20, tmp_path).argv("ps")
    assert len(longest[longest.index("--runroot") + 1]) <= 50


def test_a_container_has_its_init_its_rights_and_a_place_in_the_labs_network() -> None:
    words = podman.create("relay", "localhost/image", Path("/run/lab/netns/relay"), podman.group("tb-podman"))
    assert {
        *("--systemd=always", "--privileged", "--pull=never", "--no-hosts", "--dns=none"),
        *("--network=ns:/run/lab/netns/relay", "--cgroup-parent=/netplay-podman-tb-podman"),
    } <= set(words)
    assert words[-2:] == ["localhost/image", "/sbin/init"]
    assert not [word for word in words if word.startswith(("-v", "--volume", "--mount"))]


@pytest.mark.parametrize(
    ("image", "base", "pull"),
    [
        (None, "docker.io/library/debian:trixie", "--pull=false"),
        ("", "docker.io/library/debian:trixie", "--pull=false"),
        ("example.org/mine:1", "example.org/mine:1", "--pull=false"),
        (podman.LOCAL, "localhost/netplay-lab:trixie", "--pull-never"),
    ],
)
def test_only_the_local_image_is_made_without_a_registry(
    image: str | None, base: str, pull: str, told: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(containers.IMAGE, raising=False)
    if image is not None:
        monkeypatch.setenv(containers.IMAGE, image)
    monkeypatch.setattr(podman.rootfs, "ensure", lambda suite, _: tmp_path / suite)
    (tmp_path / "podman").mkdir()
    (tmp_path / "podman" / "root.tar").touch()
    podman.Podman.of("tb-podman", tmp_path).image("trixie")
    assert {f"--build-arg=BASE={base}", pull} <= set(told[-1])
    assert any("import" in line for line in told) == (image == podman.LOCAL)


def test_what_is_not_there_is_not_removed(told: list[list[str]], tmp_path: Path) -> None:
    assert podman.remove("tb-podman", tmp_path) is False
    assert told == []


def test_cgroups_are_removed_in_every_hierarchy_and_no_others(
    told: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(podman, "CGROUPS", tmp_path / "cgroup")
    own, others = podman.group("tb-podman"), podman.group("tb-podman2")
    for hierarchy in ("", "pids", "unified"):
        (tmp_path / "cgroup" / hierarchy / own / "libpod-1" / "init.scope").mkdir(parents=True)
        (tmp_path / "cgroup" / hierarchy / others).mkdir()
    (tmp_path / "podman").mkdir()
    assert podman.remove("tb-podman", tmp_path)
    assert told == [], "there were no settings: podman was never run"
    left = sorted(os.path.relpath(path, tmp_path / "cgroup") for path in (tmp_path / "cgroup").rglob("netplay-*"))
    assert left == [others, f"pids/{others}", f"unified/{others}"]


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Return what is mounted below a testbed's storage: umount takes the last one away, rmtree refuses the rest."""
    (tmp_path / "podman" / "storage" / "overlay").mkdir(parents=True)
    there: list[Path] = []
    real = podman.shutil.rmtree

    def umount(argv: list[str], **_: object) -> str:
        assert argv[:2] == ["umount", "--lazy"]
        there.remove(Path(argv[2]))
        return ""

    def rmtree(path: Path, **_: object) -> None:
        for each in [each for each in there if path in each.parents]:
            raise OSError(16, "Device or resource busy", str(each))
        real(path)

    monkeypatch.setattr(podman, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(podman.network, "mounts_below", lambda own: [each for each in there if own in each.parents])
    monkeypatch.setattr(programs, "run", umount)
    monkeypatch.setattr(podman.shutil, "rmtree", rmtree)
    return there


def test_a_mount_that_appears_while_others_are_taken_down_is_taken_down_too(
    mounts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlay = tmp_path / "podman" / "storage" / "overlay"
    mounts += [overlay, overlay]
    late, refusing = [overlay, overlay], podman.shutil.rmtree

    def remounted(path: Path, **_: object) -> None:
        """Behave as podman's own cleaning up does: it mounts the storage again once it has been unmounted."""
        mounts.extend([late.pop()] if late else [])
        refusing(path)

    monkeypatch.setattr(podman.shutil, "rmtree", remounted)
    assert podman.remove("tb-podman", tmp_path)
    assert (late, mounts, (tmp_path / "podman").exists()) == ([], [], False)


def test_a_mount_that_stays_is_named_and_nothing_in_it_is_removed(
    mounts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "podman" / "storage" / "overlay"
    mounts.append(kept)
    monkeypatch.setattr(programs, "run", lambda *_, **__: "")
    monkeypatch.setattr(podman, "_END_BOUND", 0.05)
    with pytest.raises(UserError, match=str(kept)):
        podman.remove("tb-podman", tmp_path)
    assert kept.is_dir()


def test_a_removal_that_stopped_half_way_is_finished_by_the_next_one(
    mounts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = tmp_path / "run" / "podman"
    running.mkdir(parents=True)
    made = podman.Podman.of("tb-podman", tmp_path)
    monkeypatch.setattr(podman.Podman, "of", lambda *_: dataclasses.replace(made, running=running))
    monkeypatch.setattr(podman, "_END_BOUND", 0.05)
    mounts.append(running / "overlay")
    monkeypatch.setattr(programs, "run", lambda *_, **__: "")
    with pytest.raises(UserError, match=str(running)):
        podman.remove("tb-podman", tmp_path)
    mounts.clear()
    assert podman.remove("tb-podman", tmp_path)
    assert not running.exists()
    assert not podman.remove("tb-podman", tmp_path)
