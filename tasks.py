"""What one can do here: `invoke --list`. Each task's work is in toolkit/, tested and importable; this only composes."""

from __future__ import annotations

from invoke.collection import Collection

from toolkit.tasks import lab
from toolkit.tasks.deploy import deploy

ns = Collection(deploy, lab=lab.ns)
