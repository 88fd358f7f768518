"""Summaries of rows: values over seeds, commits, days."""

from __future__ import annotations

import pandas as pd

from sg2bench.rows.select import overall


def summarize(table: pd.DataFrame) -> pd.DataFrame:
    """Return mean, standard deviation and n over seeds of the overall value, by variant, metric and mode.

    Lines are in order of appearance. The standard deviation (n - 1) is empty for one seed.
    """
    keys = ["experiment", "variant", "metric", "mode", "protocol", "protocol_hash", "data_fingerprint"]
    groups = overall(table).groupby(keys, sort=False, dropna=False)["value"]
    return groups.agg(mean="mean", sd="std", n="count").reset_index()


def listed(values: pd.Series) -> str:
    """List all distinct values of a column, such as devices, in order of appearance."""
    return "; ".join(dict.fromkeys(map(str, values)))


def commits(table: pd.DataFrame) -> str:
    """List the commits of the code that made the rows; an installed package has none."""
    return listed(table["git_commit"].replace("", "no commit"))


def days(table: pd.DataFrame) -> str:
    """Return the day on which rows were made, or the first and the last day."""
    found = sorted(str(time)[:10] for time in table["created_at"])
    return " to ".join(dict.fromkeys((found[0], found[-1])))
