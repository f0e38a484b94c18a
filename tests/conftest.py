"""Where the owner's tools are not installed, as on a host that only builds the relay, their tests are left out.

The first line of a run says so. With CI set what is missing is an error; what is left out there for want of time is
named in the summary.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from importlib.util import find_spec
from typing import Any

import pytest

from tests.support import dealing

NEEDED = ("ansible", "installer", "invoke", "jinja2", "platformdirs", "rich", "tomlkit", "yaml")
OF_THE_TOOLS = (
    *("e2e", "golden", "integration", "unit/roles", "unit/support", "unit/toolkit", "unit/xbps"),
    "property/test_players.py",
)

PAYLOADS = "NETPLAY_RELAY_PAYLOADS"
# Seconds since 1970; .ci/run sets it.
WIDE_UNTIL = "NETPLAY_TEST_WIDE_UNTIL"

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


def pytest_configure(config: pytest.Config) -> None:
    """Let every run of Ansible in this session take what an earlier one built: ansible/plugins/callback/payloads.py."""
    if PAYLOADS not in os.environ:  # the processes of xdist inherit it
        os.environ[PAYLOADS] = tempfile.mkdtemp(prefix="netplay-payloads-")
        # An Ansible that outlived its test may still write there.
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(PAYLOADS), ignore_errors=True))


@pytest.fixture(autouse=True)
def _no_lab_of_the_person(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Hide the labs of this machine from tests that make none: tasks find the one that the person's deployment made."""
    if not missing and not any(request.node.get_closest_marker(name) for name in ("lab", "retroarch")):
        from toolkit.lab import state

        monkeypatch.setattr(state, "RUN", tmp_path_factory.getbasetemp() / "no labs")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out further kinds of hosts in a run that has to end in time and is late; the summary says which."""
    if item.get_closest_marker("wide") and time.time() > float(os.environ.get(WIDE_UNTIL, "inf")):
        pytest.skip(f"late on this machine ({WIDE_UNTIL}); ./bootstrap test runs it whatever time it takes")


def pytest_report_header() -> str:
    """Say what is left out, and for want of what."""
    return f"left out: {', '.join(collect_ignore)}; not installed: {', '.join(missing)}" if missing else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out files, whose tests share a lab, and the tests of those apart."""
    from xdist.scheduler import LoadFileScheduling

    class FilesAndTests(LoadFileScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            return dealing.scope(nodeid)

    return FilesAndTests(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put them into the order to begin them in."""
    marked = [(item.nodeid, frozenset(mark.name for mark in item.iter_markers())) for item in items]
    items[:] = [items[place] for place in dealing.ordered(marked)]
