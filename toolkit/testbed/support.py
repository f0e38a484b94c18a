"""The support matrix, docs/support.md, made of the scenarios so that it cannot promise more than they show."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

import yaml

from toolkit.console import ROOT, say
from toolkit.errors import UserError, user_errors
from toolkit.testbed import scenarios

FILE: Final = ROOT / "docs" / "support.md"
EXPECTED: Final = scenarios.SCENARIOS / "shared" / "expected.yml"
PROVEN, STOOD_IN, UNRUN = "proven", "stood in for", "expected"
# What a relay of a scenario is, by its root file system; a stand-in is named as one.
KINDS: Final = {
    "bookworm": ("Debian 12", "systemd", PROVEN),
    "trixie": ("Debian 13", "systemd", PROVEN),
    "voidlike": ("Void Linux", "runit", STOOD_IN),
    "openrclike": ("Alpine, Gentoo", "OpenRC", STOOD_IN),
}
HEAD: Final = """\
# What the relay can be put on

Generated from the scenarios in `ansible/molecule` by `python -m toolkit.testbed.support`. A test fails when it is out
of date.

- **proven**: the scenarios deploy to one, on the real distribution's own programs and init, and friends and strangers
  try to get in; testbeds.md says which of them run with every test.
- **stood in for**: the same, on a similar host: `voidlike` is Debian's programs under Void's init
  with Void's layout (docs/lab.md), `openrclike` the same under OpenRC. Untested on the real one.
- **expected**: not tested; the last column says why it should work.

`upgrade` starts from the previous release. Until there is one, it starts from this release with another number, so the
scenario proves an upgrade during a game, but not one between two different releases. The state that this release hands
over is recorded (`tests/golden/expected/states`), and each later release is tested with it.

| distribution | init | packet filter | how sure | scenarios, or why |
| --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """A kind of host: distribution, init, packet filter, how sure it is that it works."""

    sure: str
    distribution: str
    init: str
    backend: str


def rows() -> dict[Row, list[str]]:
    """Return each kind of host with the scenarios that have one, or why it should work where none was run."""
    found: dict[Row, list[str]] = {}
    for scenario in map(scenarios.load, scenarios.names()):
        for told in scenario.relays.values():
            name = str(told.get("testbed_rootfs", "bookworm"))
            if name not in KINDS:
                raise UserError(f"{scenario.name} has a relay on {name!r}, which is not a known kind of host")
            distribution, init, sure = KINDS[name]
            if container := told.get("testbed_container"):
                distribution += f", a container of {container}"
            if not scenario.runs_here:
                sure = UNRUN
            row = Row(sure, distribution, init, str(told.get("testbed_backend", "nftables")))
            named = found.setdefault(row, [])
            shown = f"`{scenario.name}`" if scenario.runs_here else str(scenario.notes["because"])
            if shown not in named:
                named.append(shown)
    return found


def text() -> str:
    """Return docs/support.md as it should be."""
    order = [PROVEN, STOOD_IN, UNRUN]
    lines = [
        f"| {row.distribution} | {row.init} | {row.backend} | {row.sure} | {', '.join(named)} |"
        for row, named in sorted(rows().items(), key=lambda item: (order.index(item[0].sure), item[0]))
    ]
    lines += [
        f"| {each['distribution']} | {each['init']} | {each['backend']} | {UNRUN} | {each['because']} |"
        for each in yaml.safe_load(EXPECTED.read_text(encoding="utf-8"))["expected"]
    ]
    return HEAD + "\n".join(lines) + "\n"


@user_errors
def main(arguments: list[str]) -> int:
    """Write the file; with --check only say whether it is as it should be."""
    if FILE.exists() and FILE.read_text(encoding="utf-8") == text():
        return 0
    if arguments == ["--check"]:
        say("docs/support.md is not what the scenarios say: python -m toolkit.testbed.support")
        return 1
    FILE.write_text(text(), encoding="utf-8")
    say("wrote docs/support.md")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
