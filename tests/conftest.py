"""Where the owner's tools are not installed, as on a host that only builds the relay, their tests are left out.

The first line of a run says so. With CI set nothing is left out: what is missing is then an error.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib.util import find_spec

import pytest

NEEDED = ("ansible", "installer", "invoke", "jinja2", "platformdirs", "rich", "tomlkit", "yaml")
# What takes longest of all, each in one process.
FIRST = ("test_scenarios.py", "test_roles.py", "test_deploy.py", "test_roles_runit.py")
OF_THE_TOOLS = ("e2e", "golden", "integration", "unit/roles", "unit/support", "unit/toolkit", "unit/xbps")

if find_spec("hypothesis"):
    from hypothesis import HealthCheck, settings

    # How long an example takes is the machine's business; `invoke bench` is where time is measured.
    settings.register_profile("netplay-relay", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("netplay-relay")
    settings.register_profile("fuzz", settings.get_profile("netplay-relay"), max_examples=20_000)

missing = [] if os.environ.get("CI") else [name for name in NEEDED if find_spec(name) is None]
collect_ignore = list(OF_THE_TOOLS) if missing else []


PAYLOADS = "NETPLAY_RELAY_PAYLOADS"


def pytest_configure(config: pytest.Config) -> None:
    """Let every run of Ansible in this session take what an earlier one built: ansible/plugins/callback/payloads.py."""
    if PAYLOADS not in os.environ:  # the processes of xdist inherit it
        os.environ[PAYLOADS] = tempfile.mkdtemp(prefix="netplay-payloads-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(PAYLOADS)))


def pytest_report_header() -> str:
    """Say what is left out, and for want of what."""
    return f"left out: {', '.join(collect_ignore)}; not installed: {', '.join(missing)}" if missing else ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes, so that no process is left with them when the others have finished."""
    slow = {item.path for item in items if item.get_closest_marker("lab") or item.get_closest_marker("retroarch")}
    order = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: (order.get(item.path.name, len(FIRST)), item.path not in slow))
