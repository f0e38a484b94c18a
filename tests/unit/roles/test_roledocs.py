"""The variables in the READMEs of the roles are those of their argument specs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from toolkit.dev import role_docs
from toolkit.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

SPECS = """
argument_specs:
  main:
    short_description: Do it
    description: [First., Uses C(nft).]
    options:
      x_ports: {description: Which ports., type: list, elements: int, default: [1, 2]}
      x_people:
        description: Who | whom.
        type: list
        elements: dict
        required: true
        options:
          name: {description: A name., type: str, required: true}
"""


@pytest.fixture
def role(tmp_path: Path) -> Path:
    (tmp_path / "x" / "meta").mkdir(parents=True)
    (tmp_path / "x" / "meta" / "argument_specs.yml").write_text(SPECS)
    (tmp_path / "x" / "README.md").write_text(f"# x\n\n{role_docs.BEGIN}\n{role_docs.END}\n\nThe end.\n")
    return tmp_path / "x"


def test_no_readme_of_ours_has_drifted_from_its_role() -> None:
    assert role_docs.stale() == [], "python -m toolkit.dev.role_docs writes them"


def test_every_role_of_ours_is_looked_at() -> None:
    assert {path.name for path in role_docs.ROLES.iterdir()} >= {"preflight", "relay", "firewall"}
    assert all((path / "meta" / "argument_specs.yml").exists() for path in role_docs.ROLES.iterdir())


def test_a_table_has_a_row_for_each_variable_and_each_key_of_its_entries(role: Path) -> None:
    text = role_docs.readme(role)
    assert "| `x_ports` | list of int | `[1, 2]` | Which ports. |" in text
    assert "| `x_people` | list of dict | **required** | Who \\| whom. |" in text
    assert "| `x_people[].name` | str | **required** | A name. |" in text
    assert "Uses `nft`." in text
    assert text.endswith(f"{role_docs.END}\n\nThe end.\n")


def test_a_changed_spec_makes_the_readme_stale_until_it_is_written_again(role: Path) -> None:
    assert role_docs.stale(role.parent) == [role / "README.md"]
    (role / "README.md").write_text(role_docs.readme(role))
    assert role_docs.stale(role.parent) == []
    specs = role / "meta" / "argument_specs.yml"
    specs.write_text(specs.read_text().replace("Which ports.", "The ports."))
    assert role_docs.stale(role.parent) == [role / "README.md"]


def test_a_readme_without_a_place_for_the_variables_is_an_error_with_the_lines_to_add(role: Path) -> None:
    (role / "README.md").write_text("# x\n")
    with pytest.raises(UserError, match="no place") as caught:
        role_docs.readme(role)
    assert role_docs.BEGIN in caught.value.fix
    shutil.rmtree(role)
