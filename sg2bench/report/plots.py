"""Plots of result rows. Every mark has an axis with its unit and shows the spread over seeds; captions are
elsewhere.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from PIL import Image

from sg2bench.catalog import METRICS
from sg2bench.files import atomic_file
from sg2bench.rows import models as models_of
from sg2bench.rows import of_pairs
from sg2bench.texts import rounded

COLOURS = ("#3b6fb6", "#d1603d", "#4d9a5a", "#8a5fb0", "#c79a2b", "#3a9fa8", "#b54a7f", "#6b6f76")
MARKERS = ("o", "^", "s", "D")
_LINES = ("-", "--", ":", "-.")
STYLE: Any = {
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
ACROSS = 4
"""Largest number of panels side by side."""
FARTHEST = 3
"""A variant that reaches this many times as far as the next one does not stretch an axis."""
_BEYOND = "#b3261e"
"""Colour of values beyond a colour scale."""
_ANNOTATED_DOMAINS = 6
_LABELLED_DOMAINS = 50
"""Largest number of tick labels that do not overlap on a heatmap's side."""


def pairs_plot(table: pd.DataFrame, metric: str) -> Figure:
    """Draw the mean over seeds of each ordered pair of domains, a panel per mode and variant, all on one colour scale.

    A variant far from the others does not stretch the scale: its values beyond are red.
    """
    table = models_of(table[table["metric"] == metric])
    pairs = of_pairs(table)
    variants, modes = (list(dict.fromkeys(pairs[column])) for column in ("variant", "mode"))
    domains = sorted({*pairs["source"], *pairs["target"]})
    panel = min(4.5, max(2.0, 0.3 * len(domains) + 0.4))
    rows = -(-len(variants) // int(10 // panel))
    columns = -(-len(variants) // rows)
    means = pairs.groupby(["mode", "variant", "source", "target"])["value"].mean()
    scale = Normalize(*shown_range(means))
    colours = mpl.colormaps["viridis"].with_extremes(over=_BEYOND, under=_BEYOND)
    ends = (means.min() < scale.vmin, means.max() > scale.vmax)
    ticks = range(0, len(domains), -(-len(domains) // _LABELLED_DOMAINS))
    labels = short([domains[tick] for tick in ticks])
    size = 8 if len(domains) <= 20 else 6
    room = 0.01 * size * max(map(len, labels))
    with mpl.rc_context(STYLE | {"font.size": size, "axes.titlesize": "medium", "axes.grid": False}):
        height = (panel + room + 0.5) * rows * len(modes)
        figure = Figure(figsize=(panel * columns + room + 1.2, height), layout="constrained")
        axes = figure.subplots(rows * len(modes), columns, squeeze=False)  # shared axes would take minutes for many
        for axis in axes.ravel():
            axis.set_axis_off()
        for block, mode in zip(np.split(axes, len(modes)), modes, strict=True):
            for axis, variant in zip(block.ravel(), variants, strict=False):
                if (mode, variant) not in means.index:
                    continue
                square = means[mode, variant].unstack().reindex(index=domains, columns=domains).to_numpy()
                axis.set_axis_on()
                axis.patch.set(facecolor="#e4e4e4")
                image = axis.imshow(square, norm=scale, cmap=colours, interpolation="nearest", aspect="auto")
                axis.set_title(f"{short([variant])[0]}\n{_guidance(mode)}")
                axis.set_xticks(ticks, labels, rotation=90)
                axis.set_yticks(ticks, labels if axis in axes[:, 0] else [])
                if len(domains) <= _ANNOTATED_DOMAINS:
                    for (source, target), value in np.ndenumerate(square):
                        if not np.isnan(value):
                            colour = "black" if 0.6 < scale(value) <= 1 else "white"
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
        extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(ends, "neither")
        figure.colorbar(image, ax=axes, label=_label(metric), fraction=0.04, extend=extend)
    return figure


def curves_plot(curves: pd.DataFrame) -> Figure:
    """Draw each loss term over the steps, a line per variant (mean over seeds, each smoothed over 5 log lines)."""
    terms = [c for c in curves.columns if "/" in c and curves[c].notna().any()]
    variants = list(dict.fromkeys(curves["variant"]))
    looks_of = dict(zip(variants, looks(len(variants)), strict=True))
    with mpl.rc_context(STYLE | {"font.size": 8}):
        rows = max(1, -(-len(terms) // ACROSS))
        figure = Figure(figsize=(11, 2.1 * rows + 0.5), layout="constrained")
        axes = figure.subplots(rows, ACROSS, squeeze=False).ravel()
        for axis, term in zip(axes, terms, strict=False):
            means = curves.groupby(["variant", "step"])[term].mean().dropna()
            found = {
                variant: means[variant].rolling(5, min_periods=1, center=True).mean()
                for variant in variants
                if variant in means.index
            }
            for variant, line in found.items():
                axis.plot(line.index, line, linewidth=1.1, **looks_of[variant])
            axis.set_ylim(*limits(found))
            mark_farthest(axis, found.values(), [looks_of[variant]["color"] for variant in found])
            axis.set_title(term)
            axis.set_xlabel("step")
        for axis in axes[len(terms) :]:
            axis.set_axis_off()
        legend(figure, [mpl.lines.Line2D([], [], **look) for look in looks_of.values()], variants)
    return figure


def looks(variants: int) -> list[dict[str, Any]]:
    """Return colour and line style of each variant."""
    return [
        {"color": COLOURS[order % len(COLOURS)], "linestyle": _LINES[order // len(COLOURS) % len(_LINES)]}
        for order in range(variants)
    ]


def save(figure: Figure, path: Path) -> None:
    """Write a plot as a PNG of 256 colours, a third of the size of one with all colours."""
    drawn = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # see `undrawable`
        figure.savefig(drawn, format="png", metadata={"Software": None})
    with atomic_file(path) as temporary, Image.open(drawn) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(temporary, format="PNG", optimize=True)


def undrawable(text: str) -> str:
    """Return the characters that the plots' font lacks, in order."""
    known = get_font(findfont(FontProperties())).get_charmap()
    return "".join(sorted({character for character in text if ord(character) not in known}))


def grid(count: int, names: Sequence[str], height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of `count` empty panels, each `height` inches high, with names down the side."""
    rows = -(-count // ACROSS)
    columns = -(-count // rows)
    side = 0.075 * max(map(len, short(names))) + 0.3
    figure = Figure(figsize=(max(4.5, 2.6 * columns + side), (height + 0.75) * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axis in axes[count:]:
        axis.set_axis_off()
    axes[0].set_yticks(range(len(names)), short(names))
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    return figure, list(axes[:count])


def largest_shown(reaches: Iterable[float]) -> float:
    """Return the largest value that an axis includes: from the median upwards, the last one before a gap of FARTHEST
    times.
    """
    found = sorted(reaches)
    for place in range((len(found) - 1) // 2, len(found) - 1):
        if 0 < FARTHEST * found[place] < found[place + 1]:
            return found[place]
    return found[-1]


def shown_range(values: pd.Series[float]) -> tuple[float, float]:
    """Return the smallest and the largest value that an axis includes; the index of `values` names the variants as
    `variant`.
    """
    distances = values.abs()
    shown = values[distances <= largest_shown(distances.groupby("variant").max())]
    return float(shown.min()), float(shown.max())


def limits(lines: Mapping[str, pd.Series[float]]) -> tuple[float, float]:
    """Return the ends of an axis for the line of each variant, with some room."""
    low, high = shown_range(pd.concat(lines, names=["variant"]))
    room = 0.12 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def mark_farthest(axis: Axes, lines: Iterable[pd.Series[float]], colours: Iterable[str]) -> None:
    """Draw a triangle at the edge for each line over steps that leaves the axis, with its extreme value."""
    low, high = axis.get_ylim()
    inset, middle, number = 0.03 * (high - low), sum(axis.get_xlim()) / 2, 0
    for line, colour in zip(lines, colours, strict=True):
        steps, values = line.index.to_numpy(float), line.to_numpy(float)
        beyond = [(values.argmin(), "v", low + inset)] if values.min() < low else []
        beyond += [(values.argmax(), "^", high - inset)] if values.max() > high else []
        for place, mark, edge in beyond:
            side, shift = ("right", -5) if steps[place] > middle else ("left", 5)
            axis.plot(steps[place], edge, mark, color=colour, markersize=5)
            axis.annotate(
                rounded(values[place], 4),
                (steps[place], edge),
                (shift, (9 if mark == "v" else -9) * number),
                textcoords="offset points",
                ha=side,
                va="center",
                fontsize=7,
                color=colour,
            )
            number += 1


def legend(figure: Figure, handles: Sequence[Any], names: Sequence[str]) -> None:
    labels = short(names)
    columns = int(figure.get_figwidth() // (0.1 * max(map(len, labels)) + 0.5))
    figure.legend(handles, labels, loc="outside lower center", ncols=max(1, columns), frameon=False)


def short(names: Sequence[str]) -> list[str]:
    """Shorten names to fit at a tick, by leaving out the middle."""
    return [name if len(name) <= 24 else f"{name[:14]}…{name[-9:]}" for name in names]


def _label(metric: str) -> str:
    return f"{metric} ({METRICS[metric].better} is better)"


def _guidance(mode: str) -> str:
    return f"{mode} guidance"
