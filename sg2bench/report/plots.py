"""Plots of result rows: every mark has an axis with its unit, spread over seeds, and a caption elsewhere."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import LogFormatter, LogLocator
from PIL import Image

from sg2bench.catalog import METRICS
from sg2bench.files import atomic_file
from sg2bench.rows import models as models_of

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
_LOGARITHMIC_ABOVE = 4
"""Times the median."""
_LOGARITHMIC_FROM = 1e-30
"""A smaller value is as good as 0."""
_ANNOTATED_DOMAINS = 6
_LABELLED_DOMAINS = 50
"""More tick labels would overlap on a heatmap's side."""


class _PlainLogFormatter(LogFormatter):
    """300 and 0.03 instead of powers of ten."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def pairs_plot(table: pd.DataFrame, metric: str) -> Figure:
    """Mean over seeds of each ordered pair of domains, a panel a mode and variant, all on one colour scale."""
    table = models_of(table[table["metric"] == metric])
    pairs = table[(table["source"] != "*") & (table["target"] != "*")]
    variants, modes = (list(dict.fromkeys(pairs[column])) for column in ("variant", "mode"))
    domains = sorted({*pairs["source"], *pairs["target"]})
    panel = min(4.5, max(2.0, 0.3 * len(domains) + 0.4))
    rows = -(-len(variants) // int(10 // panel))
    columns = -(-len(variants) // rows)
    means = pairs.groupby(["mode", "variant", "source", "target"])["value"].mean()
    logarithmic = is_logarithmic(means)
    scale = (LogNorm if logarithmic else Normalize)(means.min(), means.max())
    ticks = range(0, len(domains), -(-len(domains) // _LABELLED_DOMAINS))
    labels = short([domains[tick] for tick in ticks])
    size = 8 if len(domains) <= 20 else 6
    room = 0.01 * size * max(map(len, labels))
    with mpl.rc_context(STYLE | {"font.size": size, "axes.titlesize": "medium", "axes.grid": False}):
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
                axis.set_title(f"{short([variant])[0]}\n{_guidance(mode)}")
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
    lines = looks(len(variants))
    with mpl.rc_context(STYLE | {"font.size": 8}):
        columns = 4
        rows = max(1, -(-len(terms) // columns))
        figure = Figure(figsize=(11, 2.1 * rows + 0.5), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, term in zip(axes, terms, strict=False):
            for variant, look in zip(variants, lines, strict=True):
                mean = curves[curves["variant"] == variant].groupby("step")[term].mean().dropna()
                if len(mean):
                    smooth = mean.rolling(5, min_periods=1, center=True).mean()
                    axis.plot(smooth.index, smooth, linewidth=1.1, **look)
            axis.set_title(term)
            axis.set_xlabel("step")
        for axis in axes[len(terms) :]:
            axis.set_axis_off()
        legend(figure, [mpl.lines.Line2D([], [], **look) for look in lines], variants)
    return figure


def looks(variants: int) -> list[dict[str, Any]]:
    """Colour and dashes of each variant's line."""
    return [
        {"color": COLOURS[order % len(COLOURS)], "linestyle": _LINES[order // len(COLOURS) % len(_LINES)]}
        for order in range(variants)
    ]


def save(figure: Figure, path: Path) -> None:
    """Write a plot as a PNG of 256 colours, a third as large as one of all."""
    drawn = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # see `undrawable`
        figure.savefig(drawn, format="png", metadata={"Software": None})
    with atomic_file(path) as temporary, Image.open(drawn) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(temporary, format="PNG", optimize=True)


def undrawable(text: str) -> str:
    """The characters for which the plots' font has no picture, in order."""
    known = get_font(findfont(FontProperties())).get_charmap()
    return "".join(sorted({character for character in text if ord(character) not in known}))


def is_logarithmic(values: pd.Series) -> bool:
    """Whether the largest value would press the others to the ground."""
    return bool(values.min() > _LOGARITHMIC_FROM and values.max() > _LOGARITHMIC_ABOVE * values.median())


def use_plain_numbers(ruler: Axis) -> None:
    """Label a logarithmic axis at 1, 2 and 5 of each power of ten, and without those powers."""
    ruler.set_major_formatter(_PlainLogFormatter())
    ruler.set_minor_locator(LogLocator(subs=(2, 5)))
    ruler.set_minor_formatter(_PlainLogFormatter(minor_thresholds=(2, 2)))


def legend(figure: Figure, handles: Sequence[Any], names: Sequence[str]) -> None:
    labels = short(names)
    columns = int(figure.get_figwidth() // (0.1 * max(map(len, labels)) + 0.5))
    figure.legend(handles, labels, loc="outside lower center", ncols=max(1, columns), frameon=False)


def short(names: Sequence[str]) -> list[str]:
    """Names that fit at a tick: the middle of long ones is left out."""
    return [name if len(name) <= 24 else f"{name[:14]}…{name[-9:]}" for name in names]


def _label(metric: str) -> str:
    return f"{metric} ({METRICS[metric].better} is better)"


def _guidance(mode: str) -> str:
    return f"{mode} guidance"
