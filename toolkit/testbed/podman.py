"""Relay hosts as containers of podman, on a lab's network: made, started, and removed with all that podman kept.

    python -m toolkit.testbed.podman LAB DIRECTORY NODES    NODES: the relays, as the scenario's hosts.yml has them
    python -m toolkit.testbed.podman remove LAB DIRECTORY

The lab is up, and each relay is a client of it: a network namespace without a host, which the container joins. So
podman makes no network and touches nothing of this machine's. Image, settings and storage are below DIRECTORY/podman.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from toolkit.errors import HOST_UNUSABLE, UserError, user_errors
from toolkit.lab import Lab, inits, network, programs, rootfs, state
from toolkit.testbed import containers
from toolkit.testbed.hosts import Testbed

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCAL: Final = "local"
"""In the place of an image: the lab's own root file system, made into one here. No registry is asked for anything."""
CGROUPS: Final = Path("/sys/fs/cgroup")
CONTAINERFILE: Final = Path(__file__).with_name("Containerfile")
# runc and cgroupfs work with every layout of cgroups (crun does not with a hybrid one), and limits that are lower than
# this machine's need no right to raise them. Without a lock file of its own podman shares one with all others.
SETTINGS: Final = """\
[containers]
default_ulimits = ["nofile=16384:16384", "nproc=16384:16384"]

[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
"""
_END_BOUND: Final = 30.0  # seconds; what was killed is gone in milliseconds, on a busy machine in some seconds
_BUILD_BOUND: Final = 900.0  # seconds; packages come over the network unless the image is LOCAL


@dataclass(frozen=True, slots=True)
class Podman:
    """A podman that keeps what is on disk below one directory, and what runs below another.

    podman takes no more than 50 letters for the second, so that is the lab's.
    """

    directory: Path
    running: Path

    @classmethod
    def of(cls, lab: str, directory: Path) -> Podman:
        """Return a testbed's own, by the name of its lab and its directory."""
        return cls(directory / "podman", state.directory(lab) / "podman")

    def argv(self, *words: str) -> list[str]:
        """Return a command line for it; its settings stand in the environment, whatever the person's own are."""
        storage, running = str(self.directory / "storage"), str(self.running)
        told = ["--root", storage, "--runroot", running, "--tmpdir", str(self.running / "own")]
        # Without MOLECULE_EPHEMERAL_DIRECTORY: a container is removed by podman, not as a process that was left over.
        own = ["env", "-u", "MOLECULE_EPHEMERAL_DIRECTORY", f"CONTAINERS_CONF={self.directory / 'containers.conf'}"]
        return [*own, "podman", *told, *words]

    def __call__(self, *words: str, check: bool = True, timeout: float = 60.0) -> str:
        """Run it; return what it printed. Raises UserError when it fails, unless `check` is False."""
        return programs.run(self.argv(*words), check=check, timeout=timeout)

    def image(self, suite: str) -> str:
        """Make the image of a host with that root file system's programs and init; return its name."""
        base, made = (
            os.environ.get(containers.IMAGE) or containers.USUAL.format(suite),
            f"localhost/netplay-testbed:{suite}",
        )
        pull = "--pull=false"  # only what is missing
        if base == LOCAL:
            base, pull = f"localhost/netplay-lab:{suite}", "--pull-never"
            self._import(rootfs.ensure(suite, _tell), base)
        words = ["--network=host", pull, f"--build-arg=BASE={base}", f"--tag={made}", f"--file={CONTAINERFILE}"]
        self("build", "--quiet", *words, str(self.directory / "empty"), timeout=_BUILD_BOUND)
        return made

    def _import(self, root: Path, name: str) -> None:
        tarball = self.directory / "root.tar"
        programs.run(["tar", "--create", "--numeric-owner", "-C", str(root), "-f", str(tarball), "."], timeout=300.0)
        self("import", "--quiet", str(tarball), name, timeout=300.0)
        tarball.unlink()


def create(name: str, image: str, namespace: Path, group: str) -> list[str]:
    """Return podman's words that make a host of an image, not yet started, in a network namespace and a cgroup."""
    return [
        *("create", "--pull=never", "--name", name, "--hostname", name, "--systemd=always"),
        *(f"--network=ns:{namespace}", f"--cgroup-parent=/{group}"),
        # Units with DynamicUser or ProtectSystem make mounts and namespaces of their own.
        "--privileged",
        # /etc/hosts and /etc/resolv.conf are the lab's: nothing of this machine's is told.
        *("--no-hosts", "--dns=none", "--stop-timeout=2", image, "/sbin/init"),
    ]


