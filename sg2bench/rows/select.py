"""Which rows of a table count."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from sg2bench.catalog import METRICS, PROTOCOLS, REFERENCE_LINES

_OF_A_LINE = ["experiment", "variant", "mode", "metric", "source", "target", "data_fingerprint", "protocol_hash"]
"""What a value of a reference line is of: it does not depend on how models are trained."""
_LINE_TOLERANCE = 1e-4
"""Two devices round differently."""


def is_line(table: pd.DataFrame) -> pd.Series[bool]:
    """Which rows are those of reference lines."""
    return table["variant"].isin(REFERENCE_LINES)


def models(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of models, without the reference lines."""
    return table[~is_line(table)]


def overall(table: pd.DataFrame) -> pd.DataFrame:
    """The means over all pairs of domains."""
    return table[(table["source"] == "*") & (table["target"] == "*")]


def baseline(table: pd.DataFrame) -> str:
    """The variant that all others are compared with: the first one of the rows."""
    return str(models(table)["variant"].iloc[0])


def metrics_and_modes(values: pd.DataFrame) -> list[tuple[str, str]]:
    """Every metric with every mode that has values, the modes of a metric in a row."""
    modes = list(dict.fromkeys(values["mode"]))
    found = set(zip(values["metric"], values["mode"], strict=True))
    return [(metric, mode) for metric in dict.fromkeys(values["metric"]) for mode in modes if (metric, mode) in found]


def of_all_sources(table: pd.DataFrame) -> pd.DataFrame:
    """Rows for which all sources were translated, not half of them."""
    return table[table["protocol"].isin(PROTOCOLS)]


def of_half(table: pd.DataFrame, half: Literal["even", "odd"]) -> pd.DataFrame:
    """Rows for which every second source was translated."""
    return table[table["protocol"].str.endswith(f", {half} sources")]


def last_steps(table: pd.DataFrame) -> pd.DataFrame:
    """Each run's rows at its last step, of all sources; a reference line that is there twice, once."""
    table = of_all_sources(table)
    table = table[~(is_line(table) & table.duplicated(_OF_A_LINE))]
    runs = table.groupby(["experiment", "variant", "seed"], sort=False)["step"]
    return table[table["step"] == runs.transform("max")]


def averaged_steps(table: pd.DataFrame, count: int, path: Path) -> pd.DataFrame:
    """Each model's rows averaged over its last `count` evaluated steps, on the even sources, which all of them have.
    `step` is averaged, too.

    Raises ValueError, with the run named, if it was evaluated at fewer steps.
    """
    table = models(of_half(table, "even"))
    runs = ["experiment", "variant", "seed"]
    steps = table[[*runs, "step"]].drop_duplicates().sort_values("step")
    last = steps.groupby(runs, sort=False).tail(count)
    evaluated = last.groupby(runs, sort=False)["step"].size()
    if evaluated.empty or evaluated.min() < count:
        which = " of {1}, seed {2},".format(*evaluated.idxmin()) if len(evaluated) else ""
        raise ValueError(
            f"{path}:{which} has {evaluated.min() if len(evaluated) else 0} evaluated steps, fewer than {count}: train "
            "with train.evaluate_every, or average fewer"
        )
    kept = table.merge(last).sort_values("step", kind="stable")
    keys = [*runs, "mode", "source", "target", "metric"]
    means = kept.groupby(keys, sort=False)[["step", "value"]].transform("mean")
    return kept.assign(**means).drop_duplicates(keys, keep="last")


def best_step(table: pd.DataFrame, metric: str) -> int:
    """The step of one run that is best by a metric on the even sources: by the mean over all pairs, and over the modes
    that measure it; the first of several.
    """
    values = overall(of_half(table, "even"))
    means = values[values["metric"] == metric].groupby("step")["value"].mean()
    worse = METRICS[metric].sign * means.to_numpy()
    return int(means.index.to_numpy()[worse.argmin()])


def refuse_other_lines(table: pd.DataFrame, path: Path) -> None:
    """Raise ValueError, with both named, if a reference line is there twice, as of two runs, with other values."""
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
                f"{path}: {first['metric']} of the reference line `{first['variant']}` is there twice, {both}; it "
                "depends on the images alone: remove the rows that are wrong"
            )


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
