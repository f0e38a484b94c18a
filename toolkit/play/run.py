"""Runs RetroArch for a plan, or prints its command; says in a sentence what RetroArch only notes in its log."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from toolkit.console import block, say, step
from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.play import info, printed
from toolkit.play.log import LANGUAGE, Follower

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from toolkit.join.rooms import Room
    from toolkit.play.found import Installation
    from toolkit.play.launch import Plan

VERSION = re.compile(r"RetroArch\b.*?\bv?(\d+)\.(\d+)\.(\d+)", re.DOTALL)
VERSION_WITHIN = 30.0
LOOK_EVERY = 0.1
ENDS_WITHIN = 10.0
# The oldest that can host by a relay and name a room by its id; the oldest that can play by a relay at all.
HOSTS_FROM, PLAYS_FROM = (1, 10, 0), (1, 7, 1)


def version(installation: Installation) -> tuple[int, int, int]:
    """Ask a RetroArch for its version. Raises UserError when it is none, or does not run."""
    argv = [*installation.argv, "--version"]
    try:
        done = subprocess.run(
            argv, capture_output=True, encoding="utf-8", errors="replace", timeout=VERSION_WITHIN, check=False
        )
    except OSError as error:
        raise UserError(
            f"{installation.argv[0]} cannot be run: {error.strerror}",
            fix=f"Is it a program of this machine? ls -l {shlex.quote(installation.argv[0])}",
        ) from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{argv[0]} --version said nothing for {VERSION_WITHIN:g} s", fix=shlex.join(argv)) from None
    found = VERSION.search(done.stdout + done.stderr)
    if not found:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise UserError(
            f"{installation.argv[0]} is no RetroArch, or does not run (it said: {said[0] if said else 'nothing'})",
            fix=f"Look by hand: {shlex.join(argv)}",
        )
    return int(found[1]), int(found[2]), int(found[3])


def refuse_old(found: tuple[int, int, int], room: Room, *, hosting: bool) -> None:
    """Raise UserError when a RetroArch is too old for its part in a room."""
    by_id = room.id is not None and not room.alone
    needed = HOSTS_FROM if hosting or by_id else PLAYS_FROM
    if found < needed:
        shown, wanted = (".".join(map(str, each)) for each in (found, needed))
        what = "hosts by a relay" if hosting else "finds a room by its id" if by_id else "plays by a relay"
        raise UserError(f"this RetroArch is {shown}, and only {wanted} or newer {what}", fix="Bring it up to date.")


def show(plan: Plan, installation: Installation) -> None:
    """Print the command, and keep the files that it names. Raises UserError.

    They are in a folder named by what is in it: a command that was printed before goes on meaning what it meant, until
    many others were.
    """
    place = _place(installation)
    meant = "\0".join([*plan.argv(place), plan.config(place)])
    folder = place / f"printed-{hashlib.sha256(meant.encode()).hexdigest()[:12]}"
    _write(plan, folder)
    printed.tidy(place, folder)
    block("netplay.cfg, read after your own settings", plan.config(folder).splitlines())
    say()
    say(shlex.join(plan.argv(folder)))


def run(plan: Plan, installation: Installation, *, own_log: bool) -> int:
    """Run RetroArch until it ends; return 0 when all went well, 1 when netplay did not happen, else its exit code.

    own_log: RetroArch's own log goes to the terminal, instead of a sentence for what matters in it; else it is in
    English for this run, and its menus are.
    """
    plan = plan if own_log else replace(plan, values=plan.values | LANGUAGE)
    with _signals(), _folder(installation) as folder:
        _write(plan, folder)
        log = None if own_log else folder / "retroarch.log"
        step("play", shlex.join(plan.argv(folder)))
        try:
            process = subprocess.Popen(plan.argv(folder, log))
        except OSError as error:
            raise UserError(
                f"{plan.program[0]} cannot be run: {error.strerror}", fix="Try it by hand.", exit_code=HOST_UNUSABLE
            ) from None
        return _wait(process, Follower(log) if log else None)


def _wait(process: subprocess.Popen[bytes], follower: Follower | None) -> int:
    """Wait for RetroArch to end, telling the while what its log says; Ctrl-C reaches it by itself."""
    try:
        while process.poll() is None:
            _tell(follower)
            time.sleep(LOOK_EVERY)
    except KeyboardInterrupt:
        _end(process)
    except BaseException:
        process.terminate()
        _end(process)
        raise
    _tell(follower)
    if process.returncode:
        step("play", f"RetroArch ended with {process.returncode}")
        for line in follower.last() if follower else ():
            say(f"  {line}")
        return process.returncode if process.returncode > 0 else 128 - process.returncode
    return 1 if follower and follower.failed else 0


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tell(follower: Follower | None) -> None:
    for sentence in follower.new() if follower else ():
        step("play", sentence)


def _write(plan: Plan, folder: Path) -> None:
    """Write the files of a plan into a folder of ours; what holds a password is the player's alone."""
    try:
        text = plan.config(folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if plan.cured:
            _describe(plan, folder / "info")
        path = folder / "netplay.cfg"
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UserError(
            f"{error.filename or folder} cannot be written: {error.strerror}",
            fix="Set XDG_CACHE_HOME to another folder.",
        ) from None


def _describe(plan: Plan, folder: Path) -> None:
    """Fill a folder with the description of the core alone, which says that its savestates are good enough."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    core = plan.core
    text = core.info_file.read_text(encoding="utf-8", errors="replace") if core.info.present else ""
    (folder / f"{core.name}{info.SUFFIX}.info").write_text(info.deterministic(text), encoding="utf-8")


def _place(installation: Installation) -> Path:
    base = installation.scratch or platformdirs.user_cache_path("netplay-relay")
    return base / "play"


@contextmanager
def _signals() -> Iterator[None]:
    """Have a closed terminal and a polite kill end RetroArch, and what was made for it, as Ctrl-C does."""

    def stop(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _folder(installation: Installation) -> Iterator[Path]:
    """Make a folder for one run, gone with it."""
    place = _place(installation)
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=place))
    except OSError as error:
        raise UserError(
            f"{place} cannot be written: {error.strerror}", fix="Set XDG_CACHE_HOME to another folder."
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
