"""The leaderboard of one experiment: variants by mean over seeds, their difference from the first, reference lines."""

from __future__ import annotations

from math import inf, nan

import pandas as pd

from sg2bench import texts
from sg2bench.catalog import METRICS, REFERENCE_LINES
from sg2bench.rows import is_line, overall, summarize
from sg2bench.rows import models as models_of


def number(value: float) -> str:
    """Three significant digits, four below 1."""
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 100 else f"{value:.1f}"


def spread(mean: float, deviation: float, signed: bool = False) -> str:
    if pd.isna(mean):
        return "–"
    text = ("+" if signed and mean >= 0 else "") + number(mean)
    return text if pd.isna(deviation) else f"{text} ± {number(deviation)}"


def variants_table(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and rows as text: variants best first by the first metric and mode, then the reference lines.

    A cell is mean ± standard deviation over seeds; behind it in brackets the difference from the first variant of
    the table, paired by seed.
    """
    models = models_of(table)
    summary = summarize(models)
    columns = list(summary[["metric", "mode"]].drop_duplicates().itertuples(index=False, name=None))
    if not columns:
        raise ValueError("there are no overall values (source and target `*`) to rank")
    baseline = models["variant"].iloc[0]
    keyed = summary.set_index(["variant", "metric", "mode"])
    cells = {key: (mean, sd) for key, mean, sd in keyed[["mean", "sd"]].itertuples(name=None)}
    first_metric, first_mode = columns[0]
    sign = METRICS[first_metric].sign

    def rank(variant: str) -> float:
        return (
            sign * cells[variant, first_metric, first_mode][0] if (variant, first_metric, first_mode) in cells else inf
        )

    header = ["variant", *(f"{m} {mode} {METRICS[m].arrow}" for m, mode in columns), "seeds"]
    rows = []
    for variant in sorted(dict.fromkeys(models["variant"]), key=rank):
        row = [variant]
        for metric, mode in columns:
            mean, deviation = cells.get((variant, metric, mode), (nan, nan))
            text = spread(mean, deviation)
            if variant != baseline and {(variant, metric, mode), (baseline, metric, mode)} <= set(cells):
                text += f" ({spread(*difference(models, variant, baseline, metric, mode), signed=True)})"
            row.append(text)
        rows.append([*row, str(models[models["variant"] == variant]["seed"].nunique())])
    for line in REFERENCE_LINES:
        level = overall(table[table["variant"] == line]).set_index("metric")["value"]
        if len(level):
            cells_of_line = [number(level[metric]) if metric in level else "–" for metric, _ in columns]
            rows.append([f"*{REFERENCE_LINES[line]}*", *cells_of_line, "–"])
    return header, rows


def difference(table: pd.DataFrame, variant: str, baseline: str, metric: str, mode: str) -> tuple[float, float]:
    """Mean and standard deviation over common seeds of variant minus baseline, overall values; NaN if there is none."""
    chosen = overall(table[(table["metric"] == metric) & (table["mode"] == mode)])
    by_seed = chosen.pivot(index="seed", columns="variant", values="value")
    differences = (by_seed[variant] - by_seed[baseline]).dropna()
    return differences.mean(), differences.std()


def markdown(table: pd.DataFrame, command: str) -> str:
    """The leaderboard as Markdown with what the numbers are and the command that made them."""
    header, rows = variants_table(table)
    first = table.iloc[0]
    titles = {f"*{title}*" for title in REFERENCE_LINES.values()}
    names = (row[0] if row[0] in titles else texts.markdown(row[0]) for row in rows)
    lines = [
        f"# {texts.markdown(first['experiment'])}",
        "",
        "| " + " | ".join(header) + " |",
        "|" + " --- |" * len(header),
        *(f"| {' | '.join([name, *row[1:]])} |" for name, row in zip(names, rows, strict=True)),
        "",
        texts.markdown(caption(table)),
        "",
        f"Made by {texts.markdown_code(command)}.",
        "",
    ]
    return "\n".join(lines)


def caption(table: pd.DataFrame) -> str:
    """What the cells are, with counts, device and versions, as plain text."""
    models = models_of(table)
    first = models.iloc[0]
    lines = table[is_line(table)]
    line_counts = f" The reference lines have {span(lines['n_fake'])} images." if len(lines) else ""
    seeds = ", ".join(str(int(seed)) for seed in sorted(models["seed"].unique()))
    return (
        f"Mean ± standard deviation over seeds ({seeds}); in brackets the difference from {first['variant']}, paired "
        f"by seed. {span(models['step'])} steps; each pair: {span(models['n_fake'])} outputs "
        f"({span(models['outputs_per_source'])} a source) against {span(models['n_real'])} training images of the "
        f"target.{line_counts} "
        f"Protocol {first['protocol']} {hashes(table)}, data {first['data_fingerprint']}, "
        f"{first['device']}, torch {first['torch_version']}, sg2bench {first['sg2bench_version']} "
        f"at {first['git_commit'] or 'no commit'}, {str(first['created_at'])[:10]}."
    )


def span(counts: pd.Series) -> str:
    """The one count of all, or the smallest and the largest."""
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"


def hashes(table: pd.DataFrame) -> str:
    """The protocol hash of each metric, those with the same together."""
    by_hash: dict[str, list[str]] = {}
    for metric, found in table[["metric", "protocol_hash"]].drop_duplicates().itertuples(index=False, name=None):
        by_hash.setdefault(found, []).append(metric)
    if len(by_hash) == 1:
        return next(iter(by_hash))
    return ", ".join(f"{found} ({', '.join(metrics)})" for found, metrics in by_hash.items())
