"""The figures of a report: drawn into its folder, and what has to be said beside each."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from sg2bench.catalog import METRICS
from sg2bench.layout import CURVES_PLOT, grid_file, plot_file
from sg2bench.report import html, plots
from sg2bench.report.variants import span
from sg2bench.rows import is_line
from sg2bench.rows import models as models_of

_WIDE = 700
"""Pixels; a wider picture gets the page's width."""


@dataclass(frozen=True)
class Picture:
    """An image of the page. `variant` and `mode` are a sample grid's."""

    title: str
    caption: str
    reading: str
    file: Path
    variant: str = ""
    mode: str = ""

    @property
    def data_uri(self) -> str:
        return html.data_uri("image/png", self.file.read_bytes())

    @property
    def is_wide(self) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # only the header is read
            with Image.open(self.file) as image:
                return image.width > _WIDE


def values(table: pd.DataFrame, out: Path) -> list[Picture]:
    """Draw each metric by variant and by target domain."""
    pictures = []
    for metric in dict.fromkeys(table["metric"]):
        of_metric = table[table["metric"] == metric]
        unit, reading = METRICS[metric].unit, METRICS[metric].reading
        whiskers = "one standard deviation over seeds (none for a single seed)"
        lines = ""
        if is_line(of_metric).any():
            lines = (
                " Dashed: real validation images of the target, the best to hope for. Dotted: untranslated sources; a "
                "variant that is worse than this makes worse images of the target than doing nothing."
            )
        figure, file = plots.variants_plot(table, metric), out / plot_file(metric)
        plots.save(figure, file)
        caption = f"{unit}, mean over all pairs of domains. Dots: seeds; squares: their mean; whiskers: {whiskers}."
        caption += f"{_axis(figure)} {counts(of_metric)}"
        pictures.append(Picture(f"{metric} by variant", caption, f"{reading}.{lines}", file))
        figure, file = plots.targets_plot(table, metric), out / plot_file(metric, "target")
        plots.save(figure, file)
        caption = f"{unit}, mean over the sources of each target domain. Marks: mean over seeds; whiskers: {whiskers}."
        caption += f"{_axis(figure)} {counts(of_metric)}"
        reading += (
            ". Variants differ where their whiskers are far apart; a target with bad values for every variant is hard "
            "in itself"
        )
        pictures.append(Picture(f"{metric} by target domain", caption, f"{reading}.", file))
    return pictures


def heatmaps(table: pd.DataFrame, out: Path) -> list[Picture]:
    """Draw each metric by ordered pair of domains."""
    pictures = []
    for metric in dict.fromkeys(table["metric"]):
        file = out / plot_file(metric, "pair")
        plots.save(plots.pairs_plot(table, metric), file)
        unit, reading = METRICS[metric].unit, METRICS[metric].reading
        caption = (
            f"{unit}, mean over seeds; all panels share one colour scale. Hatched: no such pair. "
            f"{counts(table[table['metric'] == metric])}"
        )
        reading += (
            ". A row is a source, a column a target: a column in one colour says that the target decides, a row that "
            "the source does"
        )
        pictures.append(Picture(f"{metric} by pair", caption, f"{reading}.", file))
    return pictures


def curves(table: pd.DataFrame, out: Path) -> Picture:
    """Draw the training curves."""
    plots.save(plots.curves_plot(table), out / CURVES_PLOT)
    caption = (
        "Each loss term before its weight, no unit, over training steps; mean over seeds "
        f"(n: {table['seed'].nunique()}), smoothed over 5 log lines. A missing line: the variant lacks the term."
    )
    reading = (
        "terms of d_ are the discriminator's, of g_ the generator's, by guidance. Adversarial terms that swing about a "
        "level are normal, one that runs to 0 means that one side has won; sty and cyc should fall and stay low. Low "
        "losses do not mean good images."
    )
    return Picture("Training curves", caption, reading, out / CURVES_PLOT)


def grids(table: pd.DataFrame, files: Mapping[Path, Path]) -> list[Picture]:
    """The sample grids that are among `files`, by their places in the folder."""
    rows = {
        "latent": "one latent code in one target domain, domains in name order",
        "reference": "one reference image (left), whose style every source takes",
    }
    caption = "Validation images of each domain across the top, n: 1 seed, the first. Each row below:"
    reading = "down a column the pose of the source should stay; along a row the style should be the same."
    return [
        Picture(f"{variant}, {mode} guidance", f"{caption} {row}.", reading, file, variant, mode)
        for variant in dict.fromkeys(table["variant"])
        for mode, row in rows.items()
        if (file := files.get(grid_file(variant, mode))) is not None
    ]


def counts(table: pd.DataFrame) -> str:
    """How many seeds and images are behind a value of these rows."""
    models = models_of(table)
    fake, real = (span(models[column]) for column in ("n_fake", "n_real"))
    compared = any("real" in METRICS[metric].needs for metric in set(table["metric"]))
    against = f" against {real} training images of the target" if compared else ""
    seeds = models["seed"].nunique()
    return f"n: {seeds} {'seed' if seeds == 1 else 'seeds'}; each pair {fake} outputs{against}."


def _axis(figure: Figure) -> str:
    is_logarithmic = "log" in (figure.axes[0].get_xscale(), figure.axes[0].get_yscale())
    return " The axis is logarithmic: a whisker to its end passes 0." if is_logarithmic else ""
