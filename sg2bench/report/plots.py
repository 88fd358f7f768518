"""Plots of result rows: every mark has an axis with its unit, spread over seeds, and a caption elsewhere."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import LogFormatter

from sg2bench.catalog import METRICS, REFERENCE_LINES
from sg2bench.files import atomic_file
from sg2bench.rows import is_line, overall

_COLOURS = ("#3b6fb6", "#d1603d", "#4d9a5a", "#8a5fb0", "#c79a2b", "#3a9fa8", "#b54a7f", "#6b6f76")
_MARKERS = ("o", "^", "s", "D")
_LINES = ("-", "--", ":", "-.")
_STYLE: Any = {
    "figure.dpi": 110,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.alpha": 0.3,
    "axes.axisbelow": True,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "text.parse_math": False,  # a name may hold dollars
}
_LOGARITHMIC_ABOVE = 4
"""Times the median."""
_LOGARITHMIC_FROM = 1e-30
"""A smaller value is as good as 0."""
_DOTS_ACROSS = 40
"""Targets × variants; more get a row for each target."""
_ANNOTATED_DOMAINS = 6
_LABELLED_DOMAINS = 50
"""More tick labels would overlap on a heatmap's side."""


class _PlainLogFormatter(LogFormatter):
    """300 and 0.03 instead of powers of ten."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def variants_plot(table: pd.DataFrame, metric: str) -> Figure:
    """Overall value of each variant by mode: dots are seeds, squares their mean, whiskers one standard deviation."""
    table, lines = _models_and_lines(table[table["metric"] == metric])
    means = overall(table)
    variants, modes = (list(dict.fromkeys(means[column])) for column in ("variant", "mode"))
    with mpl.rc_context(_STYLE):
        size = (min(10.0, max(4.5, 0.8 * len(variants) + 1.2)), 2.9 * len(modes) + 0.9)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(modes), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axis, mode in zip(axes, modes, strict=True):
            for place, variant in enumerate(variants):
                values = means[(means["variant"] == variant) & (means["mode"] == mode)]["value"]
                _spread(axis, place, values, _COLOURS[place % len(_COLOURS)])
            for (line, title), style in zip(REFERENCE_LINES.items(), ("--", ":"), strict=True):
                level = overall(lines[lines["variant"] == line])["value"]
                if len(level):
                    axis.axhline(level.iloc[0], color="#555", linestyle=style, linewidth=1.2, label=title)
            axis.set_title(_guidance(mode))
            axis.set_ylabel(_label(metric))
        axes[-1].set_xticks(range(len(variants)), _short(variants), rotation=30, ha="right")
        _scale(axes[0], "y", means["value"])
        if (legend := axes[-1].get_legend_handles_labels())[0]:
            _legend(figure, *legend)
    return figure


def targets_plot(table: pd.DataFrame, metric: str) -> Figure:
    """Value of each variant for each target domain, a panel a mode; whiskers are one standard deviation over seeds.

    Targets are across, or where they would be too many, down.
    """
    table, _ = _models_and_lines(table[table["metric"] == metric])
    by_target = table[(table["source"] == "*") & (table["target"] != "*")]
    variants, modes = (list(dict.fromkeys(by_target[column])) for column in ("variant", "mode"))
    targets = sorted(set(by_target["target"]))
    down = len(targets) * len(variants) > _DOTS_ACROSS
    across = max(4.5, 0.14 * len(targets) * len(variants) + 1.5)
    row = max(0.2, min(0.09 * len(variants), 40 / len(targets)))
    size = (3.5 * len(modes) + 2, row * len(targets) + 1.5) if down else (across, 2.9 * len(modes) + 0.9)
    places = np.arange(len(targets))
    with mpl.rc_context(_STYLE | {"axes.grid.axis": "both" if down else "y"}):
        figure = Figure(figsize=size, layout="constrained")
        grid = (1, len(modes)) if down else (len(modes), 1)
        axes = figure.subplots(*grid, sharex=True, sharey=True, squeeze=False).ravel()
        for axis, mode in zip(axes, modes, strict=True):
            for order, variant in enumerate(variants):
                chosen = by_target[(by_target["variant"] == variant) & (by_target["mode"] == mode)]
                groups = chosen.groupby("target")["value"]
                mean, deviation = groups.mean().reindex(targets), groups.std().reindex(targets)
                beside = places + (order - (len(variants) - 1) / 2) * 0.8 / len(variants)
                axis.errorbar(
                    *((mean, beside) if down else (beside, mean)),
                    **{"xerr" if down else "yerr": deviation},
                    color=_COLOURS[order % len(_COLOURS)],
                    fmt=_MARKERS[order // len(_COLOURS) % len(_MARKERS)],
                    markersize=4 if down else 6,
                    capsize=2 if down else 3,
                    label=variant,
                )
            axis.set_title(_guidance(mode))
            name = _label(metric)
            axis.set_xlabel(name) if down else axis.set_ylabel(name)
        if down:
            axes[0].set_yticks(places, _short(targets))
            axes[0].set_ylim(len(targets) - 0.5, -0.5)
        else:
            axes[-1].set_xticks(places, _short(targets), rotation=30, ha="right")
            axes[-1].set_xlabel("target domain")
        _scale(axes[0], "x" if down else "y", by_target["value"])
        _legend(figure, *axes[0].get_legend_handles_labels())
    return figure


def pairs_plot(table: pd.DataFrame, metric: str) -> Figure:
    """Mean over seeds of each ordered pair of domains, a panel a mode and variant, all on one colour scale."""
    table, _ = _models_and_lines(table[table["metric"] == metric])
    pairs = table[(table["source"] != "*") & (table["target"] != "*")]
    variants, modes = (list(dict.fromkeys(pairs[column])) for column in ("variant", "mode"))
    domains = sorted({*pairs["source"], *pairs["target"]})
    panel = min(4.5, max(2.0, 0.3 * len(domains) + 0.4))
    rows = -(-len(variants) // int(10 // panel))
    columns = -(-len(variants) // rows)
    means = pairs.groupby(["mode", "variant", "source", "target"])["value"].mean()
    logarithmic = _is_logarithmic(means)
    scale = (LogNorm if logarithmic else Normalize)(means.min(), means.max())
    ticks = range(0, len(domains), -(-len(domains) // _LABELLED_DOMAINS))
    labels = _short([domains[tick] for tick in ticks])
    size = 8 if len(domains) <= 20 else 6
    room = 0.01 * size * max(map(len, labels))
    with mpl.rc_context(_STYLE | {"font.size": size, "axes.titlesize": "medium", "axes.grid": False}):
        height = (panel + room + 0.5) * rows * len(modes)
        figure = Figure(figsize=(panel * columns + room + 1.2, height), layout="constrained")
        axes = figure.subplots(rows * len(modes), columns, sharex=True, sharey=True, squeeze=False)
        for axis in axes.ravel():
            axis.set_axis_off()
        for block, mode in zip(np.split(axes, len(modes)), modes, strict=True):
            for axis, variant in zip(block.ravel(), variants, strict=False):
                if (mode, variant) not in means.index:
                    continue
                square = means[mode, variant].unstack().reindex(index=domains, columns=domains).to_numpy()
                axis.set_axis_on()
                axis.patch.set(facecolor="#eee", edgecolor="#bbb", hatch="///")
                image = axis.imshow(square, norm=scale, cmap="viridis", interpolation="nearest", aspect="auto")
                axis.set_title(f"{_short([variant])[0]}\n{_guidance(mode)}")
                axis.set_xticks(ticks, labels, rotation=90)
                axis.set_yticks(ticks, labels)
                axis.tick_params(labelbottom=True)
                if len(domains) <= _ANNOTATED_DOMAINS:
                    for (source, target), value in np.ndenumerate(square):
                        if not np.isnan(value):
                            colour = "black" if scale(value) > 0.6 else "white"
                            axis.text(
                                target,
                                source,
                                f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}",
                                color=colour,
                                ha="center",
                                va="center",
                            )
        figure.supxlabel("target domain")
        figure.supylabel("source domain")
        bar = figure.colorbar(image, ax=axes, label=_label(metric), fraction=0.04)
        if logarithmic:
            bar.formatter = bar.minorformatter = _PlainLogFormatter(minor_thresholds=(2, 0.5))
    return figure


def curves_plot(curves: pd.DataFrame) -> Figure:
    """Each loss term over the steps, a line a variant (mean over seeds, each smoothed over 5 log lines)."""
    terms = [c for c in curves.columns if "/" in c and curves[c].notna().any()]
    variants = list(dict.fromkeys(curves["variant"]))
    looks: list[Any] = [
        {"color": _COLOURS[order % len(_COLOURS)], "linestyle": _LINES[order // len(_COLOURS) % len(_LINES)]}
        for order in range(len(variants))
    ]
    with mpl.rc_context(_STYLE | {"font.size": 8}):
        columns = 4
        rows = max(1, -(-len(terms) // columns))
        figure = Figure(figsize=(11, 2.1 * rows + 0.5), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, term in zip(axes, terms, strict=False):
            for variant, look in zip(variants, looks, strict=True):
                mean = curves[curves["variant"] == variant].groupby("step")[term].mean().dropna()
                if len(mean):
                    smooth = mean.rolling(5, min_periods=1, center=True).mean()
                    axis.plot(smooth.index, smooth, linewidth=1.1, **look)
            axis.set_title(term)
            axis.set_xlabel("step")
        for axis in axes[len(terms) :]:
            axis.set_axis_off()
        _legend(figure, [mpl.lines.Line2D([], [], **look) for look in looks], variants)
    return figure


def save(figure: Figure, path: Path) -> None:
    with atomic_file(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # see `undrawable`
        figure.savefig(temporary, metadata={"Software": None})


def undrawable(text: str) -> str:
    """The characters for which the plots' font has no picture, in order."""
    known = get_font(findfont(FontProperties())).get_charmap()
    return "".join(sorted({character for character in text if ord(character) not in known}))


