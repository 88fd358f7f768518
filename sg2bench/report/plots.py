"""Plots of result rows: every mark has an axis with its unit, spread over seeds, and a caption elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sg2bench import cache
from sg2bench.config import REFERENCE_LINES
from sg2bench.results import better

_COLOURS = ("#3b6fb6", "#d1603d", "#4d9a5a", "#8a5fb0", "#c79a2b", "#3a9fa8", "#b54a7f", "#6b6f76")
_STYLE: Any = {
    "figure.dpi": 110,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.alpha": 0.3,
    "axes.axisbelow": True,
}
_LOGARITHMIC_ABOVE = 4
"""Times the median."""
LINE_NAMES = {"real": "real validation images", "sources": "untranslated sources"}


def variants_plot(table: pd.DataFrame, metric: str) -> Figure:
    """Overall value of each variant by mode: dots are seeds, squares their mean, whiskers one standard deviation."""
    table, lines = _models_and_lines(table[table["metric"] == metric])
    overall = table[(table["source"] == "*") & (table["target"] == "*")]
    variants, modes = (list(dict.fromkeys(overall[column])) for column in ("variant", "mode"))
    with mpl.rc_context(_STYLE):
        size = (max(4.0, 0.8 * len(variants) + 1.2) * len(modes), 3.6)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(1, len(modes), sharey=True, squeeze=False)[0]
        for axis, mode in zip(axes, modes, strict=True):
            for place, variant in enumerate(variants):
                values = overall[(overall["variant"] == variant) & (overall["mode"] == mode)]["value"]
                _spread(axis, place, values, _COLOURS[place % len(_COLOURS)])
            for line, style in zip(REFERENCE_LINES, ("--", ":"), strict=True):
                level = lines[(lines["variant"] == line) & (lines["source"] == "*") & (lines["target"] == "*")]["value"]
                if len(level):
                    axis.axhline(level.iloc[0], color="#555", linestyle=style, linewidth=1.2, label=LINE_NAMES[line])
            axis.set_xticks(range(len(variants)), variants, rotation=30, ha="right")
            axis.set_title(f"{mode} guidance")
        axes[0].set_ylabel(f"{metric} ({better(metric)} is better)")
        _scale(axes[0], overall["value"])
        if axes[-1].get_legend_handles_labels()[0]:
            figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def targets_plot(table: pd.DataFrame, metric: str) -> Figure:
    """Value of each variant for each target domain, a panel a mode; whiskers are one standard deviation over seeds."""
    table, _ = _models_and_lines(table[table["metric"] == metric])
    by_target = table[(table["source"] == "*") & (table["target"] != "*")]
    variants, modes, targets = (list(dict.fromkeys(by_target[column])) for column in ("variant", "mode", "target"))
    with mpl.rc_context(_STYLE):
        size = (max(4.5, 0.14 * len(targets) * len(variants) + 1.5) * len(modes), 3.6)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(1, len(modes), sharey=True, squeeze=False)[0]
        width = 0.8 / len(variants)
        for axis, mode in zip(axes, modes, strict=True):
            for order, variant in enumerate(variants):
                chosen = by_target[(by_target["variant"] == variant) & (by_target["mode"] == mode)]
                groups = chosen.groupby("target")["value"]
                places = np.arange(len(targets)) + (order - (len(variants) - 1) / 2) * width
                axis.errorbar(
                    places,
                    groups.mean().reindex(targets),
                    groups.std().reindex(targets),
                    color=_COLOURS[order % len(_COLOURS)],
                    fmt="o",
                    capsize=3,
                    label=variant,
                )
            axis.set_xticks(range(len(targets)), targets, rotation=30 if len(targets) > 6 else 0)
            axis.set_xlabel("target domain")
            axis.set_title(f"{mode} guidance")
        axes[0].set_ylabel(f"{metric} ({better(metric)} is better)")
        _scale(axes[0], by_target["value"])
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False)
    return figure


def curves_plot(curves: pd.DataFrame) -> Figure:
    """Each loss term over the steps, a line a variant (mean over seeds, each smoothed over 5 log lines)."""
    terms = [c for c in curves.columns if "/" in c and curves[c].notna().any()]
    variants = list(dict.fromkeys(curves["variant"]))
    with mpl.rc_context(_STYLE | {"font.size": 8}):
        columns = 4
        rows = max(1, -(-len(terms) // columns))
        figure = Figure(figsize=(11, 2.1 * rows + 0.5), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, term in zip(axes, terms, strict=False):
            for order, variant in enumerate(variants):
                mean = curves[curves["variant"] == variant].groupby("step")[term].mean().dropna()
                if len(mean):
                    smooth = mean.rolling(5, min_periods=1, center=True).mean()
                    axis.plot(smooth.index, smooth, color=_COLOURS[order % len(_COLOURS)], linewidth=1.1, label=variant)
            axis.set_title(term)
            axis.set_xlabel("step")
        for axis in axes[len(terms) :]:
            axis.set_axis_off()
        handles = [mpl.lines.Line2D([], [], color=_COLOURS[i % len(_COLOURS)]) for i in range(len(variants))]
        figure.legend(handles, variants, loc="outside lower center", ncols=8, frameon=False)
    return figure


def save(figure: Figure, path: Path) -> None:
    with cache.atomic_file(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})


def _models_and_lines(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    is_line = table["variant"].isin(REFERENCE_LINES)
    return table[~is_line], table[is_line]


def _spread(axis: mpl.axes.Axes, place: int, values: pd.Series, colour: str) -> None:
    """A dot a seed; beside them their mean and standard deviation."""
    deviation = values.std() if len(values) > 1 else 0.0
    axis.errorbar(place + 0.12, values.mean(), deviation, color=colour, capsize=4, linewidth=1.6, marker="s")
    axis.plot([place - 0.12] * len(values), values, "o", color=colour, markersize=4, alpha=0.6)


def _scale(axis: mpl.axes.Axes, values: pd.Series) -> None:
    """From zero, or logarithmic where the largest value would press the others to the ground."""
    if values.min() > 0 and values.max() > _LOGARITHMIC_ABOVE * values.median():
        axis.set_yscale("log", nonpositive="clip")
    else:
        axis.set_ylim(bottom=0)
