"""The variables in each role's README, written from its meta/argument_specs.yml so that the two cannot differ."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from toolkit.console import ROOT, say
from toolkit.errors import UserError, user_errors

ROLES: Final = ROOT / "ansible" / "roles"
BEGIN: Final = "<!-- From meta/argument_specs.yml by: python -m toolkit.dev.role_docs -->"
END: Final = "<!-- To here. -->"


def variables(specs: dict[str, Any]) -> str:
    """Return the part of a README that documents the entry points of a role and their variables."""
    sections = [_entry(name, entry) for name, entry in specs["argument_specs"].items()]
    return "\n".join(sections)


def readme(role: Path) -> str:
    """Return the README.md of a role as it should be. Raises UserError when it has no place for the variables."""
    path = role / "README.md"
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{path} has no place for the variables", fix=f"Put these two lines there:\n{BEGIN}\n{END}")
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    return f"{before}{BEGIN}\n\n{variables(specs)}\n{END}{after}"


def stale(roles: Path = ROLES) -> list[Path]:
    """Return the READMEs that say something else than the roles' argument specs."""
    found = sorted(path.parent.parent for path in roles.glob("*/meta/argument_specs.yml"))
    return [role / "README.md" for role in found if readme(role) != (role / "README.md").read_text(encoding="utf-8")]


@user_errors
def main() -> int:
    """Write what is stale; with --check only name it, and return 1."""
    paths = stale()
    for path in paths:
        if "--check" in sys.argv[1:]:
            say(f"{path} is not what meta/argument_specs.yml says: python -m toolkit.dev.role_docs")
        else:
            path.write_text(readme(path.parent), encoding="utf-8")
            say(f"wrote {path}")
    return 1 if paths and "--check" in sys.argv[1:] else 0


def _entry(name: str, entry: dict[str, Any]) -> str:
    title = "## Variables" if name == "main" else f"## Variables of `tasks_from: {name}`"
    description = entry.get("description", [])
    paragraphs = [description] if isinstance(description, str) else description
    lines = [
        title,
        "",
        f"{entry['short_description']}.",
        "",
        *(line for text in paragraphs for line in (_text(text), "")),
    ]
    lines += ["| variable | type | default | what it is |", "| --- | --- | --- | --- |"]
    for variable, option in entry.get("options", {}).items():
        lines += _rows(variable, option)
    return "\n".join([*lines, ""])


def _rows(variable: str, option: dict[str, Any]) -> list[str]:
    """Return the row of a variable, and one for each key of what it is a list of."""
    kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
    default = "**required**" if option.get("required") else f"`{_shown(option.get('default'))}`"
    row = f"| `{variable}` | {kind} | {default} | {_text(option['description'])} |"
    nested = option.get("options", {}).items()
    return [row, *(line for key, inner in nested for line in _rows(f"{variable}[].{key}", inner))]


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    """Return a description in Markdown: Ansible marks code as C(...)."""
    words = " ".join(text.split()).replace("|", "\\|")
    while "C(" in words:
        before, _, rest = words.partition("C(")
        code, _, after = rest.partition(")")
        words = f"{before}`{code}`{after}"
    return words


if __name__ == "__main__":
    sys.exit(main())
