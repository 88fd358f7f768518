"""Values as small multiples: a panel for each metric and mode, by variant or by target domain."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sg2bench.catalog import METRICS, REFERENCE_LINES
from sg2bench.report import plots
from sg2bench.report.variants import number
from sg2bench.rows import is_line, metrics_and_modes, of_targets, overall
from sg2bench.rows import models as models_of
from sg2bench.texts import rounded

_TALLEST = 40.0
"""Largest height of a panel in inches."""
_LABEL: Any = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
_LINES: tuple[Any, ...] = ("--", "-", ":", "-.", (0, (6, 2, 1, 2, 1, 2)))
_INKS = ("#333333", "#2e7d32", "#b3261e", "#7b4bb7", "#9a6b00")
_LOOKS = {
    line: {"linestyle": style, "color": ink, "linewidth": 1.4, "zorder": 1}
    for line, style, ink in zip(REFERENCE_LINES, _LINES, _INKS, strict=True)
}


@dataclass(frozen=True)
class Panel:
    """One metric in one mode: its values, and the levels of its reference lines."""

    metric: str
    mode: str
    values: pd.DataFrame
    levels: dict[str, float]


def variants_plot(table: pd.DataFrame) -> Figure:
    """Draw the overall value of each variant: dots are seeds, squares their mean, whiskers one standard deviation."""
    means, lines = overall(models_of(table)), overall(table[is_line(table)])
    variants = list(dict.fromkeys(means["variant"]))
    levels: dict[str, dict[str, float]] = {}
    for metric, line, level in lines[["metric", "variant", "value"]].itertuples(index=False, name=None):
        levels.setdefault(metric, {}).setdefault(line, level)
    height = max(1.1, 0.26 * len(variants) + 0.2)
    with mpl.rc_context(_style()):
        figure, panels = _multiples(means, levels, variants, height)
        drawn: dict[str, Any] = {}
        for axis, panel in panels:
            for place, variant in enumerate(variants):
                values = panel.values[panel.values["variant"] == variant]["value"]
                if len(values):
                    colour = plots.COLOURS[place % len(plots.COLOURS)]
                    _dots_and_mean(axis, place, values, colour)
                    mark_beyond(axis, [values.mean()], [place + 0.14], colour, number)
            drawn |= _reference_lines(axis, panel.levels)
        if drawn:
            known = [line for line in REFERENCE_LINES if line in drawn]
            plots.legend(figure, [drawn[line] for line in known], [REFERENCE_LINES[line] for line in known])
    return figure


def targets_plot(table: pd.DataFrame) -> Figure:
    """Draw the value of each variant for each target domain; whiskers are one standard deviation over seeds."""
    table = models_of(table)
    by_target = of_targets(table)
    variants, targets = list(dict.fromkeys(by_target["variant"])), sorted(set(by_target["target"]))
    row = max(0.2, min(0.1 * len(variants), _TALLEST / len(targets)))
    offsets = (np.arange(len(variants)) - (len(variants) - 1) / 2) * 0.8 / len(variants)
    with mpl.rc_context(_style("both")):
        figure, panels = _multiples(by_target, {}, targets, max(1.1, row * len(targets) + 0.2))
        marks = {}
        for axis, panel in panels:
            for order, variant in enumerate(variants):
                groups = panel.values[panel.values["variant"] == variant].groupby("target")["value"]
                means, places = groups.mean().reindex(targets), np.arange(len(targets)) + offsets[order]
                colour = plots.COLOURS[order % len(plots.COLOURS)]
                marks[variant] = axis.errorbar(
                    means,
                    places,
                    xerr=groups.std().reindex(targets),
                    color=colour,
                    fmt=plots.MARKERS[order // len(plots.COLOURS) % len(plots.MARKERS)],
                    markersize=4,
                    capsize=2,
                    label=variant,
                )
                mark_beyond(axis, means, places, colour, number)
        plots.legend(figure, list(marks.values()), list(marks))
    return figure


def _style(grid: str = "x") -> Any:
    return plots.STYLE | {"font.size": 9, "axes.titlesize": "medium", "axes.grid.axis": grid}


def _multiples(
    values: pd.DataFrame, levels: dict[str, dict[str, float]], names: Sequence[str], height: float
) -> tuple[Figure, list[tuple[Axes, Panel]]]:
    """Return a figure of empty panels with names down the side, and the content of each; the modes of a metric share a
    scale.
    """
    found = metrics_and_modes(values)
    figure, axes = plots.grid(len(found), names, height)
    panels = []
    for axis, (metric, mode) in zip(axes, found, strict=True):
        of_metric = values[values["metric"] == metric]
        _scale(axis, of_metric, levels.get(metric, {}).values())
        axis.set_title(f"{metric} {METRICS[metric].arrow}, {mode}")
        panels.append((axis, Panel(metric, mode, of_metric[of_metric["mode"] == mode], levels.get(metric, {}))))
    return figure, panels


def _dots_and_mean(axis: Axes, place: int, values: pd.Series[float], colour: str) -> None:
    """Draw a dot per seed; below them their mean and standard deviation."""
    deviation = values.std() if len(values) > 1 else 0.0
    look: dict[str, Any] = {"color": colour, "capsize": 3, "linewidth": 1.5, "marker": "s", "markersize": 5}
    axis.errorbar(values.mean(), place + 0.14, xerr=deviation, **look)
    axis.plot(values, [place - 0.14] * len(values), "o", color=colour, markersize=3.5, alpha=0.6)


def _reference_lines(axis: Axes, levels: dict[str, float]) -> dict[str, Any]:
    """Draw the lines that lie within the axis, and name the others below it; return those drawn."""
    low, high = axis.get_xlim()
    beyond = [
        f"{REFERENCE_LINES[line]}: {rounded(level, 3)} {'←' if level < low else '→'}"
        for line, level in levels.items()
        if not low <= level <= high
    ]
    axis.set_xlabel("\n".join(beyond), fontsize="small")
    return {line: axis.axvline(level, **_LOOKS[line]) for line, level in levels.items() if low <= level <= high}


def mark_beyond(
    axis: Axes,
    values: Iterable[float],
    places: Iterable[float],
    colour: str,
    text: Callable[[float], str] | None = None,
) -> None:
    """Draw a triangle at the edge for each value beyond the axis, with the value as `text`."""
    ends = axis.get_xlim()
    inset = 0.02 * (ends[1] - ends[0])
    for value, place in zip(values, places, strict=True):
        if ends[0] <= value <= ends[1] or np.isnan(value):
            continue
        is_low = value < ends[0]
        edge = ends[0] + inset if is_low else ends[1] - inset
        axis.plot([edge], [place], "<" if is_low else ">", color=colour, markersize=5)
        if text is not None:
            shift, side = (6, "left") if is_low else (-6, "right")
            axis.annotate(
                text(value),
                (edge, place),
                (shift, 0),
                textcoords="offset points",
                ha=side,
                va="center",
                fontsize=8,
                bbox=_LABEL,
            )


def _scale(axis: Axes, of_metric: pd.DataFrame, levels: Collection[float]) -> None:
    """Scale the axis from zero to the values, without variants far from the others, and with lines that are near."""
    reaches = of_metric["value"].abs().groupby(of_metric["variant"]).max()
    shown = of_metric[of_metric["variant"].isin(reaches.index[reaches <= plots.largest_shown(reaches)])]
    low, high = min(0.0, *_reach(shown)), max(0.0, *_reach(shown))
    span = high - low or 1.0
    low, high = _widened(low, high, levels, low - span, high + span)
    room = 0.05 * (high - low or 1.0)
    axis.set_xlim(low - room, high + room)


def _reach(shown: pd.DataFrame) -> Iterator[float]:
    """Yield the ends of values and whiskers."""
    values = shown["value"]
    groups = shown.groupby(["mode", "variant", "target"])["value"]
    deviation = groups.std().fillna(0)
    yield from (values.min(), values.max(), (groups.mean() + deviation).max())
    if values.min() < 0:
        yield (groups.mean() - deviation).min()


def _widened(low: float, high: float, levels: Collection[float], least: float, most: float) -> tuple[float, float]:
    """Return the ends of an axis, moved to include the levels between `least` and `most`."""
    near = [level for level in levels if least <= level <= most]
    return min([low, *near]), max([high, *near])
