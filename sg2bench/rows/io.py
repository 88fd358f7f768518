"""Result rows in and out of CSV, validated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sg2bench.catalog import METRICS
from sg2bench.files import atomic_file
from sg2bench.rows.columns import COLUMNS, FORMS, NUMBERS, OF_A_VALUE, ROW_KEY, WHOLE
from sg2bench.rows.select import is_line

_MEAN_TOLERANCE = 1e-4


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV."""
    with atomic_file(path) as temporary:
        table.to_csv(temporary, index=False)


def read(path: Path, need_pairs: bool = False) -> pd.DataFrame:
    """Read rows from CSV, validating every cell: its form, no row twice, a mode for a model's rows, values that the
    metric can have, and means that are those of their pairs, as far as these are there; with `need_pairs` they have
    to be. More columns may follow.

    Raises ValueError that names the file and the line of the first bad row.
    """
    table = _with_numbers(_checked(path, _text(path)))
    line = is_line(table)
    signed = table["metric"].map({name: entry.signed for name, entry in METRICS.items()}).astype(bool)
    for bad, why in (
        (table.duplicated(ROW_KEY), "this row is in the file already, further up"),
        ((table["value"] < 0) & ~signed, "this metric cannot be negative"),
        (~line & (table["mode"] == "none"), "only reference lines have the mode none"),
        (~line & (table["source"] != "*") & (table["target"] == "*"), "a mean over targets is no row"),
    ):
        _refuse(path, table, bad, why)
    _refuse_wrong_means(path, table[~line], need_pairs)
    return table.reset_index(drop=True)


def _text(path: Path) -> pd.DataFrame:
    """All cells as they are, without blank lines; the index counts the file's lines, so that line 2 is 0."""
    try:
        table = pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            index_col=False,
            skip_blank_lines=False,
            encoding="utf-8-sig",
            compression=None,
        )
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: not a CSV of result rows: {error}") from None
    if missing := [column for column in COLUMNS if column not in table.columns]:
        semicolons = "; cells are separated by commas, not semicolons" if ";" in str(table.columns[0]) else ""
        raise ValueError(
            f"{path}: column {', '.join(missing)} is missing{semicolons}; result rows have {', '.join(COLUMNS)}"
        )
    table = table.fillna("")[(table.fillna("") != "").any(axis=1)]
    if table.empty:
        raise ValueError(f"{path}: holds no rows")
    return table


def _checked(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The table, if every cell has the form it should have."""
    for column, (form, meaning) in FORMS.items():
        bad = ~table[column].str.fullmatch(form)
        if bad.any():
            _refuse(path, table, bad, f"{column} is {table[column][bad].iloc[0]!r}, expected {meaning}")
    _refuse(path, table, ~np.isfinite(table["value"].astype(float)), "the value is too large")
    return table


def _with_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Cells of checked rows as numbers, whole ones as such."""
    numbers = {column: pd.to_numeric(table[column]) for column in NUMBERS}
    return table.assign(**numbers).astype(dict.fromkeys(WHOLE, int))


def _refuse_wrong_means(path: Path, table: pd.DataFrame, need_pairs: bool) -> None:
    pairs = table[table["source"] != "*"]
    for keys, part in (
        ([*OF_A_VALUE, "target"], (table["source"] == "*") & (table["target"] != "*")),
        (OF_A_VALUE, (table["source"] == "*") & (table["target"] == "*")),
    ):
        means = table[part].join(pairs.groupby(keys)["value"].mean().rename("mean"), on=keys)
        off = ~np.isclose(means["value"], means["mean"], rtol=_MEAN_TOLERANCE, atol=1e-9)
        _refuse(path, means, off & (need_pairs | means["mean"].notna()), "its value is not the mean of its pairs'")


def _refuse(path: Path, table: pd.DataFrame, bad: Any, why: str) -> None:
    if bad.any():
        raise ValueError(f"{path}: line {table.index[bad][0] + 2}: {why}")
