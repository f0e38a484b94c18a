"""A two-pass assembler for the few 6502 instructions that our test program uses.

A line is ``label: mnemonic operand ; comment``, each part optional. Operands: ``#value``, ``address``, ``address,x``,
``address,y``, ``(pointer),y`` and ``a`` for the accumulator. A value is ``$hex``, a decimal number or a name, with an
optional ``+number``, and ``<value`` or ``>value`` for its low or high byte. ``.word value`` lays down an address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# One row for each instruction: its opcode in each addressing mode that the program needs.
OPCODES: dict[str, dict[str, int]] = {
    "adc": {"imm": 0x69, "zp": 0x65},
    "and": {"imm": 0x29, "zp": 0x25, "abs,y": 0x39},
    "asl": {"acc": 0x0A, "zp": 0x06},
    "bcc": {"rel": 0x90},
    "bit": {"abs": 0x2C},
    "bne": {"rel": 0xD0},
    "bpl": {"rel": 0x10},
    "clc": {"none": 0x18},
    "cld": {"none": 0xD8},
    "cmp": {"imm": 0xC9, "zp": 0xC5},
    "cpx": {"imm": 0xE0},
    "cpy": {"imm": 0xC0},
    "dex": {"none": 0xCA},
    "dey": {"none": 0x88},
    "eor": {"imm": 0x49, "zp": 0x45},
    "inc": {"zp": 0xE6, "zp,x": 0xF6},
    "inx": {"none": 0xE8},
    "iny": {"none": 0xC8},
    "jmp": {"abs": 0x4C},
    "jsr": {"abs": 0x20},
    "lda": {"imm": 0xA9, "zp": 0xA5, "zp,x": 0xB5, "abs": 0xAD, "abs,y": 0xB9},
    "ldx": {"imm": 0xA2, "zp": 0xA6},
    "ldy": {"imm": 0xA0, "zp": 0xA4},
    "lsr": {"acc": 0x4A},
    "rol": {"zp": 0x26, "zp,x": 0x36},
    "rti": {"none": 0x40},
    "rts": {"none": 0x60},
    "sei": {"none": 0x78},
    "sta": {"zp": 0x85, "zp,x": 0x95, "abs": 0x8D, "abs,x": 0x9D, "abs,y": 0x99, "(zp),y": 0x91},
    "stx": {"zp": 0x86, "abs": 0x8E},
    "sty": {"zp": 0x84},
    "txa": {"none": 0x8A},
    "txs": {"none": 0x9A},
}
BRANCHES = {name for name, modes in OPCODES.items() if "rel" in modes}
LINE = re.compile(r"\s*(?:(?P<label>\w+):)?\s*(?:(?P<operation>\.?\w+)(?:\s+(?P<operand>[^;\s][^;]*?))?)?\s*(?:;.*)?")
FORMS = (  # tried in this order; the last takes any plain address
    (re.compile(r"#(.+)"), "imm"),
    (re.compile(r"\((.+)\),y"), "(zp),y"),
    (re.compile(r"(.+),([xy])"), ","),
    (re.compile(r"(.+)"), ""),
)


class AssemblyError(ValueError):
    """The source says something that this assembler cannot turn into bytes; the message holds the line's number."""


@dataclass(frozen=True)
class Statement:
    """One instruction, placed: its address is known, the values of later labels are not yet."""

    line: int
    address: int
    operation: str
    mode: str
    value: str

    @property
    def size(self) -> int:
        """The number of bytes that the instruction takes."""
        if self.operation == ".word":
            return 2
        return {"none": 1, "acc": 1, "abs": 3, "abs,x": 3, "abs,y": 3}.get(self.mode, 2)


def assemble(source: str, origin: int, names: Mapping[str, int]) -> tuple[bytes, dict[str, int]]:
    """Return the code that starts at ``origin`` and the address of each label.

    ``names`` are the addresses and constants that the source may use beside its own labels.
    Raises AssemblyError with the number of the line that is wrong.
    """
    symbols = dict(names)
    labels: dict[str, int] = {}
    statements: list[Statement] = []
    address = origin
    for number, label, operation, operand in _lines(source):
        if label:
            if label in symbols:
                raise AssemblyError(f"line {number}: {label} is defined twice")
            symbols[label] = labels[label] = address
        if operation:
            statement = _place(number, address, operation, operand, symbols)
            statements.append(statement)
            address += statement.size
    return b"".join(_encode(statement, symbols) for statement in statements), labels


def _lines(source: str) -> Iterator[tuple[int, str, str, str]]:
    for number, text in enumerate(source.splitlines(), 1):
        match = LINE.fullmatch(text)
        if match is None:
            raise AssemblyError(f"line {number}: cannot read {text.strip()!r}")
        yield number, match["label"] or "", (match["operation"] or "").lower(), match["operand"] or ""


def _place(line: int, address: int, operation: str, operand: str, symbols: Mapping[str, int]) -> Statement:
    """Choose the addressing mode. A name that is not known yet is a label of code, so it is never in page zero."""
    if operation == ".word":
        return Statement(line, address, operation, "word", operand)
    modes = OPCODES.get(operation)
    if modes is None:
        raise AssemblyError(f"line {line}: {operation} is not an instruction of this assembler")
    mode, value = _mode(operation, operand, symbols)
    if mode.startswith("zp") and mode not in modes:
        mode = mode.replace("zp", "abs")  # e.g. lda address,y exists in the long form alone
    if mode not in modes:
        raise AssemblyError(f"line {line}: {operation} has no form for {operand!r}")
    return Statement(line, address, operation, mode, value)


def _mode(operation: str, operand: str, symbols: Mapping[str, int]) -> tuple[str, str]:
    if operation in BRANCHES:
        return "rel", operand
    if operand in ("", "a"):
        return ("acc" if operand else "none"), ""
    match, form = next((found, form) for pattern, form in FORMS if (found := pattern.fullmatch(operand)))
    if form not in ("", ","):
        return form, match[1]
    short = match[1].partition("+")[0] in symbols and _value(match[1], symbols) < 0x100
    index = f",{match[2]}" if form else ""
    return ("zp" if short else "abs") + index, match[1]


def _value(text: str, symbols: Mapping[str, int]) -> int:
    if text[0] in "<>":
        whole = _value(text[1:], symbols)
        return whole & 0xFF if text[0] == "<" else whole >> 8
    base, _, offset = text.partition("+")
    return _number(base, symbols) + int(offset or 0)


def _number(text: str, symbols: Mapping[str, int]) -> int:
    if text.startswith("$"):
        return int(text[1:], 16)
    return int(text) if text.isdigit() else symbols[text]


def _encode(statement: Statement, symbols: Mapping[str, int]) -> bytes:
    try:
        value = _value(statement.value, symbols) if statement.value else 0
    except (KeyError, ValueError) as error:
        raise AssemblyError(f"line {statement.line}: what is {statement.value!r}?") from error
    if statement.operation == ".word":
        return value.to_bytes(2, "little")
    width = statement.size - 1
    if statement.mode == "rel":
        value -= statement.address + 2
        if not -128 <= value <= 127:
            raise AssemblyError(f"line {statement.line}: the branch is too long ({value} bytes)")
        value &= 0xFF
    elif value >= 1 << 8 * width and width:
        raise AssemblyError(f"line {statement.line}: {statement.value} does not fit in {width} byte")
    return bytes([OPCODES[statement.operation][statement.mode]]) + value.to_bytes(width, "little")
