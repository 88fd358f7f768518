"""The first sections of a report: the verdict on each claim, and the effects as figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sg2bench.catalog import QUESTIONS
from sg2bench.layout import EFFECTS_PLOT, plot_file
from sg2bench.report import effect_plots, figures, plots
from sg2bench.report.figures import Picture
from sg2bench.rows import baseline
from sg2bench.rows.claims import RULE
from sg2bench.rows.effects import SIGNIFICANCE


@dataclass(frozen=True)
class Line:
    """A row of the claim table, as text."""

    term: str
    purpose: str
    verdict: str
    evidence: str
    details: str


@dataclass(frozen=True)
class Lead:
    """The first sections of a page; `rule` says how claims are decided."""

    claims: list[Line]
    rule: str
    overview: Picture
    forests: list[Picture]


def lead(effects: pd.DataFrame, claims: pd.DataFrame, table: pd.DataFrame, out: Path) -> Lead | None:
    """Draw the effects and put the verdicts into words; None for a single variant."""
    if effects.empty:
        return None
    overview = _overview(effects, table, out)
    return Lead([_line(row) for row in claims.itertuples()], RULE, overview, list(_forests(effects, table, out)))


def _line(row: Any) -> Line:
    details = f"Primary metric: {'swing of ' * (row.over == 'swing')}{row.metric}, {row.mode}."
    if not pd.isna(row.p_holm):
        details += f" p {'< 0.001' if row.p_holm < 0.001 else f'= {row.p_holm:.3f}'} after Holm"
        deviations = f"; effect: {abs(row.standardised):.1f} standard deviations over seeds"
        details += f"{deviations * bool(np.isfinite(row.standardised))}."
    return Line(row.term, row.purpose, row.verdict, row.sentence.replace(" %", "\u00a0%"), details)


def _overview(effects: pd.DataFrame, table: pd.DataFrame, out: Path) -> Picture:
    first = baseline(table)
    plots.save(effect_plots.overview(effects), out / EFFECTS_PLOT)
    frames = (
        " Frames mark the metrics that decide claims; all others are exploratory." if effects["primary"].any() else ""
    )
    caption = (
        f"Difference of each variant from {first}, in standard deviations over seeds (Cohen's d; on the logarithm for "
        f"ratios). Colours saturate at ±{effect_plots.FURTHEST_COLOUR}. A dot means that the 95 % interval excludes "
        f"zero difference, a ring that p < {SIGNIFICANCE} after Holm's correction for all cells. Hatched cells were "
        f"not measured, or have a single seed.{frames} {figures.counts(table)}"
    )
    reading = (
        f"red is worse than {first}, blue is better. Read down a column to see which questions a variant fails. A "
        "colour without a dot may be chance."
    )
    return Picture("What each variant changes", caption, reading, out / EFFECTS_PLOT)


def _forests(effects: pd.DataFrame, table: pd.DataFrame, out: Path) -> Iterator[Picture]:
    first = baseline(table)
    for question in QUESTIONS:
        of_question = effects[effects["question"] == question]
        if of_question.empty:
            continue
        file = out / plot_file(question, "effect")
        plots.save(effect_plots.forest(of_question), file)
        caption = (
            f"Change from {first}, in per cent for ratios, otherwise as a difference, with 95 % interval over seeds. "
            "Filled marks are significant after Holm's correction for all effects. A triangle marks a value beyond "
            f"the axis. {figures.counts(table[table['metric'].isin(of_question['metric'])])}"
        )
        reading = f"the shaded side is worse than {first}. An interval that includes 0 shows no clear change."
        yield Picture(f"{question.capitalize()}, effects", caption, reading, file)
