"""Answers from result rows: the verdict on each claim, and the effect of each variant."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from sg2bench import experiments, yaml_files
from sg2bench.config import Experiment
from sg2bench.keys import Claim
from sg2bench.layout import EXPERIMENT, PathLike, with_home
from sg2bench.rows import COLUMNS, ROW_KEY, judge_claims, measure_effects, read, refuse_mixture


def effects(results: PathLike | pd.DataFrame, *, experiment: PathLike | None = None) -> pd.DataFrame:
    """Compare every variant with the first one over seeds; return a row for each variant, metric and mode.

    `results` are result rows or their file. Columns: the means of both sides, the `effect` (a `ratio` or a
    `difference`, as `scale` says) with its 95 % interval, `p` and `p_holm` (adjusted for all rows), the `standardised`
    effect, which is positive if the variant is worse, and a sentence. `primary` marks effects on which a claim of the
    `experiment` rests; by default it is the `experiment.yaml` next to the file. Raises ValueError for rows that cannot
    be compared.
    """
    return measure_effects(*in_declared_order(*_read(results, experiment), Path("rows")))


def claims(results: PathLike | pd.DataFrame, *, experiment: PathLike | None = None) -> pd.DataFrame:
    """Return a verdict on each claim of the `experiment`: `holds here`, `does not hold here` or `not decided`.

    Arguments are those of `effects`, columns are `rows.claims.COLUMNS`; `p_holm` is adjusted for the claims alone.
    Raises ValueError like `effects`, and if the experiment makes no claims.
    """
    table, known = _read(results, experiment)
    if known.with_claims is None:
        raise ValueError("no `claims` to judge: name an experiment that has some, such as experiment='critters'")
    return judge_claims(table, known.with_claims)


class Declared(NamedTuple):
    """What an experiment says about its rows."""

    first: str | None = None
    """Its first variant, if known."""
    with_claims: Experiment | None = None
    """The experiment itself, if it makes claims."""
    runs: frozenset[tuple[str, int]] = frozenset()
    """Its variants and seeds, if known."""


def declared(folder: Path) -> Declared:
    """Return what the experiment next to the rows declares. Without claims, the file may be of another version."""
    path = folder / EXPERIMENT
    plain = yaml_files.read(path) if path.is_file() else None
    if not isinstance(plain, dict):
        return Declared()
    if plain.get("claims"):
        return _of(experiments.load(path))
    variants, seeds = plain.get("variants"), plain.get("seeds")
    if not isinstance(variants, dict):
        return Declared()
    listed = [seed for seed in seeds if isinstance(seed, int)] if isinstance(seeds, list) else []
    return Declared(next(iter(variants), None), runs=frozenset(itertools.product(map(str, variants), listed)))


def _of(experiment: Experiment) -> Declared:
    runs = frozenset(itertools.product(experiment.variants, experiment.seeds))
    return Declared(next(iter(experiment.variants)), experiment if experiment.claims else None, runs)


def without_rows(table: pd.DataFrame, known: Declared) -> str:
    """Return a sentence that names the declared runs of which there are no rows; empty if there are none."""
    missing: dict[str, list[str]] = {}
    for variant, seed in sorted(known.runs.difference(zip(table["variant"], table["seed"], strict=True))):
        missing.setdefault(variant, []).append(str(seed))
    named = "; ".join(
        f"{variant}, seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}" for variant, seeds in missing.items()
    )
    return f"Runs without rows, which failed or are not finished: {named}." if named else ""


def in_declared_order(table: pd.DataFrame, known: Declared, where: Path) -> tuple[pd.DataFrame, Sequence[Claim]]:
    """Return the rows with the experiment's first variant first, as changes are relative to it, and the claims about
    them.

    If that variant has no rows, such as after a training that diverged, warns and returns no claims.
    """
    first = known.first
    if first is None:
        return table, ()
    if first not in set(table["variant"]):
        warnings.warn(
            f"{where}: has no rows of `{first}`, the experiment's first variant; changes are relative to another one",
            stacklevel=2,
        )
        return table, ()
    claims = known.with_claims.claims if known.with_claims else ()
    return table.sort_values("variant", key=lambda names: names != first, kind="stable"), claims


def _read(results: PathLike | pd.DataFrame, experiment: PathLike | None) -> tuple[pd.DataFrame, Declared]:
    known = None if experiment is None else _of(experiments.load(with_home(experiment)))
    if isinstance(results, pd.DataFrame):
        if missing := [column for column in COLUMNS if column not in results]:
            raise ValueError(f"rows: column {missing[0]} is missing; result rows have {', '.join(COLUMNS)}")
        if results["value"].isna().any():
            raise ValueError("rows: a value is missing; remove its row, or measure it again")
        if results.duplicated(ROW_KEY).any():
            raise ValueError("rows: a row is there twice, so its seed would count twice; drop duplicates")
        refuse_mixture(results, Path("rows"))
        return results, known or Declared()
    path = with_home(results)
    table = read(path)
    refuse_mixture(table, path)
    return table, known or declared(path.parent)
