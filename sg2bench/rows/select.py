"""Which rows of a table count."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sg2bench.catalog import REFERENCE_LINES


def is_line(table: pd.DataFrame) -> pd.Series[bool]:
    """Which rows are those of reference lines."""
    return table["variant"].isin(REFERENCE_LINES)


def models(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of models, without the reference lines."""
    return table[~is_line(table)]


def overall(table: pd.DataFrame) -> pd.DataFrame:
    """The means over all pairs of domains."""
    return table[(table["source"] == "*") & (table["target"] == "*")]


def last_steps(table: pd.DataFrame) -> pd.DataFrame:
    """Each run's rows at its last step."""
    runs = table.groupby(["experiment", "variant", "seed"], sort=False)["step"]
    return table[table["step"] == runs.transform("max")]


def refuse_mixed_configurations(table: pd.DataFrame, path: Path) -> None:
    """Raise ValueError, with both named, if a variant's rows are of models trained with different configurations."""
    keys = ["experiment", "variant"]
    for (experiment, variant), hashes in models(table).groupby(keys, sort=False)["config_hash"]:
        first, *others = dict.fromkeys(hashes)
        if others:
            rows = table[(table["experiment"] == experiment) & (table["variant"] == variant)]
            seeds = [sorted(set(rows[rows["config_hash"] == found]["seed"])) for found in (first, others[0])]
            which = " and ".join(
                f"config_hash {found} (seed {', '.join(map(str, of))})"
                for found, of in zip((first, others[0]), seeds, strict=True)
            )
            raise ValueError(
                f"{path}: {variant} of {experiment} was trained with two configurations, {which}; "
                "give each a variant name of its own"
            )
