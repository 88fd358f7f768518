"""Summaries of rows: over seeds, and of what made them."""

from __future__ import annotations

import pandas as pd

from sg2bench.rows.select import overall


def summarize(table: pd.DataFrame) -> pd.DataFrame:
    """The overall value by variant, metric and mode: mean, standard deviation and n over seeds, in order of appearance.

    The standard deviation (n - 1) is empty for one seed.
    """
    keys = ["experiment", "variant", "metric", "mode", "protocol", "protocol_hash", "data_fingerprint"]
    groups = overall(table).groupby(keys, sort=False, dropna=False)["value"]
    return groups.agg(mean="mean", sd="std", n="count").reset_index()


def listed(values: pd.Series) -> str:
    """All values of a column, such as devices, in order of appearance."""
    return "; ".join(dict.fromkeys(map(str, values)))


def commits(table: pd.DataFrame) -> str:
    """The commits of the code that made rows; a package that was installed has none."""
    return listed(table["git_commit"].replace("", "no commit"))


def days(table: pd.DataFrame) -> str:
    """The day on which rows were made, or the first and the last."""
    found = sorted(str(time)[:10] for time in table["created_at"])
    return " to ".join(dict.fromkeys((found[0], found[-1])))
