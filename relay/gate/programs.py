"""Running the host's programs: by argument list, with a bound, in one language, never through a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

# Where administrators' programs are; the PATH of a service or of a login by ssh may lack some of it.
PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SECONDS = 30.0


class ProgramError(Exception):
    """A program failed: argv, code (None: it took too long or could not be started), output (what it said)."""

    def __init__(self, argv: Sequence[str], code: int | None, output: str) -> None:
        said = output.strip() or ("it took too long" if code is None else f"it ended with {code}")
        super().__init__(f"{argv[0]}: {said}")
        self.argv = tuple(argv)
        self.code = code
        self.output = output.strip()


class Programs:
    """The programs of this host."""

    def __init__(self, places: str = "") -> None:
        """Look for programs in places, a PATH; by itself where every distribution has them."""
        self._places = places or PLACES

    def find(self, name: str) -> str | None:
        """Return the path of a program, None when the host does not have it."""
        return shutil.which(name, path=self._places)

    def run(self, argv: Sequence[str], text: str = "", seconds: float = SECONDS) -> str:
        """Run a program, give it text, and return what it printed. Raises ProgramError."""
        environ = {**os.environ, "PATH": self._places, "LC_ALL": "C"}
        path = self.find(argv[0])
        if path is None:
            raise ProgramError(argv, None, "this host does not have it")
        try:
            # Rules of others hold what others have typed, in whatever encoding they had.
            done = subprocess.run(
                [path, *argv[1:]], input=text, capture_output=True, encoding="utf-8", errors="replace",
                timeout=seconds, env=environ, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ProgramError(argv, None, error.strerror or "" if isinstance(error, OSError) else "") from error
        if done.returncode != 0:
            raise ProgramError(argv, done.returncode, done.stderr or done.stdout)
        return done.stdout

    def answer(self, argv: Sequence[str]) -> str:
        """Run a program and return what it printed, "" when it is missing or fails."""
        try:
            return self.run(argv)
        except ProgramError:
            return ""
