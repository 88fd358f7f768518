"""The figures of a report: drawn into its folder, and what has to be said beside each."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from sg2bench.catalog import METRICS, QUESTIONS, REFERENCE_LINES, Question, heading
from sg2bench.files import atomic_file
from sg2bench.layout import (
    CURVES_PLOT,
    EFFECTS_PLOT,
    EXAMPLES,
    EXAMPLES_PLOT,
    NEIGHBOURS,
    STEPS_PLOT,
    grid_file,
    plot_file,
)
from sg2bench.report import examples, html, panels, plots
from sg2bench.report.variants import COMPARED, span
from sg2bench.rows import is_line
from sg2bench.rows import models as models_of

_WIDE = 700
"""Pixels; a wider picture gets the page's width."""
FILES = (
    *(CURVES_PLOT, STEPS_PLOT, EXAMPLES_PLOT, EFFECTS_PLOT),
    *(plot_file(name, by) for name in (*QUESTIONS, *METRICS) for by in ("", "target", "effect", "pair")),
)
"""All plots that a report folder may have, now or from earlier versions."""
_WHISKERS = "one standard deviation over seeds (none for a single seed)"
_BEYOND = "A triangle at the edge: a mean beyond the axis, which ends where a variant is far from the others."


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
        return html.picture_uri(self.file)

    @property
    def size(self) -> tuple[int, int]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # only the header is read
            with Image.open(self.file) as image:
                return image.size

    @property
    def is_wide(self) -> bool:
        return self.size[0] > _WIDE


@dataclass(frozen=True)
class Plots:
    """All plots of a question's metrics, and how to read each metric."""

    question: Question
    by_variant: Picture
    by_target: Picture
    by_pair: list[Picture]
    metrics: list[tuple[str, str]]

    @property
    def title(self) -> str:
        return heading(self.question)


def plots_of(table: pd.DataFrame, out: Path) -> list[Plots]:
    """Draw the values by variant, by target domain and by pair, for each question that the metrics answer."""
    found = []
    for question in QUESTIONS:
        metrics = [metric for metric in dict.fromkeys(table["metric"]) if METRICS[metric].question == question]
        if not metrics:
            continue
        rows = table[table["metric"].isin(metrics)]
        found.append(
            Plots(
                question,
                _by_variant(rows, question, out),
                _by_target(rows, question, out),
                [_by_pair(rows[rows["metric"] == metric], metric, out) for metric in metrics],
                [(f"{m} {METRICS[m].arrow}", f"{METRICS[m].unit}. {_sentence(METRICS[m].reading)}") for m in metrics],
            )
        )
    return found


def _by_variant(rows: pd.DataFrame, question: str, out: Path) -> Picture:
    file = out / plot_file(question)
    plots.save(panels.variants_plot(rows), file)
    caption = f"Mean over all pairs of domains. Dots: seeds; squares: their mean; whiskers: {_WHISKERS}. {_BEYOND}"
    reading = "a variant differs from another where their whiskers are far apart. The arrow says which way is better."
    known = set(rows[is_line(rows)]["variant"])
    if titles := [title for line, title in REFERENCE_LINES.items() if line in known]:
        reading += (
            f" Lines: what outputs would score that are just such images: {', '.join(titles)}. Those beyond an axis "
            "stand below it."
        )
    title = f"{question.capitalize()}, by variant"
    return Picture(title, f"{caption} {counts(rows)}", reading, file)


def _by_target(rows: pd.DataFrame, question: str, out: Path) -> Picture:
    file = out / plot_file(question, "target")
    plots.save(panels.targets_plot(rows), file)
    caption = f"Mean over the sources of each target domain. Marks: mean over seeds; whiskers: {_WHISKERS}. {_BEYOND}"
    reading = (
        "a target with bad values for every variant is hard in itself; bad values of a single variant are its failure."
    )
    title = f"{question.capitalize()}, by target domain"
    return Picture(title, f"{caption} {counts(rows)}", reading, file)


