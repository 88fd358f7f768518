"""The gate: rows against a baseline's, per variant, mode, metric and target domain, with a tolerance per metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from sg2bench import results
from sg2bench.config import REFERENCE_LINES
from sg2bench.results import better

TOLERANCES = {"lpips": 0.05}
_TOLERANCE = 0.10
"""How much worse, as a share of the baseline's value, a mean over seeds may be; for metrics not named above."""


def tolerances(given: Sequence[str]) -> dict[str, float]:
    """`metric=share` texts as a mapping. Raises ValueError on a text that is not of that form."""
    parsed = dict(TOLERANCES)
    for text in given:
        metric, _, share = text.partition("=")
        try:
            parsed[metric] = float(share)
        except ValueError:
            raise ValueError(f"--tolerance {text}: expected metric=share, as in --tolerance fd_alexnet=0.1") from None
        if not 0 <= parsed[metric] < float("inf"):
            raise ValueError(f"--tolerance {text}: the share must be 0 or more")
    return parsed


def compare(results_file: Path, baseline_file: Path, allowed: Mapping[str, float]) -> pd.DataFrame:
    """One line per variant, mode, metric and target of the baseline: means over seeds, relative change for the worse,
    tolerance, and whether it regressed.

    Raises ValueError where the two cannot be compared: other protocol, data or counts, missing rows, or a
    tolerance for a metric that is not there.
    """
    new, old = (_domain_rows(path) for path in (results_file, baseline_file))
    if unknown := sorted(set(allowed) - set(TOLERANCES) - set(old["metric"])):
        raise ValueError(f"--tolerance {unknown[0]}: {baseline_file} has no such metric")
    for column in ("protocol_hash", "data_fingerprint", "n_real", "n_fake"):
        ours, theirs = (set(table[column].dropna()) for table in (new, old))
        if ours != theirs:
            raise ValueError(
                f"{column} differs and such values cannot be compared: {_listed(ours)} in {results_file}, "
                f"{_listed(theirs)} in {baseline_file}"
            )
    keys = ["variant", "mode", "metric", "target"]
    if missing := sorted(
        set(old[keys].itertuples(index=False, name=None)) - set(new[keys].itertuples(index=False, name=None))
    ):
        raise ValueError(f"{results_file}: has no row for {' / '.join(missing[0])}, which {baseline_file} has")
    table = pd.concat(
        {
            "baseline": old.groupby(keys, sort=False)["value"].mean(),
            "value": new.groupby(keys, sort=False)["value"].mean(),
        },
        axis=1,
    ).dropna()
    table = table.reset_index()
    sign = table["metric"].map(lambda metric: 1 if better(metric) == "lower" else -1)
    table["worse_by"] = sign * (table["value"] - table["baseline"]) / table["baseline"].abs()
    table["tolerance"] = table["metric"].map(lambda metric: allowed.get(metric, _TOLERANCE))
    table["regressed"] = table["worse_by"] > table["tolerance"]
    return table


def _domain_rows(path: Path) -> pd.DataFrame:
    table = results.read(path)
    rows = table[(table["source"] == "*") & ~table["variant"].isin(REFERENCE_LINES)]
    if rows.empty:
        raise ValueError(f"{path}: has no rows of a model's target domains to compare")
    return rows


def _listed(values: set[object]) -> str:
    return ", ".join(sorted(map(str, values))) or "none"
