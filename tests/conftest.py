"""Where the owner's tools are not installed, as on a host that only builds the relay, their tests are left out.

The first line of a run says so. With CI set nothing is left out: what is missing is then an error.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib.util import find_spec
from typing import Any

import pytest

NEEDED = ("ansible", "installer", "invoke", "jinja2", "platformdirs", "rich", "tomlkit", "yaml")
# What takes longest of all.
FIRST = (
    *("test_scenarios.py", "test_gate_lab.py", "test_roles.py", "test_roles_runit.py", "test_xbps_build.py"),
    *("test_gate_legacy.py", "test_gate_firewalls.py", "test_collection.py", "test_deploy.py"),
)
# Files whose tests share nothing, and take long enough to be dealt out one by one.
APART = ("e2e/test_coreless.py", "integration/test_scenarios.py", "unit/gate/test_real_filters.py")
OF_THE_TOOLS = (
    *("e2e", "golden", "integration", "unit/roles", "unit/support", "unit/toolkit", "unit/xbps"),
    "property/test_players.py",
)

if find_spec("hypothesis"):
    from hypothesis import HealthCheck, settings

    # How long an example takes is the machine's business; `invoke bench` is where time is measured.
    settings.register_profile("netplay-relay", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("netplay-relay")
    settings.register_profile("fuzz", settings.get_profile("netplay-relay"), max_examples=20_000)
    # Enough to see whether a test runs at all.
    settings.register_profile("glance", settings.get_profile("netplay-relay"), max_examples=2)

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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out files, whose tests share a lab, and the tests of those apart."""
    from xdist.scheduler import LoadFileScheduling

    class FilesAndTests(LoadFileScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return nodeid if file.endswith(APART) else file

    return FilesAndTests(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes, so that no process is left with them when the others have finished."""
    slow = {item.path for item in items if item.get_closest_marker("lab") or item.get_closest_marker("retroarch")}
    order = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: (order.get(item.path.name, len(FIRST)), item.path not in slow))
