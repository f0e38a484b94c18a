"""QR codes of what friends type: on the terminal, as SVG and as PNG."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import segno
from rich.text import Text

from toolkit.errors import UserError

# A reader needs this much light around a code; four is the standard's own figure.
BORDER = 4
# Two modules fit into one character of a terminal: above and below.
HALVES = {(False, False): "█", (False, True): "▀", (True, False): "▄", (True, True): " "}
PIXELS = 8


def of(text: str) -> segno.QRCode:
    """Return the code of a text, never the small kind that many phones cannot read."""
    return segno.make_qr(text, error="m")


def drawn(code: segno.QRCode) -> list[str]:
    """Return a code as lines for a terminal with light letters on a dark ground: what is light is drawn."""
    rows = [[bool(module) for module in row] for row in code.matrix_iter(border=BORDER)]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return ["".join(HALVES[halves] for halves in zip(above, below, strict=True)) for above, below in pairs]


def for_terminal(code: segno.QRCode, width: int, encoding: str) -> Text | str:
    """Return a code to print, white on black where the terminal has colours; or a sentence why there is none.

    width in characters.
    """
    lines = drawn(code)
    if not can_show(encoding):
        return "(no QR code here: this terminal has no characters to draw one; --svg FILE or --png FILE writes it)"
    if len(lines[0]) > width:
        return f"(the QR code needs {len(lines[0])} columns, this terminal has {width}; --svg FILE or --png FILE)"
    return Text("\n".join(lines), style="bright_white on black", no_wrap=True)


def can_show(encoding: str) -> bool:
    """Tell whether a terminal's encoding has the characters."""
    try:
        "█▀▄".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def write(code: segno.QRCode, path: Path, kind: str) -> None:
    """Write a code as "svg" or "png", whole or not at all. Raises UserError when the file cannot be written."""
    data = io.BytesIO()
    code.save(data, kind=kind, scale=PIXELS, border=BORDER, dark="#000", light="#fff")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data.getvalue())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror}", fix=f"Give another file: --{kind} ~/room.{kind}"
        ) from None
