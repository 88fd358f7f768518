"""Figures of effects: all of them as one map of colours, and each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import blended_transform_factory

from sg2bench.catalog import METRICS, QUESTIONS, heading
from sg2bench.report import plots
from sg2bench.report.panels import mark_beyond
from sg2bench.rows.effects import SIGNIFICANCE
from sg2bench.rows.sentences import on_scale
from sg2bench.texts import rounded

FURTHEST_COLOUR = 4
"""Number of standard deviations at which colours saturate."""
INKS = {"worse": "#b3261e", "better": "#2b6cb0", "unclear": "#7a7f87"}
_OUTLINED = (("white", 3.0), ("#111", 1.3))
"""Colour and width of a mark's two strokes, visible on any background."""
_WIDE = 2
"""An interval that reaches over this many times the median reach does not widen an axis."""
_NARROW = 0.01
"""Largest value on an axis whose labels have four decimals."""


def overview(effects: pd.DataFrame) -> Figure:
    """Draw a cell for each variant (columns) and metric (rows, by question), coloured by its standardised effect.

    A dot: the interval excludes zero effect; a ring: significant after the correction for all cells; a frame: a claim's
    primary metric; hatched: not measured, or a single seed.
    """
    variants = list(dict.fromkeys(effects["variant"]))
    by_question = {name: rows for name in QUESTIONS if len(rows := effects[effects["question"] == name])}
    heights = [len(rows.drop_duplicates(["metric", "mode"])) for rows in by_question.values()]
    names = plots.short(variants)
    widest = max(map(len, names))
    cell = 0.62 if len(variants) <= 12 else 0.32
    room = 0.3 if widest * 0.085 < cell else 0.085 * widest + 0.2
    size = (2.9 + cell * max(3, len(variants)), 0.25 * sum(heights) + 0.42 * len(heights) + room + 0.9)
    with mpl.rc_context(plots.STYLE | {"font.size": 9, "axes.titlesize": "medium", "axes.grid": False}):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        for axis, (question, rows) in zip(axes, by_question.items(), strict=True):
            image = _cells(axis, rows, variants)
            axis.set_title(" ")
            corner = blended_transform_factory(figure.transFigure, axis.transAxes)
            above = 72 * room if axis is axes[0] else 4
            axis.annotate(heading(question), (0.01, 1), (0, above), corner, "offset points", fontweight="bold")
        axes[0].tick_params(labeltop=True, labelbottom=False)
        axes[0].set_xticks(range(len(variants)), names, rotation=0 if room == 0.3 else 90)
        bar = figure.colorbar(image, ax=axes, location="bottom", extend="both", aspect=30, pad=0.02)
        bar.set_label("← better    standard deviations over seeds    worse →")
    return figure


def _cells(axis: Axes, rows: pd.DataFrame, variants: Sequence[str]) -> Any:
    """Draw the cells of one question, with their marks; return the image."""
    keys = list(rows[["metric", "mode"]].drop_duplicates().itertuples(index=False, name=None))
    places = {key: place for place, key in enumerate(keys)}
    colours = np.full((len(keys), len(variants)), np.nan)
    axis.patch.set(facecolor="#eee", edgecolor="#bbb", hatch="////")
    row: Any
    for row in rows.itertuples():
        x, y = variants.index(row.variant), places[row.metric, row.mode]
        colours[y, x] = np.clip(row.standardised, -2 * FURTHEST_COLOUR, 2 * FURTHEST_COLOUR)
        if row.direction != "unclear":
            axis.plot(x, y, "o", markerfacecolor="white", markeredgecolor="#111", markersize=4.5)
        for ink, width in _OUTLINED if row.p_holm < SIGNIFICANCE else ():
            axis.plot(x, y, "o", markerfacecolor="none", markeredgecolor=ink, markeredgewidth=width, markersize=10)
        for ink, width in _OUTLINED if row.primary else ():
            axis.add_patch(Rectangle((x - 0.46, y - 0.44), 0.92, 0.88, fill=False, edgecolor=ink, linewidth=width))
    limit = Normalize(-FURTHEST_COLOUR, FURTHEST_COLOUR)
    image = axis.imshow(colours, norm=limit, cmap="RdBu_r", aspect="auto", interpolation="nearest")
    axis.set_yticks(range(len(keys)), [f"{metric} {METRICS[metric].arrow}, {mode}" for metric, mode in keys])
    axis.set_xticks(range(len(variants)), [])
    axis.tick_params(length=0)
    for edge in np.arange(0.5, len(variants) - 1):
        axis.axvline(edge, color="white", linewidth=1.5)
    for edge in np.arange(0.5, len(keys) - 1):
        axis.axhline(edge, color="white", linewidth=1.5)
    return image


