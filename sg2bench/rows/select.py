"""Selection of rows: models, reference lines, means, steps."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from sg2bench.catalog import METRICS, PROTOCOLS, REFERENCE_LINES

_OF_A_LINE = ["experiment", "variant", "mode", "metric", "source", "target", "data_fingerprint", "protocol_hash"]
"""Columns that identify a value of a reference line, which does not depend on how models are trained."""
_LINE_TOLERANCE = 1e-4
"""Relative difference that rounding on different devices may cause."""


def is_line(table: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows belong to reference lines."""
    return table["variant"].isin(REFERENCE_LINES)


def models(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of models, without reference lines."""
    return table[~is_line(table)]


def overall(table: pd.DataFrame) -> pd.DataFrame:
    """Return the means over all pairs of domains."""
    return table[(table["source"] == "*") & (table["target"] == "*")]


def of_targets(table: pd.DataFrame) -> pd.DataFrame:
    """Return the means of single target domains over all sources."""
    return table[(table["source"] == "*") & (table["target"] != "*")]


def of_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of single pairs of domains."""
    return table[(table["source"] != "*") & (table["target"] != "*")]


def baseline(table: pd.DataFrame) -> str:
    """Return the variant that all others are compared with: the first one in the rows."""
    return str(models(table)["variant"].iloc[0])


def metrics_and_modes(values: pd.DataFrame) -> list[tuple[str, str]]:
    """Return each metric with each mode that has values, grouped by metric."""
    modes = list(dict.fromkeys(values["mode"]))
    found = set(zip(values["metric"], values["mode"], strict=True))
    return [(metric, mode) for metric in dict.fromkeys(values["metric"]) for mode in modes if (metric, mode) in found]


def of_all_sources(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows measured on all sources."""
    return table[table["protocol"].isin(PROTOCOLS)]


def of_half(table: pd.DataFrame, half: Literal["even", "odd"]) -> pd.DataFrame:
    """Return the rows measured on the even or on the odd sources."""
    return table[table["protocol"].str.endswith(f", {half} sources")]


def last_steps(table: pd.DataFrame) -> pd.DataFrame:
    """Return each run's rows at its last step, on all sources, and each reference line once."""
    table = of_all_sources(table)
    table = table[~(is_line(table) & table.duplicated(_OF_A_LINE))]
    runs = table.groupby(["experiment", "variant", "seed"], sort=False)["step"]
    return table[table["step"] == runs.transform("max")]


def averaged_steps(table: pd.DataFrame, count: int, path: Path) -> pd.DataFrame:
    """Average each model's rows, and `step`, over its last `count` evaluated steps, on the even sources; a column
    `steps` lists them, such as `2000, 3000`.

    All evaluated steps have rows on the even sources. Raises ValueError that names a run with fewer evaluated steps, or
    a step that lacks a row.
    """
    runs = ["experiment", "variant", "seed"]
    all_runs, table = models(table)[runs].drop_duplicates(), models(of_half(table, "even"))
    steps = table[[*runs, "step"]].drop_duplicates().sort_values("step")
    last = steps.groupby(runs, sort=False).tail(count)
    counts = all_runs.merge(last.groupby(runs, sort=False).size().reset_index(name="count"), how="left")
    counts = counts.fillna({"count": 0}).astype({"count": int}).sort_values("count", kind="stable")
    if steps.empty:
        raise ValueError(f"{path}: no run has evaluated steps: set train.evaluate_every or evaluate_at")
    fewest = counts.iloc[0]
    if fewest["count"] < count:
        raise ValueError(
            f"{path}: {fewest['variant']}, seed {fewest['seed']}, has {fewest['count']} evaluated steps, fewer than "
            f"{count}: set train.evaluate_every or evaluate_at, or average fewer"
        )
    averaged = last.groupby(runs, sort=False)["step"].agg(lambda each: ", ".join(map(str, each))).rename("steps")
    kept = table.merge(last).merge(averaged.reset_index()).sort_values("step", kind="stable")
    keys = [*runs, "mode", "source", "target", "metric"]
    groups = kept.groupby(keys, sort=False)
    if (incomplete := groups["step"].transform("size") != count).any():
        row = kept[incomplete].iloc[0]
        which = " ".join(str(row[key]) for key in ("metric", "mode", "source", "target"))
        raise ValueError(f"{path}: {row['variant']}, seed {row['seed']}, has {which} at only some of {row['steps']}")
    means = groups[["step", "value"]].transform("mean")
    return kept.assign(**means).drop_duplicates(keys, keep="last")


def best_step(table: pd.DataFrame, metric: str) -> int:
    """Return the step of one run that is best by a metric, averaged over all pairs and modes, on the even sources.

    Of several equally good steps, return the first.
    """
    values = overall(of_half(table, "even"))
    means = values[values["metric"] == metric].groupby("step")["value"].mean()
    worse = METRICS[metric].sign * means.to_numpy()
    return int(means.index.to_numpy()[worse.argmin()])


def refuse_other_lines(table: pd.DataFrame, path: Path) -> None:
    """Raise ValueError that names two rows of a reference line with different values, such as from two runs."""
    lines = table[is_line(table)]
    for _, same in lines[lines.duplicated(_OF_A_LINE, keep=False)].groupby(_OF_A_LINE, sort=False):
        first = same.iloc[0]
        near = np.isclose(same["value"], first["value"], rtol=_LINE_TOLERANCE, atol=1e-9)
        of_same = (same["n_real"] == first["n_real"]) & (same["n_fake"] == first["n_fake"])
        for _, other in same[~(near & of_same)].iterrows():
            both = " and ".join(
                f"{row['value']:g} of {row['n_fake']} images (config_hash {row['config_hash']})"
                for row in (first, other)
            )
            raise ValueError(
                f"{path}: {first['metric']} of the reference line `{first['variant']}` has two values, {both}; it "
                "depends on the images alone, so remove the wrong rows"
            )


def refuse_mixed_configurations(table: pd.DataFrame, path: Path) -> None:
    """Raise ValueError that names two configurations if a variant's models were trained with different ones."""
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
                "give each its own variant name"
            )
