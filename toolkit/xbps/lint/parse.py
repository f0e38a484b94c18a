"""A package's folder as the rules see it: the template's lines, assignments and functions, the services' files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from toolkit.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

_ASSIGNMENT: Final = re.compile(r"(\t*)([A-Za-z_][A-Za-z0-9_]*)(\+?)=(.*)")
_FUNCTION: Final = re.compile(r"([\w.+-]+)\(\) \{$")
_UNQUOTED_BLANK: Final = re.compile(r"\s+#.*|\s+$")


XLINT: Final = "xlint"
XBPS_SRC: Final = "xbps-src"
"""The build ends there, or no build begins."""
PKGLINT: Final = "pkglint"
"""xbps-src's look at what a build has installed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong: where (line from 1, 0 for the whole file), by which rule, and what to write instead.

    tool: which of Void's tools objects; "" for advice of ours, which none of them gives.
    """

    path: Path
    line: int
    rule: str
    message: str
    fix: str
    tool: str = ""

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{where}: {'' if self.tool else 'advice: '}{self.message} [{self.tool or 'ours'}: {self.rule}]"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One `name=value`: its lines, the value as written and without its quotes, the function around it or ""."""

    name: str
    line: int
    raw: str
    scope: str
    appended: bool = False

    @property
    def value(self) -> str:
        """The value without its outer quotes."""
        return (
            self.raw[1:-1] if len(self.raw) > 1 and self.raw[0] == self.raw[-1] and self.raw[0] in "\"'" else self.raw
        )

    @property
    def words(self) -> list[str]:
        """The value's words."""
        return self.value.split()


@dataclass(frozen=True, slots=True)
class Package:
    """A package's folder, read."""

    folder: Path
    text: str
    lines: tuple[str, ...]
    assignments: tuple[Assignment, ...]
    functions: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)

    @property
    def template(self) -> Path:
        """The template's path."""
        return self.folder / "template"

    def first(self, name: str, scope: str = "") -> Assignment | None:
        """Return the first assignment of a field, at the top unless a function is named."""
        return next((each for each in self.assignments if (each.name, each.scope) == (name, scope)), None)

    def value(self, name: str) -> str:
        """Return a top field's value, "" when it has none."""
        found = self.first(name)
        return found.value if found else ""

    def expanded(self, text: str) -> str:
        """Return text with the template's plain variables put in."""
        for _ in range(4):
            text = re.sub(r"\$\{(\w+)\}|\$(\w+)", lambda found: self._plain(found[1] or found[2], found[0]), text)
        return text

    def calls(self, *names: str) -> list[tuple[int, str, list[str]]]:
        """Return the calls of helpers in functions: line, function, words from the helper's name on."""
        return [
            (start + number, function, line.split())
            for function, (start, body) in self.functions.items()
            for number, line in enumerate(body)
            if line.split() and line.split()[0] in names
        ]

    def finding(self, line: int, rule: str, message: str, fix: str, tool: str = "") -> Finding:
        """Return a finding in the template: an objection of that tool, or advice of ours."""
        return Finding(self.template, line, rule, message, fix, tool)

    def _plain(self, name: str, otherwise: str) -> str:
        value = self.value("pkgname" if name == "sourcepkg" else name)
        return value or otherwise


def read(folder: Path) -> Package:
    """Read a package's folder. UserError when it has no template that is text."""
    try:
        text = (folder / "template").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserError(
            f"{folder}/template cannot be read: {reason}", fix="Name a package's folder, or one that holds packages."
        ) from None
    lines = tuple(text.split("\n"))
    functions = _functions(lines)
    return Package(folder, text, lines, tuple(_assignments(lines, functions)), functions)


def _functions(lines: tuple[str, ...]) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Return each function's first line and its body, from the opening brace to the one that closes it."""
    found = {}
    for number, line in enumerate(lines):
        if match := _FUNCTION.match(line):
            rest = lines[number + 1 :]
            end = rest.index("}") if "}" in rest else len(rest)
            found[match[1]] = (number + 2, rest[:end])
    return found


def _assignments(lines: tuple[str, ...], functions: dict[str, tuple[int, tuple[str, ...]]]) -> list[Assignment]:
    found = []
    number = 0
    while number < len(lines):
        if match := _ASSIGNMENT.match(lines[number]):
            first = number + 1
            raw = match[4]
            while _is_open(raw) and number + 1 < len(lines):
                number += 1
                raw += "\n" + lines[number]
            raw = raw if raw[:1] in "\"'" and raw else _UNQUOTED_BLANK.sub("", raw)
            found.append(Assignment(match[2], first, raw.rstrip(), _scope(first, functions), bool(match[3])))
        number += 1
    return found


def _scope(line: int, functions: dict[str, tuple[int, tuple[str, ...]]]) -> str:
    for name, (start, body) in functions.items():
        if start <= line < start + len(body):
            return name
    return ""


def _is_open(raw: str) -> bool:
    """Tell whether a value goes on in the next line: its quote is not closed."""
    return raw[:1] in {'"', "'"} and len(re.findall(rf"(?<!\\){raw[0]}", raw)) % 2 == 1