def forest(effects: pd.DataFrame) -> Figure:
    """Draw the effects on one question: a panel for each metric and mode, a line for each variant with its interval.

    Filled: significant after Holm's correction for all effects. An effect far beyond all others does not stretch the
    axis: a triangle at the edge has its value.
    """
    panels = list(effects[["metric", "mode"]].drop_duplicates().itertuples(index=False, name=None))
    variants = list(dict.fromkeys(effects["variant"]))
    with mpl.rc_context(plots.STYLE | {"font.size": 9, "axes.titlesize": "medium", "axes.grid.axis": "x"}):
        figure, axes = plots.grid(len(panels), variants, max(1.0, 0.24 * len(variants) + 0.2))
        for axis, (metric, mode) in zip(axes, panels, strict=True):
            _panel(axis, effects[(effects["metric"] == metric) & (effects["mode"] == mode)])
            axis.set_title(f"{metric} {METRICS[metric].arrow}, {mode}")
    return figure


def _panel(axis: Axes, rows: pd.DataFrame) -> None:
    """Draw the effects of all variants on one metric in one mode."""
    entry = METRICS[rows["metric"].iloc[0]]
    lines: list[Any] = list(rows.itertuples())
    spans = [_span(row) for row in lines]
    ends = _ends([span for span in spans if not np.isnan(span[1])])
    axis.set_xlim(*ends)
    if max(map(abs, ends)) < _NARROW:
        axis.locator_params(axis="x", nbins=3)  # labels such as 0.0025 would overlap
    axis.axvline(0, color="#333", linewidth=1)
    axis.axvspan(*((0, ends[1]) if entry.sign > 0 else (ends[0], 0)), color=INKS["worse"], alpha=0.06, linewidth=0)
    axis.set_xlabel("change, %" if entry.by_ratio else "difference")
    for place, (row, (low, center, high)) in enumerate(zip(lines, spans, strict=True)):
        if np.isnan(center):
            axis.annotate("not measured", (0, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
            continue
        ink = INKS[row.direction]
        axis.plot(np.clip([low, high], *ends), [place] * 2, color=ink, linewidth=1.6)
        axis.plot(
            center, place, "o", color=ink, markerfacecolor=ink if row.p_holm < SIGNIFICANCE else "white", markersize=5
        )
        mark_beyond(axis, [low, high], [place] * 2, ink)
        mark_beyond(axis, [center], [place], ink, lambda value: f"{rounded(value, 3, '+')}{' %' * entry.by_ratio}")


def _span(row: Any) -> tuple[float, float, float]:
    """Return the lower end of the interval, the effect, and the upper end; the effect three times if there is no
    interval.
    """
    center, low, high = on_scale(row)
    return (center,) * 3 if np.isnan(low) else (low, center, high)


def _ends(lines: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Return the ends of an axis for effects with their intervals.

    They leave out an effect far beyond the others, and the far ends of intervals much wider than most.
    """
    if not lines:
        return -1.0, 1.0
    reaches = [max(map(abs, line)) for line in lines]
    effects = plots.largest_shown(abs(center) for _, center, _ in lines)
    most = min(plots.largest_shown(sorted(reaches)[-2:]), max(1.2 * effects, _WIDE * float(np.median(reaches))))
    shown = np.clip(lines, -most, most)
    low, high = min(0.0, shown.min()), max(0.0, shown.max())
    room = 0.08 * (high - low) or 1.0
    return low - room, high + room
