"""What the documents point at and tell people to type is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tasks import ns
from toolkit import errors
from toolkit.console import ROOT

LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
TASK = re.compile(r"(?:\./bootstrap|\binvoke) ([a-z]+(?:\.[a-z]+)?)((?: +--?[a-z][a-z-]*)?.*)")
# `bench` is what `bench.bench` is called too.
NAMES = {name for task, others in ns.task_names.items() for name in (task, *others)}


def documents() -> list[Path]:
    """Return the project's own documents, also where git is not installed: what lies in hidden folders is not."""
    names = (path.relative_to(ROOT) for path in sorted(ROOT.rglob("*.md")))
    own = (name for name in names if not any(part.startswith(".") for part in name.parts))
    return [ROOT / name for name in own if not name.is_relative_to("tests/golden")]


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file(document: Path) -> None:
    links = [link for link in LINK.findall(document.read_text()) if "://" not in link]
    missing = [link for link in links if not (document.parent / link).exists()]
    assert not missing, f"{document.relative_to(ROOT)} points at what is not there: {missing}"


def typed(document: Path) -> list[tuple[str, set[str]]]:
    """Return each task that a document says to type, with the options beside it."""
    found = []
    for task, rest in TASK.findall(document.read_text()):
        words = re.split(r"[`#|&;)]", rest, maxsplit=1)[0]
        try:
            options = {word.partition("=")[0] for word in shlex.split(words) if word.startswith("--")}
        except ValueError:
            options = set(re.findall(r"--[a-z][a-z-]*", words))
        found.append((task, options))
    return found


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_task_and_option_that_is_to_be_typed_exists(document: Path) -> None:
    wrong = []
    for name, options in typed(document):
        if name not in NAMES:
            wrong.append(name)
            continue
        known = {flag for argument in ns[name].get_arguments() for flag in flags(argument.names)}
        wrong += [f"{name} {option}" for option in options - known - {"--help", "--list"}]
    assert not wrong, f"{document.relative_to(ROOT)} says to type what there is not: {wrong}"


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_that_says_invoke_says_how_that_is_typed_after_a_clone(document: Path) -> None:
    text = document.read_text()
    # Who measures the relay works on it, and has an activated .venv.
    if re.search(r"^invoke (?!bench)", text, re.MULTILINE):
        assert "./bootstrap" in text


def test_the_readme_names_the_service_managers_that_the_page_of_support_has() -> None:
    table = (ROOT / "docs" / "support.md").read_text().partition("| --- |")[2]
    inits = {row.split("|")[2].strip() for row in table.splitlines()[1:] if row.startswith("|")}
    assert inits >= {"systemd", "runit"}
    (needs,) = re.findall(r"The host needs [^.]*", (ROOT / "README.md").read_text())
    assert [init for init in inits if init not in needs] == []


def flags(names: tuple[str, ...]) -> set[str]:
    return {"--" + name.replace("_", "-") for name in names}


def test_the_exit_codes_of_the_readme_are_the_real_ones() -> None:
    told = [int(number) for number in re.findall(r"^\| ([0-9]+) \|", (ROOT / "README.md").read_text(), re.MULTILINE)]
    assert told == [
        errors.BAD_INPUT,
        errors.HOST_UNUSABLE,
        errors.PREFLIGHT_REFUSED,
        errors.DEPLOY_FAILED,
        errors.PROOF_FAILED,
        errors.ROLLED_BACK,
        errors.TROUBLE_FOUND,
    ]


def test_what_is_to_be_typed_is_found_in_a_document() -> None:
    named = typed(ROOT / "README.md")
    assert ("deploy", {"--host"}) in named
    assert {"test", "doctor", "friends.add", "lab.up", "remove"} <= {name for name, _ in named}
