"""The task that locks what the project depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.tasks import task

from toolkit.errors import user_errors

if TYPE_CHECKING:
    from invoke.context import Context


@task(
    auto_shortflags=False,
    help={"upgrade": "take the newest version of every package; without it, only what pyproject.toml demands changes"},
)
@user_errors
def lock(_: Context, upgrade: bool = False) -> None:
    """Write the exact versions that bootstrap installs to requirements/."""
    from toolkit.console import short, step
    from toolkit.dev import lock as locks

    changed = locks.write(upgrade=upgrade)
    for file in changed:
        step("lock", f"wrote {short(file)}")
    if not changed:
        step("lock", "nothing changed")
