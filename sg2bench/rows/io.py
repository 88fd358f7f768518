"""Reading, validating and writing result rows as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from sg2bench import csv_files
from sg2bench.catalog import METRICS
from sg2bench.csv_files import Forms, refuse
from sg2bench.files import atomic_file
from sg2bench.rows.columns import COLUMNS, FORMS, LARGEST, NUMBERS, OF_A_VALUE, ROW_KEY, WHOLE
from sg2bench.rows.select import is_line

_MEAN_TOLERANCE = 1e-4
_READ_TOGETHER = 256
"""Number of files read into one table: pandas slows down with very many parts."""


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, whole or not at all."""
    with atomic_file(path) as temporary:
        table.to_csv(temporary, index=False)


def may_replace(path: Path) -> bool:
    """Whether a file holds only rows, or nothing."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline(10_000).strip()
    return not header or {"variant", "metric", "value"} <= set(header.replace('"', "").split(","))


def read(path: Path, need_pairs: bool = False, more: Forms | None = None) -> pd.DataFrame:
    """Read untrusted rows from CSV, validating every cell.

    Beyond the form of cells, it checks that no row is repeated, that models' rows have a mode, that values are possible
    for their metric, and that means match their pairs. With `need_pairs`, the pairs of every mean must be in the file.
    `more` are additional columns, which stay text. Raises ValueError that names the file and the line of the first bad
    row.
    """
    text = csv_files.read(path, "result rows")
    hint = "this is a bench.csv, which sg2bench check takes with --bench; " if "images_per_second" in text else ""
    csv_files.refuse_columns(path, text, [*COLUMNS, *(more or {})], [], f"{hint}result rows have {', '.join(COLUMNS)}")
    if text.empty:
        raise ValueError(f"{path}: holds no rows")
    csv_files.refuse_cells(path, text, FORMS | (more or {}))
    table = _with_numbers(text)
    _refuse_bad_values(path, table)
    _refuse_wrong_means(path, table[~is_line(table)], need_pairs)
    return table.reset_index(drop=True)


def read_unchecked(paths: Sequence[Path]) -> list[pd.DataFrame]:
    """Read files that this program wrote and whose digests are right, without validation: thousands in seconds.

    Returns a table per file.
    """
    tables: list[pd.DataFrame] = []
    for place in range(0, len(paths), _READ_TOGETHER):
        tables += _read_together(paths[place : place + _READ_TOGETHER])
    return tables


def _read_together(paths: Sequence[Path]) -> list[pd.DataFrame]:
    cells: list[list[str]] = []
    ends = [0]
    for path in paths:
        header, rows, _ = csv_files.cells_of(path, "result rows")
        if header != list(COLUMNS):  # written by another version
            return [read(each) for each in paths]
        cells += rows
        ends.append(len(cells))
    table = _with_numbers(pd.DataFrame(cells, columns=list(COLUMNS), dtype=str))
    return [table.iloc[start:end].reset_index(drop=True) for start, end in pairwise(ends)]


def _with_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Convert the cells of validated rows to numbers, and to integers where they are whole."""
    numbers = {column: pd.to_numeric(table[column]) for column in NUMBERS}
    whole = {column: numbers[column].astype(int) for column in WHOLE}
    return pd.DataFrame(dict(table.items()) | numbers | whole, copy=False)


def _refuse_bad_values(path: Path, table: pd.DataFrame) -> None:
    line, low, high = is_line(table), table["ci_low"], table["ci_high"]
    signed = table["metric"].map({name: entry.signed for name, entry in METRICS.items()}).astype(bool)
    most = table["metric"].map({name: entry.most for name, entry in METRICS.items()}).astype(float)
    pairs = zip(table["metric"], table["protocol"].str.partition(",")[0], strict=True)
    foreign = np.array([protocol not in METRICS[metric].extractor for metric, protocol in pairs])
    for bad, why in (
        (table["value"].abs() > LARGEST, f"the value is too large, beyond {LARGEST:g}"),
        (foreign, "its protocol does not have this metric"),
        (table.duplicated(ROW_KEY), "this row repeats an earlier one"),
        ((table["value"] < 0) & ~signed, "this metric cannot be negative"),
        (table["value"] > most + 1e-9, "the value exceeds this metric's maximum"),
        (low.isna() != high.isna(), "an interval needs both ends, ci_low and ci_high"),
        ((low > high) | (low == np.inf) | (high == -np.inf), "no number lies between ci_low and ci_high"),
        (~line & (table["mode"] == "none"), "only reference lines have the mode none"),
        (~line & (table["source"] != "*") & (table["target"] == "*"), "result rows have no means over targets"),
    ):
        refuse(path, table, bad, why)


def _refuse_wrong_means(path: Path, table: pd.DataFrame, need_pairs: bool) -> None:
    """Raise ValueError if a mean or its counts do not match its pairs: counts are the smallest of the pairs'."""
    pairs = table[table["source"] != "*"]
    for keys, part in (
        ([*OF_A_VALUE, "target"], (table["source"] == "*") & (table["target"] != "*")),
        (OF_A_VALUE, (table["source"] == "*") & (table["target"] == "*")),
    ):
        of_pairs = pairs.groupby(keys).agg(
            mean=("value", "mean"), least_real=("n_real", "min"), least_fake=("n_fake", "min")
        )
        means = table[part].join(of_pairs, on=keys)
        known = means["mean"].notna()
        off = ~np.isclose(means["value"], means["mean"], rtol=_MEAN_TOLERANCE, atol=1e-9)
        refuse(path, means, off & (need_pairs | known), "its value is not the mean of its pairs'")
        for column in ("n_real", "n_fake"):
            other = known & (means[column] != means[column.replace("n_", "least_")])
            refuse(path, means, other, f"its {column} is not the smallest of its pairs'")
