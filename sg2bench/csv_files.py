"""CSV that people bring, read strictly: every cell as text, with the number of its line."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

Forms = dict[str, tuple[str, str]]
"""What cells look like, by column: a regular expression and what it means."""
NUMBER = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
WHOLE = r"[0-9]{1,18}(\.0)?"

_MOST_BYTES = 1_000_000_000
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]+,[0-9]+")


def read(path: Path, what: str) -> pd.DataFrame:
    """All cells as they are, without blank lines; the index has the number of each row's line.

    Raises ValueError that says in which line it is not a CSV.
    """
    lines = csv.reader(io.StringIO(_text(path, what), newline=""), strict=True)
    header: list[str] = []
    rows, numbers, done = [], [], 0
    try:
        for cells in lines:
            number, done = done + 1, lines.line_num
            if not any(cells):
                continue
            if not header:
                header = _header(path, what, cells)
            elif len(cells) != len(header):
                raise csv.Error(f"it has {len(cells)} cells, the header {len(header)}")
            else:
                rows.append([sys.intern(cell) for cell in cells])
                numbers.append(number)
    except csv.Error as error:
        raise ValueError(f"{path}: line {lines.line_num}: not a CSV of {what}: {error}") from None
    if not header:
        raise ValueError(f"{path}: not a CSV of {what}: it is empty")
    return pd.DataFrame(rows, index=numbers, columns=header, dtype=str)


def refuse_columns(
    path: Path, table: pd.DataFrame, needed: Collection[str], others: Collection[str], advice: str
) -> None:
    """Raise ValueError if one of the `needed` columns is missing, or if one is there that is not of the `others`."""
    if missing := [column for column in needed if column not in table.columns]:
        raise ValueError(f"{path}: column {', '.join(missing)} is missing; {advice}")
    if unknown := [column for column in table.columns if column not in {*needed, *others}]:
        raise ValueError(f"{path}: column {_short(unknown[0])} is unknown; {advice}")


def refuse_cells(path: Path, table: pd.DataFrame, forms: Forms) -> None:
    """Raise ValueError for the first cell that does not have the form of its column."""
    for column, (form, meaning) in forms.items():
        matches = re.compile(form).fullmatch
        good = {cell: matches(cell) is not None for cell in set(table[column])}
        bad = ~table[column].map(good).astype(bool)
        if bad.any():
            cell = table[column][bad].iloc[0]
            point = "; decimals have a point" if _DECIMAL_COMMA.fullmatch(cell) else ""
            refuse(path, table, bad, f"{column} is {_short(cell)}, expected {meaning}{point}")


def refuse(path: Path, table: pd.DataFrame, bad: Any, why: str) -> None:
    """Raise ValueError that names the line of the first `bad` row, if there is one."""
    if bad.any():
        raise ValueError(f"{path}: line {table.index[bad][0]}: {why}")


def _text(path: Path, what: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise ValueError(f"{path}: not a CSV of {what}: larger than {_MOST_BYTES} bytes")
    if kind := _other_kind(content):
        raise ValueError(f"{path}: not a CSV of {what}: it is {kind}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}: line {line}: not text in UTF-8; save it again as CSV in UTF-8") from None


def _other_kind(content: bytes) -> str:
    """What a file is by its first bytes, if it is something else that holds tables."""
    if content.startswith((b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"(\xb5/\xfd")):
        return "compressed, or a spreadsheet's own format; unpack it, or save it as CSV"
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content[:4]:
        return "text in UTF-16; save it again as CSV in UTF-8"
    return "binary" if b"\x00" in content else ""


def _header(path: Path, what: str, cells: list[str]) -> list[str]:
    marks = {";": "semicolons", "\t": "tabs", "|": "bars"}
    if len(cells) == 1 and (used := [name for mark, name in marks.items() if mark in cells[0]]):
        raise ValueError(
            f"{path}: not a CSV of {what}: cells are separated by {used[0]}, not by commas; save it again with commas, "
            "and with points in decimals"
        )
    if twice := [column for column in cells if cells.count(column) > 1]:
        raise ValueError(f"{path}: column {_short(twice[0])} is there twice")
    return cells


def _short(text: str) -> str:
    """Foreign text for a message."""
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
