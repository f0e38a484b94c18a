"""Are the files on the host right, and the same as the owner's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.console import short
from toolkit.doctor.finding import Finding, fine, trouble, warning
from toolkit.errors import UserError
from toolkit.friends import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case


def look(case: Case) -> Iterator[Finding]:
    """Say whether relay.toml is good there and the same here, and whether friends.toml was pushed."""
    settings, option = case.told("settings"), case.target.option
    if settings and not settings["good"]:
        missing = not settings["text"] and settings["said"].startswith("there is no file")
        sentence = "the host has no relay.toml" if missing else "the host's relay.toml has a mistake"
        yield trouble(sentence, settings["said"], f"invoke deploy{option}")
    elif settings and case.files and case.files.relay.exists():
        if settings["text"].strip() != case.files.relay.read_text(encoding="utf-8").strip():
            where = short(case.files.relay)
            yield warning(f"{where} is not what the host has", cure=f"To make it so: invoke deploy{option}")
        else:
            yield fine("the host's relay.toml is yours")
    yield from _friends(case)


def _friends(case: Case) -> Iterator[Finding]:
    gate = case.told("gate")
    if not gate or not case.files or not case.files.friends.exists():
        return
    where, push = short(case.files.friends), f"invoke friends.push{case.target.option}"
    try:
        here = {str(address) for friend in parse.load(case.files.friends) for address in friend.addresses}
    except UserError as error:
        yield trouble("your list of friends has a mistake", error.message, error.fix)
        return
    over = {one["friend"] for one in gate["expired"]}
    there = {entry["network"] for entry in gate["entries"] if not entry["names"] or set(entry["friends"]) - over}
    if missing := here - there - _ended(case):
        yield warning(f"{where} has addresses that the host does not let in", ", ".join(sorted(missing)), push)


def _ended(case: Case) -> set[str]:
    """Return the addresses of friends whose time is over: they are in the file and rightly not in force."""
    over = {one["friend"] for one in case.told("gate")["expired"]}
    listed = parse.load(case.files.friends) if case.files else []
    return {str(address) for friend in listed if friend.name in over for address in friend.addresses}