def _models_and_lines(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    line = is_line(table)
    return table[~line], table[line]


def _spread(axis: mpl.axes.Axes, place: int, values: pd.Series, colour: str) -> None:
    """A dot a seed; beside them their mean and standard deviation."""
    deviation = values.std() if len(values) > 1 else 0.0
    axis.errorbar(place + 0.12, values.mean(), deviation, color=colour, capsize=4, linewidth=1.6, marker="s")
    axis.plot([place - 0.12] * len(values), values, "o", color=colour, markersize=4, alpha=0.6)


def _is_logarithmic(values: pd.Series) -> bool:
    """Whether the largest value would press the others to the ground."""
    return bool(values.min() > _LOGARITHMIC_FROM and values.max() > _LOGARITHMIC_ABOVE * values.median())


def _scale(axis: mpl.axes.Axes, along: Literal["x", "y"], values: pd.Series) -> None:
    """From zero where nothing is below, or logarithmic."""
    ruler = axis.xaxis if along == "x" else axis.yaxis
    if _is_logarithmic(values):
        axis.set(**{f"{along}scale": "log"})
        ruler.set_major_formatter(_PlainLogFormatter())
        ruler.set_minor_formatter(_PlainLogFormatter(minor_thresholds=(2, 0.5)))
    elif values.min() >= 0:
        _, highest = ruler.get_view_interval()
        axis.set(**{f"{along}lim": (0, 1.05 * highest or None)})


def _legend(figure: Figure, handles: Sequence[Any], names: Sequence[str]) -> None:
    labels = _short(names)
    columns = int(figure.get_figwidth() // (0.1 * max(map(len, labels)) + 0.5))
    figure.legend(handles, labels, loc="outside lower center", ncols=max(1, columns), frameon=False)


def _short(names: Sequence[str]) -> list[str]:
    """Names that fit at a tick: the middle of long ones is left out."""
    return [name if len(name) <= 24 else f"{name[:14]}…{name[-9:]}" for name in names]


def _label(metric: str) -> str:
    return f"{metric} ({METRICS[metric].better} is better)"


def _guidance(mode: str) -> str:
    return f"{mode} guidance"
