"""Root file systems of lab hosts: built once by mmdebstrap from this machine's own Debian mirror, then shared.

A lab host never writes into one: it is the lower layer of the host's own.

What a host has of packet filters is nftables and iptables, and a small apt repository of what it may have instead or
beside them. A test, or a scenario's prepare.yml, makes the host it needs as anybody would, without a way out:

    ufw        apt-get install ufw; ufw allow 22/tcp; ufw --force enable
    firewalld  apt-get install firewalld (it runs when apt-get is done; its zone public lets ssh through)
    iptables   apt-get purge nftables; for the old kind: update-alternatives --set iptables /usr/sbin/iptables-legacy
               (and ip6tables likewise); for sets: apt-get install ipset

apt-get with --yes and --no-install-recommends, or the module ansible.builtin.apt with install_recommends false.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.lab import inits, openrclike, sources, state, voidlike
from toolkit.lab.programs import require, run

if TYPE_CHECKING:
    from collections.abc import Callable

CACHE: Final = Path("/var/cache/netplay-relay/rootfs")
_REPOSITORY: Final = "/srv/lab-packages"
# Whatever ends this process, kill -9 included, ends the program and everything it started, and its mounts with it.
NO_ORPHANS: Final = (
    *("setpriv", "--pdeathsig", "KILL", "--"),
    *("unshare", "--mount", "--propagation", "private", "--pid", "--mount-proc", "--fork", "--kill-child", "--"),
)
# Packages that only some releases have; they are installed on demand as `Recipe.addable`.
ADDABLE: Final[dict[str, tuple[str, ...]]] = {"trixie": ("sudo-rs",)}
_BUILD_BOUND: Final = 900.0  # seconds; half a minute with a mirror nearby


@dataclass(frozen=True)
class Recipe:
    """What a root file system is made of. Its hash names the result: whoever changes it gets a new one built."""

    suite: str
    packages: tuple[str, ...] = (
        *("systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "procps"),
        *("python3", "python3-apt", "nftables", "iptables", "iproute2", "iputils-ping"),
    )
    # Packages that a lab host can remove and install again without a way out: a small repository is in it.
    offered: tuple[str, ...] = ("nftables", "libnftables1", "libjansson4", "iptables", "sudo", "python3-apt")
    # Packages that it does not have, and can install from there with all they need.
    addable: tuple[str, ...] = ("ufw", "firewalld", "ipset")
    left_out: tuple[str, ...] = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*")
    # Timers that would only cost the lab's hosts time: there is no mirror to ask and no disk to look after.
    disabled: tuple[str, ...] = ("apt-daily", "apt-daily-upgrade", "e2scrub_all", "fstrim")
    revision: int = 2  # counted up when _finish does something else than before

    def name(self) -> str:
        """Return the directory name of the result."""
        digest = hashlib.sha256(repr(sorted(asdict(self).items())).encode()).hexdigest()
        return f"{self.suite}-{digest[:16]}"

    def path(self, cache: Path = CACHE) -> Path:
        """Return where the result is, or will be."""
        return cache / self.name()


@dataclass(frozen=True)
class Voidlike(Recipe):
    """The stand-in for Void: a Debian release without systemd, and what is written into it."""

    packages: tuple[str, ...] = voidlike.PACKAGES
    offered: tuple[str, ...] = ("nftables",)
    addable: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    layout: str = voidlike.LAYOUT

    def name(self) -> str:
        """Return the directory name of the result."""
        return f"{inits.VOIDLIKE}-{super().name()}"


@dataclass(frozen=True)
class Openrclike(Recipe):
    """The stand-in for hosts with OpenRC: a Debian release without systemd, and what is written into it."""

    packages: tuple[str, ...] = openrclike.PACKAGES
    offered: tuple[str, ...] = ("nftables",)
    addable: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    layout: str = openrclike.LAYOUT

    def name(self) -> str:
        """Return the directory name of the result."""
        return f"{inits.OPENRCLIKE}-{super().name()}"


def recipe_of(rootfs: str) -> Recipe:
    """Return the recipe of a root file system; UserError when there is none of that name."""
    if rootfs == inits.VOIDLIKE:
        return Voidlike(sources.SUITES[0])
    if rootfs == inits.OPENRCLIKE:
        return Openrclike(sources.SUITES[0])
    if rootfs not in sources.SUITES:
        known = ", ".join((*sources.SUITES, inits.VOIDLIKE, inits.OPENRCLIKE))
        raise UserError(f"there is no root file system {rootfs!r}", fix=f"Choose one of: {known}.")
    return Recipe(rootfs, addable=(*Recipe.addable, *ADDABLE.get(rootfs, ())))


def ensure(
    suite: str,
    progress: Callable[[str], None],
    cache: Path = CACHE,
    build: Callable[[Recipe, Path], None] | None = None,
) -> Path:
    """Return the root file system of a suite, building it first when it is not in the cache.

    Two at once do one build: the second waits. A build that is broken off leaves nothing that looks whole.
    """
    recipe = recipe_of(suite)
    said = f"building the root file system of {suite} (once; about half a minute)"
    return once(recipe.path(cache), lambda root: (build or _mmdebstrap)(recipe, root), progress, said)


def once(finished: Path, build: Callable[[Path], None], progress: Callable[[str], None], said: str) -> Path:
    """Return `finished`, first built by `build` when it is missing, in a directory beside it that becomes it.

    `said` goes to `progress` when a build begins. Two processes at once do one build: the second waits.
    """
    if finished.is_dir():
        return finished
    cache = finished.parent
    with state.locked(cache, lambda: progress("waiting for another build of a root file system")):
        cache.chmod(0o700)  # old set-user-id programs lie in it: nobody else needs to reach them
        if not finished.is_dir():
            for leftover in cache.glob("building-*"):
                shutil.rmtree(leftover)
            progress(said)
            with tempfile.TemporaryDirectory(prefix="building-", dir=cache) as scratch:
                root = Path(scratch) / "root"
                build(root)
                root.rename(finished)
    return finished


def _mmdebstrap(recipe: Recipe, root: Path) -> None:
    """Build the file system into `root`, which does not exist yet."""
    require(["mmdebstrap"])
    mirrors = sources.find()
    listed = root.with_name("debian.sources")
    listed.write_text(sources.for_suite(recipe.suite, mirrors))
    hook = ["sh", str(Path(__file__).with_name("offline-packages.sh"))]
    # mmdebstrap hands a hook to a shell, with the new root as its first argument: everything else is quoted here.
    offer = f'{shlex.join(hook)} "$1" {shlex.join([_REPOSITORY, *recipe.offered, "--", *recipe.addable])}'
    run(
        [
            *NO_ORPHANS,
            *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory"),
            f"--include={','.join(recipe.packages)}",
            *(f"--aptopt={option}" for option in sources.apt_options()),
            *(f"--dpkgopt=path-exclude={path}" for path in recipe.left_out),
            f"--customize-hook={offer}",
            *(recipe.suite, str(root), str(listed)),
        ],
        timeout=_BUILD_BOUND,
    )
    _finish(recipe, root)
    if isinstance(recipe, Voidlike):
        voidlike.finish(root)
    if isinstance(recipe, Openrclike):
        openrclike.finish(root)
    _prove_clean(root, mirrors)


def _finish(recipe: Recipe, root: Path) -> None:
    """Take out what belongs to this machine or to one host alone; have apt know the repository inside."""
    for pattern in (
        *("etc/apt/sources.list", "etc/apt/sources.list.d/*", "etc/apt/auth.conf.d/*"),
        "etc/apt/apt.conf.d/99mmdebstrap",
        *("etc/ssh/ssh_host_*", "etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/machine-id"),
        *("var/lib/dbus/machine-id", "var/log/*.log", "var/log/apt/*"),
        *(f"etc/systemd/system/timers.target.wants/{timer}.timer" for timer in recipe.disabled),
    ):
        for path in root.glob(pattern):
            path.unlink()
    root.chmod(0o755)
    (root / "etc/apt/sources.list.d/lab.list").write_text(f"deb [trusted=yes] file:{_REPOSITORY} ./\n")
    # It has no translations of descriptions: apt is not to look for them.
    (root / "etc/apt/apt.conf.d/90lab").write_text('Acquire::Languages "none";\n')
    run([*NO_ORPHANS, "chroot", str(root), "apt-get", "--quiet", "update"])


def _prove_clean(root: Path, mirrors: list[sources.Mirror]) -> None:
    """Raise UserError when the mirror's address is still written somewhere in the file system's settings."""
    names = [mirror.uri.rstrip("/").encode() for mirror in mirrors]
    for directory in ("etc", "var/lib/apt", "var/cache/apt", "var/log"):
        for path in (root / directory).rglob("*"):
            if path.is_file() and not path.is_symlink() and any(name in path.read_bytes() for name in names):
                raise UserError(
                    f"the new root file system still names this machine's mirror, in /{path.relative_to(root)}",
                    fix="Please report this with your Debian release: a lab host must not depend on a mirror.",
                    exit_code=HOST_UNUSABLE,
                )
