"""The choice of variants to draw from a large study: a plot of a thousand is unreadable."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from sg2bench.report.variants import first_column
from sg2bench.rows import baseline, is_line, models, overall

if TYPE_CHECKING:
    from sg2bench.keys import Claim

MOST_DRAWN = 24
"""Largest number of variants in a plot."""


def fold(table: pd.DataFrame, ranked: Sequence[str], claims: Sequence[Claim]) -> tuple[list[str], str]:
    """Choose the variants that pictures show, in order, and say which are left out and where those are.

    Up to MOST_DRAWN variants are all shown; of more, only the first of the rows, those that claims are about, and the
    best of the others.
    """
    if len(ranked) <= MOST_DRAWN:
        return list(ranked), ""
    needed = {baseline(table), *(claim.variant for claim in claims)}.intersection(ranked)
    others = [variant for variant in ranked if variant not in needed]
    kept = needed.union(others[: max(0, MOST_DRAWN - len(needed))])
    (metric, mode), whose = first_column(overall(models(table))), ", those that claims are about" if claims else ""
    said = (
        f"{len(ranked)} variants, of which plots, examples and samples show {len(kept)}: {baseline(table)} (the "
        f"first){whose} and the best by {metric}, {mode}. The other {len(ranked) - len(kept)} are "
        "in the tables below, leaderboard.md, summary.csv, effects.csv and results.csv, and their pictures, if any, in "
        "grids/."
    )
    return [variant for variant in ranked if variant in kept], said


def only(table: pd.DataFrame, variants: Collection[str]) -> pd.DataFrame:
    """Return the rows of these variants and of the reference lines."""
    return table[table["variant"].isin(variants) | is_line(table)]