def up(lab: Lab, directory: Path, nodes: Sequence[dict[str, Any]]) -> Testbed:
    """Make the relays that are missing and wait until each answers. Raises UserError when one does not come up."""
    containers.require("podman", "runc")
    podman = Podman.of(lab.name, directory)
    (podman.directory / "empty").mkdir(parents=True, exist_ok=True)
    (podman.directory / "containers.conf").write_text(SETTINGS, encoding="utf-8")
    there = podman("ps", "--all", "--format={{.Names}}").split()
    suites = {str(each["name"]): str(each["rootfs"]) for each in nodes}
    images = {suite: podman.image(suite) for suite in {suites[name] for name in suites if name not in there}}
    for name, folder in containers.seed(lab, suites).items():
        if name not in there:
            podman(*create(name, images[suites[name]], lab.state.netns(name), group(lab.name)))
            podman("cp", f"{folder}/.", f"{name}:/")
        podman("start", name)
    for name, suite in suites.items():
        containers.wait(podman.argv("exec", name), lab.node(name), inits.of(suite))
    return Testbed.of_lab(lab.name, containers=set(suites))


def group(lab: str) -> str:
    """Return the name of the cgroup that a testbed's containers are in, in every hierarchy there is."""
    return f"netplay-podman-{lab}"


def groups(lab: str) -> list[Path]:
    """Return what there is of that cgroup, the innermost first."""
    found = [path for top in ("", "*/") for path in CGROUPS.glob(f"{top}{group(lab)}")]
    return [inner for path in found for inner in sorted((*path.glob("**/"), path), reverse=True)]


def remove(lab: str, directory: Path) -> bool:
    """Remove all containers, images and mounts of a testbed; return whether there was anything. Its lab stays."""
    podman = Podman.of(lab, directory)
    if not (podman.directory.exists() or podman.running.exists() or groups(lab)):
        return False
    if (podman.directory / "containers.conf").exists() and shutil.which("podman", path=programs.search_path()):
        podman("rm", "--all", "--force", "--time=0", check=False)
    try:
        for own in (podman.running, podman.directory):
            _remove_tree(own)
    finally:
        _remove_groups(lab)
    return True


def _remove_tree(own: Path) -> None:
    """Remove a directory and whatever is mounted below it. Raises UserError, naming what is left, when it stays.

    What podman started to clean up behind a container mounts its storage once more, and ends by itself.
    """
    end = time.monotonic() + _END_BOUND
    while own.exists():
        for mounted in reversed(network.mounts_below(own)):
            programs.run(["umount", "--lazy", str(mounted)], check=False)
        left = ", ".join(map(str, network.mounts_below(own)))
        if not left:  # never through a mount: what is in it may be needed elsewhere
            try:
                shutil.rmtree(own)
            except OSError as error:
                left = f"{error.filename} ({error.strerror})"
        if left and time.monotonic() > end:
            raise UserError(
                f"something keeps making files or mounts in {own}: {left} is left",
                fix=f"See what it is: grep {own} /proc/*/mountinfo /proc/*/cmdline",
                exit_code=HOST_UNUSABLE,
            )
        time.sleep(0.02)


def _remove_groups(lab: str) -> None:
    """Remove the containers' cgroup once the last process in it has ended. Raises UserError when one does not end."""
    end = time.monotonic() + _END_BOUND
    while found := groups(lab):
        for path in dict.fromkeys(found):
            with contextlib.suppress(OSError):  # busy for the moment
                path.rmdir()
        if time.monotonic() > end:
            raise UserError(f"processes in {found[-1]} do not end", exit_code=HOST_UNUSABLE)
        time.sleep(0.02)


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@user_errors
def main(arguments: list[str]) -> int:
    """Make the containers and write down how they are reached, or remove them."""
    if len(arguments) != 3:
        raise UserError("this is not a testbed", fix="python -m toolkit.testbed.podman LAB DIRECTORY NODES")
    if arguments[0] == "remove":
        sys.stdout.write("removed\n" if remove(arguments[1], Path(arguments[2])) else "nothing was there\n")
        return 0
    name, directory = arguments[0], Path(arguments[1])
    up(Lab.load(name), directory, json.loads(arguments[2])).save(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
