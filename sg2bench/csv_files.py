"""Strict reading of untrusted CSV files: every cell as text, with its line number."""

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
"""Form of the cells, by column: a regular expression and its meaning."""
NUMBER = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
WHOLE = r"[0-9]{1,18}(\.0)?"

_MOST_BYTES = 1_000_000_000
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]+,[0-9]+")


def read(path: Path, what: str) -> pd.DataFrame:
    """Read all cells as text, skipping blank lines; the index holds the line number of each row.

    Raises ValueError with the line in which the file is not a CSV.
    """
    header, rows, numbers = cells_of(path, what)
    lines = pd.Index(numbers, dtype=int)
    columns = (pd.Series([row[place] for row in rows], lines, dtype=str) for place in range(len(header)))
    return pd.DataFrame(dict(zip(header, columns, strict=True)), lines, copy=False)  # by columns: a third of the memory


def cells_of(path: Path, what: str) -> tuple[list[str], list[list[str]], list[int]]:
    """Return the header, the cells of each row, and the rows' line numbers. Raises ValueError like `read`."""
    text = io.TextIOWrapper(io.BytesIO(_content(path, what)), "utf-8-sig", newline="")
    lines = csv.reader(text, strict=True)
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
    return header, rows, numbers


def refuse_columns(
    path: Path, table: pd.DataFrame, needed: Collection[str], others: Collection[str], advice: str
) -> None:
    """Raise ValueError if a `needed` column is missing, or if a column is neither `needed` nor one of the `others`."""
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
            point = "; use a decimal point" if _DECIMAL_COMMA.fullmatch(cell) else ""
            refuse(path, table, bad, f"{column} is {_short(cell)}, expected {meaning}{point}")


def refuse(path: Path, table: pd.DataFrame, bad: Any, why: str) -> None:
    """Raise ValueError with the line of the first `bad` row, if there is one."""
    if bad.any():
        raise ValueError(f"{path}: line {table.index[bad][0]}: {why}")


def _content(path: Path, what: str) -> bytes:
    """The bytes of a file, which are text in UTF-8."""
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
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}: line {line}: not text in UTF-8; save it again as CSV in UTF-8") from None
    return content


def _other_kind(content: bytes) -> str:
    """Return the kind of a file that is not plain CSV, judged by its bytes; empty if it may be CSV."""
    if content.startswith((b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"(\xb5/\xfd")):
        return "compressed, or a spreadsheet's own format; unpack it, or save it as CSV"
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content[:4]:
        return "text in UTF-16; save it again as CSV in UTF-8"
    return "binary" if b"\x00" in content else ""


def _header(path: Path, what: str, cells: list[str]) -> list[str]:
    marks = {";": "semicolons", "\t": "tabs", "|": "bars"}
    if len(cells) == 1 and (used := [name for mark, name in marks.items() if mark in cells[0]]):
        raise ValueError(
            f"{path}: not a CSV of {what}: cells are separated by {used[0]} instead of commas; save it again with "
            "commas, and with decimal points"
        )
    if twice := [column for column in cells if cells.count(column) > 1]:
        raise ValueError(f"{path}: column {_short(twice[0])} appears twice")
    return cells


def _short(text: str) -> str:
    """Quote and shorten untrusted text for a message."""
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
