"""Rules about runit services in files/, and about the update file."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Final

from toolkit.xbps.lint.parse import XBPS_SRC, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toolkit.xbps.lint.parse import Package

SHELL_SECONDS: Final = 10.0
UPDATE_KEYS: Final = ("site", "pkgname", "pattern", "ignore", "version", "single_directory", "vdprefix", "vdsuffix")


def services(package: Package) -> Iterator[Finding]:
    """Hold that every service of files/ is installed, and every installed one is there."""
    here = {path.parent.name for path in package.folder.glob("files/*/run")}
    called = {
        _named(package, function, words[1]): line for line, function, words in package.calls("vsv") if len(words) > 1
    }
    for name, line in called.items():
        if not (package.folder / "files" / name).is_dir() and "$" not in name:
            yield package.finding(
                line, "vsv", f"files/{name}/run is missing", "Write it, or remove the call.", XBPS_SRC
            )
    for name in sorted(here - called.keys()):
        yield Finding(package.folder / "files" / name, 0, "vsv", "the service is not installed", f"Add: vsv {name}")


def _named(package: Package, function: str, word: str) -> str:
    """Return the service that a word names; in a subpackage's function, pkgname is the subpackage."""
    text = word.strip("\"'")
    if function.endswith("_package"):
        text = re.sub(r"\$\{pkgname\}|\$pkgname\b", function.removesuffix("_package"), text)
    return package.expanded(text)


def contents(package: Package) -> Iterator[Finding]:
    """Hold that nothing is shipped that vsv makes or that is the admin's, and that a service can be checked."""
    for run in sorted(package.folder.glob("files/*/run")):
        for name, reason in (
            ("log", "vsv makes it"),
            ("supervise", "vsv makes it"),
            ("conf", "it is the administrator's"),
        ):
            path = run.with_name(name)
            if path.exists() or path.is_symlink():
                yield Finding(path, 0, "service-files", f"{name} is shipped: {reason}", "Remove it.")
        if not run.with_name("check").exists():
            yield Finding(run, 0, "service-check", "sv check cannot say when it is ready", "Add a check beside run.")


def scripts(package: Package) -> Iterator[Finding]:
    """Hold that run scripts begin, log, confine and end as the others do."""
    for run in sorted(package.folder.glob("files/*/run")):
        lines = run.read_text(encoding="utf-8", errors="replace").splitlines()
        if not lines or lines[0] != "#!/bin/sh":
            yield Finding(run, 1, "run", "it is not a program of /bin/sh", "First line: #!/bin/sh")
        if not any(re.match(r"exec 2>&1\s*$", line) for line in lines):
            yield Finding(run, 2, "run", "errors do not reach the log", "Second line: exec 2>&1")
        if not any(re.match(r"\[ -r (\./)?conf \] && \. \./conf\s*$", line) for line in lines):
            yield Finding(run, 3, "run", "conf is not read", "Add: [ -r ./conf ] && . ./conf")
        if not any(re.match(r"\s*exec (?!2>&1\s*$)", line) for line in lines):
            yield Finding(run, len(lines), "run", "runit would supervise the shell", "Start the program by exec.")
        for number, line in enumerate(lines, start=1):
            if re.search(r"(?:\|\||&&|\bthen\b).*\bexit 0\b", line):
                yield Finding(run, number, "run", "exit 0 makes it start again every second", "exit 1, or pause.")
            if "chpst" in line and " -u" in line and "no-new-privs" not in "\n".join(lines):
                yield Finding(
                    run, number, "confinement", "chpst -u lets rights come back", "setpriv --no-new-privs --reuid ..."
                )
            if re.match(r"\s*mkdir .*/run/", line):
                yield Finding(run, number, "run", "mkdir does not set the owner", "install -d -o USER /run/NAME")
    for path in _programs(package):
        yield from _syntax(path)


def update(package: Package) -> Iterator[Finding]:
    """Hold that the update file says where versions are found, or why they are not."""
    path = package.folder / "update"
    if not path.is_file():
        yield Finding(path, 0, "update", "there is no update file", 'Write one: site=, pattern= or disabled="reason"')
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        key, equals, value = line.partition("=")
        if not line.strip() or line.startswith("#"):
            continue
        if not equals or key not in (*UPDATE_KEYS, "disabled"):
            yield Finding(path, number, "update", f"{key} means nothing here", f"Known: {', '.join(UPDATE_KEYS)}.")
        elif not value.strip("\"'"):
            yield Finding(path, number, "update", f"{key} is empty", f"Say what {key} is, or remove the line.")
    if not re.search(r"^(?:site|pkgname|pattern|ignore|version|vd\w+|single_directory|disabled)=", text, re.MULTILINE):
        yield Finding(path, 0, "update", "it says nothing", 'site=, pattern= or disabled="reason"')


def _programs(package: Package) -> list[Path]:
    return [path for name in ("run", "finish", "check") for path in sorted(package.folder.glob(f"files/*/{name}"))]


def _syntax(path: Path) -> Iterator[Finding]:
    done = subprocess.run(
        ["sh", "-n", str(path)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=SHELL_SECONDS,
    )
    for said in done.stderr.splitlines():
        if found := re.search(r":\s*(?:line )?(\d+):\s*(.*)", said):
            yield Finding(path, int(found[1]), "syntax", found[2], f"sh -n {path.name} says the same.")
