"""Where the owner's tools are not installed, as on a host that only builds the relay, their tests are left out.

The first line of a run says so. With CI set what is missing is an error.
"""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support import dealing
from tests.support.waiting import PATIENCE

NEEDED = ("ansible", "installer", "invoke", "jinja2", "platformdirs", "rich", "tomlkit", "yaml")
OF_THE_TOOLS = (
    *("e2e", "golden", "integration", "unit/roles", "unit/support", "unit/toolkit", "unit/xbps"),
    "property/test_players.py",
)

# What a test ran elsewhere, and how that ended: a property of its report, shown in the summary.
RAN = "ran"
DESCRIPTORS = 16384
PAYLOADS = "NETPLAY_RELAY_PAYLOADS"
RELEASES = "NETPLAY_TEST_RELEASES"

if find_spec("hypothesis"):
    from hypothesis import HealthCheck, settings

    # The same examples in each run: a red run is red again. `--hypothesis-profile=fuzz` searches among others. How long
    # an example takes is the machine's business; `invoke bench` is where time is measured.
    settings.register_profile(
        "netplay-relay", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
    )
    settings.load_profile("netplay-relay")
    settings.register_profile("fuzz", settings.get_profile("netplay-relay"), max_examples=20_000, derandomize=False)
    # Enough to see whether a test runs at all.
    settings.register_profile("glance", settings.get_profile("netplay-relay"), max_examples=2)

missing = [] if os.environ.get("CI") else [name for name in NEEDED if find_spec(name) is None]
collect_ignore = list(OF_THE_TOOLS) if missing else []


def pytest_configure(config: pytest.Config) -> None:
    """Share between the processes of this run what Ansible builds for hosts, and notes on releases of RetroArch.

    For the first see ansible/plugins/callback/payloads.py, for the second tests/support/retroarch_releases.py.
    """
    # An account has 1,024 descriptors until it asks for more; some tests open hundreds of sockets in this process.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, DESCRIPTORS)), hard))
    for name, prefix in ((PAYLOADS, "netplay-payloads-"), (RELEASES, "netplay-releases-")):
        if name not in os.environ:  # the processes of xdist inherit it
            os.environ[name] = tempfile.mkdtemp(prefix=prefix)
            # An Ansible that outlived its test may still write there.
            config.add_cleanup(partial(_forget, name))


def _forget(name: str) -> None:
    shutil.rmtree(os.environ.pop(name), ignore_errors=True)


@pytest.fixture(autouse=True)
def _no_lab_of_the_person(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the labs of this machine from tests that make none: tasks find the one that the person's deployment made."""
    if not missing and not any(request.node.get_closest_marker(name) for name in ("lab", "retroarch")):
        from toolkit.lab import state

        monkeypatch.setattr(state, "RUN", Path("/run/no-labs"))


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is left out, and for want of what; and which releases of RetroArch there are.

    With CI set those that are missing are made now, if the run has tests for them.
    """
    if missing:
        return [f"left out: {', '.join(collect_ignore)}; not installed: {', '.join(missing)}"]
    from tests.support import retroarch_releases

    if os.environ.get("CI") and os.geteuid() == 0 and _has_end_to_end_tests(config):
        retroarch_releases.ensure_all()
    return [retroarch_releases.report()]


def _has_end_to_end_tests(config: pytest.Config) -> bool:
    e2e = Path(__file__).parent / "e2e"
    paths = [(config.invocation_params.dir / arg.partition("::")[0]).resolve() for arg in config.args]
    selected = "not retroarch" not in config.option.markexpr
    return selected and any(path in (e2e, *e2e.parents) or e2e in path.parents for path in paths)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which releases of RetroArch this run had, and on which machines and Pythons tests ran tests."""
    passed = terminalreporter.stats.get("passed", [])
    for line in sorted(str(value) for report in passed for name, value in report.user_properties if name == RAN):
        terminalreporter.write_line(line)
    if not missing and RELEASES in os.environ and any(Path(os.environ[RELEASES]).iterdir()):
        from tests.support import retroarch_releases

        terminalreporter.write_line(retroarch_releases.report())
        if os.environ.get("CI") and (lacking := retroarch_releases.lacking()):
            terminalreporter.write_line(lacking, red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run of CI that has not shown what players have; the process says so to which those of xdist report."""
    if not missing and os.environ.get("CI") and not hasattr(session.config, "workerinput"):
        from tests.support import retroarch_releases

        if retroarch_releases.lacking() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out files, whose tests share a lab, and the tests of those apart."""
    from xdist.scheduler import LoadFileScheduling

    class FilesAndTests(LoadFileScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            return dealing.scope(nodeid)

    return FilesAndTests(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put them into the order to begin them in, and let a busy machine take longer over each."""
    for item in items:
        if (mark := item.get_closest_marker("timeout")) and mark.args:
            item.add_marker(pytest.mark.timeout(mark.args[0] * PATIENCE, *mark.args[1:], **mark.kwargs), append=False)
    marked = [(item.nodeid, frozenset(mark.name for mark in item.iter_markers())) for item in items]
    items[:] = [items[place] for place in dealing.ordered(marked)]
