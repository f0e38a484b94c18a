"""What people compare, as a table where the terminal is wide enough for one, as short blocks where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Table

from toolkit.console import width

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

# What rich draws around each cell and at the ends.
CELL, ENDS = 3, 1


def listing(columns: Sequence[str], rows: Sequence[Sequence[str]], room: int | None = None) -> RenderableType:
    """Return rows under columns; room is how many characters fit into a line, by default the terminal's width.

    A column that is empty in every row is left out.
    """
    kept = [number for number in range(len(columns)) if any(row[number] for row in rows)]
    names = [columns[number] for number in kept]
    cells = [[row[number] for number in kept] for row in rows]
    available = width() if room is None else room
    if _needed(names, cells) <= available:
        table = Table(*names)
        for row in cells:
            table.add_row(*row)
        return table
    return "\n".join(_blocks(names, cells))


def _needed(names: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    widths = [max(_longest(text) for text in column) for column in zip(names, *rows, strict=True)]
    return sum(widths) + CELL * len(widths) + ENDS


def _longest(text: str) -> int:
    return max((cell_len(line) for line in text.splitlines()), default=0)


def _blocks(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    label = max(len(name) for name in names)
    for number, row in enumerate(rows):
        if number:
            yield ""
        for name, text in zip(names, row, strict=True):
            if text:
                yield f"{name:<{label}}  {text.replace(chr(10), ', ')}"
