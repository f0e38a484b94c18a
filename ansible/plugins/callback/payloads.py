"""What Ansible builds of its modules for a host, kept between runs that name a folder for it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import importlib.util
import io
import marshal
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

from ansible.executor.module_common import _CachedModule
from ansible.release import __version__

from ansible import constants as C  # noqa: N812  # as all of Ansible calls it
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: payloads
type: notification
short_description: Keep what Ansible builds of its modules between runs
description:
  - For each module that it runs on a host Ansible puts together an archive of the module and all it needs, in every
    run anew, and the host compiles it anew each time. Both are most of what a run costs when the host is near.
  - The environment variable NETPLAY_RELAY_PAYLOADS names a folder, and the archives stay there, with what this Python
    compiled of them, which a host with the same Python takes. Without the variable nothing is done.
  - For a suite of tests, which runs the same playbooks dozens of times. The folder holds pickled data, and is to be
    writable for nobody else.
requirements: [enabled in callbacks_enabled]
"""

PLUGINS = Path(__file__).resolve().parents[1]


class CallbackModule(CallbackBase):
    """Shares the folder in which Ansible looks for an archive before it builds one; prints nothing."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "netplay.relay.payloads"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.folder: Path | None = None
        named = os.environ.get("NETPLAY_RELAY_PAYLOADS")
        own = Path(C.DEFAULT_LOCAL_TMP, "ansiballz_cache")  # as in _find_module_utils of ansible.executor.module_common
        if named and not own.exists():
            self.folder = Path(named, key())
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            own.symlink_to(self.folder)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Add the compiled code to what this run has built."""
        for path in self.folder.iterdir() if self.folder else ():
            if path.suffix not in {".lock", ".done"} and not path.name.endswith("-part"):
                compile_once(path)


def key() -> str:
    """Return a name for everything the archives depend on: both versions, and this collection's own plugins."""
    digest = hashlib.sha256(f"{__version__} {sys.version}".encode())
    for path in sorted(PLUGINS.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def compile_once(path: Path) -> None:
    """Put compiled code beside the sources of one archive, unless that was done."""
    done = path.with_name(f"{path.name}.done")
    if done.exists():
        return
    kept = _CachedModule.load(str(path))
    # Not at its place until it is whole: another run may be reading.
    fresh = path.with_name(f"{path.name}.{os.getpid()}-part")
    dataclasses.replace(kept, zip_data=base64.b64encode(compiled(base64.b64decode(kept.zip_data)))).dump(str(fresh))
    fresh.replace(path)
    done.touch()


def compiled(archive: bytes) -> bytes:
    """Return the archive with a .pyc beside each .py; a Python of another version takes the source, as before."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.infolist():
            source = old.read(item)
            new.writestr(item, source)
            if item.filename.endswith(".py"):
                # Flags 1: valid by a hash that is not compared. The archive's times are those of its making.
                head = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(source)
                code = compile(source, item.filename, "exec", dont_inherit=True)
                new.writestr(f"{item.filename}c", head + marshal.dumps(code))
    return out.getvalue()
