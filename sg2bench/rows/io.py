"""Result rows in and out of CSV, validated."""

from __future__ import annotations

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


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV."""
    with atomic_file(path) as temporary:
        table.to_csv(temporary, index=False)


def read(path: Path, need_pairs: bool = False, more: Forms | None = None) -> pd.DataFrame:
    """Read rows from CSV, validating every cell: its form, no row twice, a mode for a model's rows, values that the
    metric can have, and means that are those of their pairs, as far as these are there; with `need_pairs` they have
    to be. Columns `more` are there, too, which stay text.

    Raises ValueError that names the file and the line of the first bad row.
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


def _with_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Cells of checked rows as numbers, whole ones as such."""
    numbers = {column: pd.to_numeric(table[column]) for column in NUMBERS}
    return table.assign(**numbers).astype(dict.fromkeys(WHOLE, int))


def _refuse_bad_values(path: Path, table: pd.DataFrame) -> None:
    line, low, high = is_line(table), table["ci_low"], table["ci_high"]
    signed = table["metric"].map({name: entry.signed for name, entry in METRICS.items()}).astype(bool)
    most = table["metric"].map({name: entry.most for name, entry in METRICS.items()}).astype(float)
    pairs = zip(table["metric"], table["protocol"].str.partition(",")[0], strict=True)
    foreign = np.array([protocol not in METRICS[metric].extractor for metric, protocol in pairs])
    for bad, why in (
        (table["value"].abs() > LARGEST, f"the value is too large, beyond {LARGEST:g}"),
        (foreign, "its protocol does not have this metric"),
        (table.duplicated(ROW_KEY), "this row is in the file already, further up"),
        ((table["value"] < 0) & ~signed, "this metric cannot be negative"),
        (table["value"] > most + 1e-9, "the value is more than this metric can be"),
        (low.isna() != high.isna(), "an interval has two ends, ci_low and ci_high"),
        ((low > high) | (low == np.inf) | (high == -np.inf), "no number is between ci_low and ci_high"),
        (~line & (table["mode"] == "none"), "only reference lines have the mode none"),
        (~line & (table["source"] != "*") & (table["target"] == "*"), "a mean over targets is no row"),
    ):
        refuse(path, table, bad, why)


def _refuse_wrong_means(path: Path, table: pd.DataFrame, need_pairs: bool) -> None:
    """Raise ValueError if a mean is not that of its pairs, or if its counts are not the smallest of theirs."""
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