def _by_pair(rows: pd.DataFrame, metric: str, out: Path) -> Picture:
    file = out / plot_file(metric, "pair")
    plots.save(plots.pairs_plot(rows, metric), file)
    caption = (
        f"{METRICS[metric].unit}, mean over seeds; all panels share one colour scale, which ends where a variant "
        "is far from the others (red: beyond it). Grey: no such pair. "
        f"{counts(rows)}"
    )
    reading = (
        f"{METRICS[metric].reading}. A row is a source, a column a target: a column in one colour says that the target "
        "decides, a row that the source does."
    )
    return Picture(f"{metric} by pair", caption, reading, file)


def curves(table: pd.DataFrame, out: Path) -> Picture:
    """Draw the training curves."""
    plots.save(plots.curves_plot(table), out / CURVES_PLOT)
    caption = (
        "Each loss term before its weight, no unit, over training steps; mean over seeds "
        f"(n: {table['seed'].nunique()}), smoothed over 5 log lines. A missing line: the variant lacks the term. "
        f"A triangle at the edge: the farthest value of a variant that goes {plots.FARTHEST} times as far as others."
    )
    reading = (
        "terms of d_ are the discriminator's, of g_ the generator's, by guidance. Adversarial terms that swing about a "
        "level are normal, one that runs to 0 means that one side has won; sty and cyc should fall and stay low. Low "
        "losses do not mean good images."
    )
    return Picture("Training curves", caption, reading, out / CURVES_PLOT)


def stacked(ranked: Sequence[str], files: Mapping[Path, Path], out: Path) -> Picture | None:
    """Draw the variants' examples as one picture; None if `files` hold none. Raises ValueError as `examples.stack`."""
    found = {variant: file for variant in ranked if (file := files.get(grid_file(variant, EXAMPLES))) is not None}
    if not found:
        return None
    with atomic_file(out / EXAMPLES_PLOT) as temporary:
        examples.stack(found).save(temporary, format="PNG", optimize=True)
    missing = [variant for variant in ranked if variant not in found]
    caption = (
        "A column is one source with one reference, both validation images, the same for all variants; below, what "
        "each variant makes of them, n: 1 seed, the first."
        + (f" Without a picture: {', '.join(missing)}." if missing else "")
    )
    wanted = "have the source's content, and the reference's domain and style"
    reading = f"an output should {wanted}."
    if examples.knows_right_images(next(iter(found.values()))):
        reading = f"an output should be the right image, for that alone has {wanted.removeprefix('have ')}."
    return Picture("The same translations by every variant", caption, reading, out / EXAMPLES_PLOT)


_READING = "down a column the pose of the source should stay; along a row the style should be the same."
_ACROSS = "Validation images of each domain across the top, n: 1 seed, the first. Each row below:"
_GRIDS = {
    "latent": (
        "latent guidance",
        f"{_ACROSS} one latent code in one target domain, domains in name order.",
        _READING,
    ),
    "reference": (
        "reference guidance",
        f"{_ACROSS} one reference image (left), whose style every source takes.",
        _READING,
    ),
    NEIGHBOURS: (
        "nearest to training images",
        "First row: of one latent output of each source, those nearest to a training image of their target, n: 1 seed, "
        "the first. Second row: that training image. Below, the same for validation images.",
        "a copied output repeats its training image. Validation images show how near an image comes that is no copy.",
    ),
}


def grids(table: pd.DataFrame, files: Mapping[Path, Path]) -> list[Picture]:
    """The sample grids that are among `files`, by their places in the folder."""
    return [
        Picture(f"{variant}, {title}", caption, reading, file, variant, picture)
        for variant in dict.fromkeys(table["variant"])
        for picture, (title, caption, reading) in _GRIDS.items()
        if (file := files.get(grid_file(variant, picture))) is not None
    ]


def counts(table: pd.DataFrame) -> str:
    """How many seeds and images are behind a value of these rows."""
    models = models_of(table)
    compared, seeds = models[models["metric"].isin(COMPARED)], models["seed"].nunique()
    against = f" against {span(compared['n_real'])} training images of the target" if len(compared) else ""
    return f"n: {seeds} {'seed' if seeds == 1 else 'seeds'}; each pair {span(models['n_fake'])} outputs{against}."


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
