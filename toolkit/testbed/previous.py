"""The release before this one, for the scenario that upgrades from it.

    python -m toolkit.testbed.previous DIRECTORY    builds it there, and prints where it is and what its id is

NETPLAY_TESTBED_PREVIOUS names a checkout of another version to build it from. Without it, as long as no version has
been released, it is this checkout's relay with another number: another release in every way but what it does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Final

from toolkit.console import ROOT
from toolkit.deploy import zipapp
from toolkit.errors import UserError, user_errors

CHECKOUT: Final = "NETPLAY_TESTBED_PREVIOUS"
NUMBER: Final = "0.0.1"


def build(directory: Path) -> zipapp.Release:
    """Build it below a directory. Raises UserError when the checkout that was named has no relay."""
    own = directory / "previous"
    own.mkdir(parents=True, exist_ok=True)
    if named := os.environ.get(CHECKOUT):
        return zipapp.build(own, Path(named))
    shutil.copytree(ROOT / "relay", own / "relay", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    module = own / "relay" / "__init__.py"
    text, count = re.subn(r'(__version__ = )"[^"]+"', rf'\1"{NUMBER}"', module.read_text(encoding="utf-8"))
    if count != 1:
        raise UserError(f"{module} does not name one version", fix="Write there: __version__ = ...")
    module.write_text(text, encoding="utf-8")
    return zipapp.build(own, own)


@user_errors
def main(arguments: list[str]) -> int:
    """Build it."""
    if len(arguments) != 1:
        raise UserError("no directory was named", fix="python -m toolkit.testbed.previous DIRECTORY")
    release = build(Path(arguments[0]))
    sys.stdout.write(json.dumps({"path": str(release.path), "id": release.id}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
