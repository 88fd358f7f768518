"""Summaries over seeds."""

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
