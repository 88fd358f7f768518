"""The leaderboard of one experiment: variants by mean over seeds, how far they are from the first, reference lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, nan
from typing import Any

import pandas as pd

from sg2bench import texts
from sg2bench.catalog import METRICS, QUESTIONS, REFERENCE_LINES, Question, heading, place_of_question
from sg2bench.rows import baseline, commits, days, is_line, listed, metrics_and_modes, overall, summarize
from sg2bench.rows import models as models_of
from sg2bench.rows.claims import RULE
from sg2bench.rows.effects import SIGNIFICANCE
from sg2bench.rows.sentences import change, significant

COMPARED = [name for name, entry in METRICS.items() if "real" in entry.needs]
"""Metrics that compare with training images of the target."""


def number(value: float) -> str:
    """Format with two decimals, one from 100, four below 1; with two significant digits below 0.001."""
    size = abs(value)
    if 0 < size < 0.001:
        return significant(value, 2)
    return f"{value + 0.0:.4f}" if size < 1 else f"{value:.2f}" if size < 100 else f"{value:.1f}"


def spread(mean: float, deviation: float, signed: bool = False) -> str:
    """Format mean ± standard deviation over seeds; the mean alone for a single seed."""
    if pd.isna(mean):
        return "–"
    text = ("+" if signed and mean >= 0 else "") + number(mean)
    return text if pd.isna(deviation) else f"{text} ± {number(deviation)}"


@dataclass(frozen=True)
class Table:
    """The metrics of one question, as text: a row per variant, then the reference lines, then the variants' changes
    from the first one.
    """

    question: Question
    header: list[str]
    rows: list[list[str]]
    lines: list[list[str]]
    changes: list[list[str]]
    """A row for each variant but the first, without the last column."""

    @property
    def title(self) -> str:
        return heading(self.question)


def order(table: pd.DataFrame) -> list[str]:
    """Return the variants, best first by the first column of the first table. Raises ValueError if there are no
    means.
    """
    means = overall(models_of(table))
    if means.empty:
        raise ValueError("there are no overall values (source and target `*`) to rank")
    metric, mode = first_column(means)
    ranking = means[(means["metric"] == metric) & (means["mode"] == mode)]
    found = METRICS[metric].sign * ranking.groupby("variant")["value"].mean()
    return sorted(dict.fromkeys(models_of(table)["variant"]), key=lambda variant: found.get(variant, inf))


def first_column(means: pd.DataFrame) -> tuple[str, str]:
    """Return the metric and mode of the first column of the first table."""
    return min(metrics_and_modes(means), key=lambda column: place_of_question(column[0]))


def in_order(frame: pd.DataFrame, variants: Sequence[str]) -> pd.DataFrame:
    """Return a frame with a column `variant`, sorted to have these variants first and in this order."""
    places = {variant: place for place, variant in enumerate(variants)}
    return frame.sort_values("variant", key=lambda names: names.map(places), kind="stable")


def tables(table: pd.DataFrame, effects: pd.DataFrame) -> list[Table]:
    """Return a table for each question that the metrics answer: all variants in the same order, then its reference
    lines.

    A cell of `rows` is mean ± standard deviation over seeds, one of `changes` the effect with its 95 % interval, with *
    if it is significant after the correction for all `effects`.
    """
    ranked, found = order(table), metrics_and_modes(overall(models_of(table)))
    questions = {question: [key for key in found if METRICS[key[0]].question == question] for question in QUESTIONS}
    return [_table(table, effects, question, columns, ranked) for question, columns in questions.items() if columns]


def _table(
    table: pd.DataFrame, effects: pd.DataFrame, question: Question, columns: list[tuple[str, str]], ranked: list[str]
) -> Table:
    models = models_of(table)
    first, seeds = baseline(models), models.groupby("variant")["seed"].nunique()
    keyed = summarize(models).set_index(["variant", "metric", "mode"])
    cells = {key: (mean, sd) for key, mean, sd in keyed[["mean", "sd"]].itertuples(name=None)}
    rows = [
        [
            variant,
            *(spread(*cells.get((variant, *column), (nan, nan))) for column in columns),
            str(seeds[variant]),
        ]
        for variant in ranked
    ]
    lines = []
    for line, title in REFERENCE_LINES.items():
        level = overall(table[table["variant"] == line]).drop_duplicates("metric").set_index("metric")["value"]
        if any(metric in level for metric, _ in columns):
            lines.append([title, *(number(level[metric]) if metric in level else "–" for metric, _ in columns), "–"])
    by_key = {(row.variant, row.metric, row.mode): row for row in effects.itertuples()}
    changes = [
        [variant, *(marked_change(by_key[variant, *column]) for column in columns)]
        for variant in ranked
        if variant != first
    ]
    header = ["variant", *(f"{metric} {mode} {METRICS[metric].arrow}" for metric, mode in columns), "seeds"]
    return Table(question, header, rows, lines, changes)


def marked_change(effect: Any) -> str:
    """Format an effect with its interval, with * if it is significant after the correction for all effects."""
    return f"{change(effect)}{' *' * (effect.p_holm < SIGNIFICANCE)}"


def markdown(table: pd.DataFrame, effects: pd.DataFrame, claims: pd.DataFrame, command: str, missing: str = "") -> str:
    """Return the leaderboard as Markdown: the verdicts on claims, the tables, which runs are missing, what the numbers
    are, and the command that made them.
    """
    parts = [f"# {texts.markdown(table['experiment'].iloc[0])}"]
    if len(claims):
        shown = claims[["term", "purpose", "verdict", "sentence"]].map(texts.markdown).to_numpy().tolist()
        parts += ["## Claims", texts.markdown_table(["term", "what it is for", "verdict", "evidence"], shown), RULE]
    for of_question in tables(table, effects):
        rows = [[texts.markdown(name), *cells] for name, *cells in of_question.rows]
        rows += [[f"*{title}*", *cells] for title, *cells in of_question.lines]
        parts += [f"## {of_question.title}", texts.markdown_table(of_question.header, rows)]
        if of_question.changes:
            changes = [[texts.markdown(name), *map(texts.markdown, cells)] for name, *cells in of_question.changes]
            parts += [
                f"Change from {texts.markdown(baseline(table))}:",
                texts.markdown_table(of_question.header[:-1], changes),
            ]
    parts += [
        texts.markdown(f"{missing} {caption(table)} Protocol hash {hashes(table)}.".strip()),
        f"Made by {texts.markdown_code(command)}.",
    ]
    return "\n\n".join(parts) + "\n"


def caption(table: pd.DataFrame) -> str:
    """Describe the cells, with counts, device and versions, as plain text."""
    models = models_of(table)
    first, compared = models.iloc[0], models[models["metric"].isin(COMPARED)]
    lines = table[is_line(table)]
    real = f" against {span(compared['n_real'])} training images of the target" if len(compared) else ""
    line_counts = f" Reference lines use {span(lines['n_fake'])} images." if len(lines) else ""
    seeds = ", ".join(str(int(seed)) for seed in sorted(models["seed"].unique()))
    changes = (
        f"Changes are relative to {first['variant']}, with 95 % intervals, paired where both have the same seeds; * "
        "means significant after Holm's correction for all changes. "
    )
    return (
        f"Mean ± standard deviation over seeds ({seeds}). {changes if models['variant'].nunique() > 1 else ''}"
        f"{span(models['step'])} steps; each pair: {span(models['n_fake'])} outputs "
        f"({span(models['outputs_per_source'])} per source){real}.{line_counts} "
        f"Protocol {first['protocol']}, data {first['data_fingerprint']}, "
        f"{listed(models['device'])}, torch {listed(models['torch_version'])}, "
        f"sg2bench {listed(models['sg2bench_version'])} at {commits(models)}, {days(models)}."
    )


def span(counts: pd.Series) -> str:
    """Format the common count, or the smallest and the largest."""
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"


def hashes(table: pd.DataFrame) -> str:
    """Format the protocol hash of each metric, with those that share one together."""
    by_hash: dict[str, list[str]] = {}
    for metric, found in table[["metric", "protocol_hash"]].drop_duplicates().itertuples(index=False, name=None):
        by_hash.setdefault(found, []).append(metric)
    if len(by_hash) == 1:
        return next(iter(by_hash))
    return ", ".join(f"{found} ({', '.join(metrics)})" for found, metrics in by_hash.items())
