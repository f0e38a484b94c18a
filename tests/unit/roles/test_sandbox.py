"""What is tried of a unit before it is installed, and what is left out where a kernel gives less."""

from __future__ import annotations

import re

import pytest

from tests.support.templates import ROOT, plugin

SANDBOX = plugin("module_utils/netplay_sandbox.py")
UNITS = ("netplay-relay", "netplay-relay-firewall")
# What a transient unit may be given (systemd.exec(5), systemd.resource-control(5)).
KINDS = re.compile(
    r"(Private|ProcSubset|Protect|Restrict|SystemCall|Capability|Ambient|NoNew|Lock|Memory|Keyring|Remove|Device|IPAddress|UMask"
    r"|Tasks|Limit|StandardInput)"
)


def text(name: str) -> str:
    return (ROOT / "templates" / "systemd" / f"{name}.service.j2").read_text()


@pytest.mark.parametrize("name", UNITS)
def test_of_a_unit_the_whole_sandbox_is_tried_and_nothing_else(name: str) -> None:
    """A setting that is new has to be one of these, or be named in NOT_TRIED."""
    found = SANDBOX.directives(text(name))
    assert [key for key, _ in found if not KINDS.match(key)] == []
    assert {"ProtectSystem", "SystemCallFilter", "NoNewPrivileges"} <= {key for key, _ in found}
    assert [value for _, value in found if "{" in value] == []


@pytest.mark.parametrize(
    "lacking",
    [(), ("user",), ("net",), ("user", "uts"), ("user", "net", "ipc", "uts", "proc")],
    ids=lambda kinds: "+".join(kinds) or "nothing",
)
def test_no_more_is_left_out_than_the_kernel_lacks(lacking: tuple[str, ...]) -> None:
    refused = {key for kind in lacking for key in SANDBOX.SPARABLE[kind]}

    def attempt(found: list[tuple[str, str]]) -> object:
        return SANDBOX.Attempt(226 if refused & {key for key, _ in found} else 0)

    verdict = SANDBOX.judge(SANDBOX.directives(text("netplay-relay")), attempt)
    assert (verdict.without, verdict.failed) == (list(lacking), None)


def test_what_cannot_be_done_without_is_a_failure_with_its_reason() -> None:
    def attempt(found: list[tuple[str, str]]) -> object:
        refused = any(key == "ProtectSystem" for key, _ in found)
        return SANDBOX.Attempt(226, "x\nFailed at step NAMESPACE spawning y: Permission denied\n") if refused else None

    verdict = SANDBOX.judge(SANDBOX.directives(text("netplay-relay")), attempt)
    assert SANDBOX.words(verdict.failed) == "Failed at step NAMESPACE spawning y: Permission denied"


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (226, "Failed to start x.", "status 226/NAMESPACE"),
        (-1, "no systemd-run\n", "no systemd-run"),
        (1, "", "status 1"),
    ],
)
def test_an_attempt_that_failed_is_told_in_a_few_words(status: int, said: str, words: str) -> None:
    assert SANDBOX.words(SANDBOX.Attempt(status, said)) == words
