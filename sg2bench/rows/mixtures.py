"""Refusal of rows that cannot be compared in one report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from sg2bench.rows.select import (
    is_line,
    last_steps,
    models,
    of_all_sources,
    of_half,
    refuse_mixed_configurations,
    refuse_other_lines,
)

_SEVERAL = {"experiment": "experiments", "data_fingerprint": "data fingerprints", "protocol": "protocols"}


def refuse_mixture(everything: pd.DataFrame, path: Path) -> None:
    """Raise ValueError for rows of several experiments, image sets, protocols or configurations, for unequal pairs or
    counts, and for reference lines alone. Steps measured on half of the sources are checked, too.
    """
    refuse_other_lines(everything, path)
    table = last_steps(everything)
    if table.empty and len(everything):
        some = everything["protocol"].iloc[0]
        raise ValueError(f"{path}: holds rows of half of the sources only (protocol {some}); give those of all sources")
    if is_line(table).all():
        raise ValueError(f"{path}: holds reference lines only, no variant")
    _refuse_other_values(table, path)
    refuse_mixed_configurations(table, path)
    _refuse_other_pairs(models(table), path)
    _refuse_other_counts(models(table), path)
    refuse_earlier_values(everything, path)
    _refuse_missing_seeds(models(table), path)
    for half in ("even", "odd"):
        rows = of_half(models(everything), half)
        _refuse_other_values(rows, path)
        refuse_mixed_configurations(rows, path)
        if len(rows):
            _refuse_other_pairs(rows, path)
            _refuse_other_counts(rows, path)


def refuse_earlier_values(everything: pd.DataFrame, path: Path) -> None:
    """Raise ValueError if a run was measured by a metric on all sources, but not at its last step."""
    runs, measured = ["experiment", "variant", "seed"], ["metric", "mode"]
    whole = of_all_sources(models(everything))
    latest = whole.groupby([*runs, *measured], sort=False)["step"].max().reset_index()
    last = latest.groupby(runs, sort=False)["step"].transform("max")
    if (early := latest["step"] < last).any():
        row = latest[early].iloc[0]
        raise ValueError(
            f"{path}: {row['variant']}, seed {row['seed']}, has {row['metric']} {row['mode']} at step {row['step']}, "
            f"but not at its last step, {last[early].iloc[0]}; measure it again with `sg2bench ablate`"
        )


def _refuse_missing_seeds(table: pd.DataFrame, path: Path) -> None:
    """Raise ValueError if a variant has other seeds in one metric and mode than in others."""
    seeds: dict[str, dict[tuple[str, str], set[int]]] = {}
    keys = table[["variant", "metric", "mode", "seed"]].drop_duplicates()
    for variant, metric, mode, seed in keys.itertuples(index=False, name=None):
        seeds.setdefault(variant, {}).setdefault((metric, mode), set()).add(seed)
    for variant, measured in seeds.items():
        for (metric, mode), found in measured.items():
            if missing := set().union(*measured.values()) - found:
                raise ValueError(
                    f"{path}: {variant} has no {metric} {mode} of seed {min(missing)}, but other values; means over "
                    "different seeds cannot be compared"
                )


def _refuse_other_values(table: pd.DataFrame, path: Path) -> None:
    for column, several in _SEVERAL.items():
        if len(found := sorted(set(table[column]))) > 1:
            raise ValueError(f"{path}: rows of several {several} cannot be compared: {', '.join(found)}")
    for metric, of_metric in table.groupby("metric", sort=False)["protocol_hash"]:
        if len(found := sorted(set(of_metric))) > 1:
            raise ValueError(
                f"{path}: rows of several protocol hashes cannot be compared: {metric} has {', '.join(found)}"
            )


def _refuse_other_pairs(table: pd.DataFrame, path: Path) -> None:
    firsts: dict[tuple[Any, Any], tuple[str, set[Any]]] = {}
    keys = ["mode", "metric", "variant", "seed"]
    for (mode, metric, variant, seed), rows in table.groupby(keys, sort=False)[["source", "target"]]:
        name, pairs = f"{variant} seed {seed}", set(rows.itertuples(index=False, name=None))
        first, of_first = firsts.setdefault((mode, metric), (name, pairs))
        if pairs != of_first:
            source, target = sorted(pairs ^ of_first)[0]
            raise ValueError(
                f"{path}: {name} and {first} have different pairs of domains (e.g. {source} → {target}) in {metric}, "
                f"{mode}; their means cannot be compared"
            )


def _refuse_other_counts(table: pd.DataFrame, path: Path) -> None:
    groups = table.groupby(["mode", "metric", "source", "target"], sort=False)
    for column in ("n_real", "n_fake"):
        differing = groups[column].nunique()
        for mode, metric, source, target in differing.index[differing > 1]:
            counts = groups.get_group((mode, metric, source, target))[column]
            raise ValueError(
                f"{path}: {mode} {metric} {source} → {target} has {column} "
                f"{', '.join(map(str, sorted(set(counts))))}; values of unequal counts cannot be compared"
            )
