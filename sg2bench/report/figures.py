"""The figures of a report, with their captions."""

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
from sg2bench.report.variants import COMPARED, in_order, span
from sg2bench.rows import is_line, of_pairs, of_targets
from sg2bench.rows import models as models_of

_WIDE = 700
"""Width in pixels above which a picture gets the page's width."""
FILES = (
    *(CURVES_PLOT, STEPS_PLOT, EXAMPLES_PLOT, EFFECTS_PLOT),
    *(plot_file(name, by) for name in (*QUESTIONS, *METRICS) for by in ("", "target", "effect", "pair")),
)
"""All plots that a report folder may have, now or from earlier versions."""
_WHISKERS = "one standard deviation over seeds (none for a single seed)"
_BEYOND = "A triangle at the edge marks a mean beyond the axis. The axis leaves out variants far from the others."


@dataclass(frozen=True)
class Picture:
    """An image of the page. Only sample grids have a `variant` and a `mode`."""

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
    by_target: list[Picture]
    """One picture, or none if the rows have no means of target domains."""
    by_pair: list[Picture]
    """A picture for each metric that has rows of pairs."""
    metrics: list[tuple[str, str]]

    @property
    def title(self) -> str:
        return heading(self.question)


def plots_of(table: pd.DataFrame, out: Path) -> list[Plots]:
    """Draw the values by variant, and by target domain and by pair as far as the rows have them, for each question that
    the metrics answer.
    """
    found, measured = [], models_of(table)["metric"]
    for question in QUESTIONS:
        metrics = [metric for metric in dict.fromkeys(measured) if METRICS[metric].question == question]
        if not metrics:
            continue
        rows = table[table["metric"].isin(metrics)]
        found.append(
            Plots(
                question,
                _by_variant(rows, question, out),
                _by_target(rows, question, out),
                [picture for metric in metrics for picture in _by_pair(rows[rows["metric"] == metric], metric, out)],
                [
                    (f"{m} {METRICS[m].arrow}", f"{_capital(METRICS[m].definition)}. {_capital(METRICS[m].reading)}.")
                    for m in metrics
                ],
            )
        )
    return found


def _by_variant(rows: pd.DataFrame, question: str, out: Path) -> Picture:
    file = out / plot_file(question)
    plots.save(panels.variants_plot(rows), file)
    caption = f"Mean over all pairs of domains. Dots: seeds; squares: their mean; whiskers: {_WHISKERS}. {_BEYOND}"
    reading = (
        "whiskers show the spread over seeds, not a test; for differences, see Effects. The arrow points to better "
        "values."
    )
    known = set(rows[is_line(rows)]["variant"])
    if titles := [title for line, title in REFERENCE_LINES.items() if line in known]:
        reading += (
            f" Lines show the values of these images in place of outputs: {', '.join(titles)}. Lines beyond an axis "
            "are named below it."
        )
    title = f"{question.capitalize()}, by variant"
    return Picture(title, f"{caption} {counts(rows)}", reading, file)


def _by_target(rows: pd.DataFrame, question: str, out: Path) -> list[Picture]:
    if models_of(of_targets(rows)).empty:
        return []
    file = out / plot_file(question, "target")
    plots.save(panels.targets_plot(rows), file)
    caption = f"Mean over the sources of each target domain. Marks: mean over seeds; whiskers: {_WHISKERS}. {_BEYOND}"
    reading = (
        "a target that is bad for every variant is difficult; one that is bad for a single variant is its failure."
    )
    title = f"{question.capitalize()}, by target domain"
    return [Picture(title, f"{caption} {counts(rows)}", reading, file)]


def _by_pair(rows: pd.DataFrame, metric: str, out: Path) -> list[Picture]:
    if models_of(of_pairs(rows)).empty:
        return []
    file = out / plot_file(metric, "pair")
    plots.save(plots.pairs_plot(rows, metric), file)
    caption = (
        f"{_capital(METRICS[metric].definition)}; mean over seeds. All panels share one colour scale, which leaves out "
        "variants far from the others (shown in red). Grey: no such pair. "
        f"{counts(rows)}"
    )
    reading = (
        f"{METRICS[metric].reading}. Rows are sources, columns are targets. If columns have uniform colours, the "
        "target determines the value; if rows do, the source."
    )
    return [Picture(f"{metric} by pair", caption, reading, file)]


def curves(everything: pd.DataFrame | None, drawn: Sequence[str], out: Path) -> list[Picture]:
    """Draw the training curves of these variants, if there are any."""
    table = None if everything is None else everything[everything["variant"].isin(drawn)]
    if table is None or table.empty:
        return []
    table = in_order(table, drawn)
    plots.save(plots.curves_plot(table), out / CURVES_PLOT)
    caption = (
        "Unweighted loss terms (no unit) over training steps; mean over seeds "
        f"(n: {table['seed'].nunique()}), smoothed over 5 log lines. A missing line means that the variant lacks the "
        f"term. A triangle at the edge marks the extreme of a variant that reaches {plots.FARTHEST} times as far "
        "from zero as the others."
    )
    reading = (
        "d_ terms belong to the discriminator, g_ terms to the generator, for each mode. Adversarial terms normally "
        "oscillate around a level; if one goes to 0, one side has won. sty and cyc should fall and stay low. Low "
        "losses do not mean good images."
    )
    return [Picture("Training curves", caption, reading, out / CURVES_PLOT)]


def stacked(ranked: Sequence[str], files: Mapping[Path, Path], out: Path) -> Picture | None:
    """Draw the variants' examples as one picture; return None if there are none in `files`. Raises ValueError like
    `examples.stack`.
    """
    found = {variant: file for variant in ranked if (file := files.get(grid_file(variant, EXAMPLES))) is not None}
    if not found:
        return None
    with atomic_file(out / EXAMPLES_PLOT) as temporary:
        examples.stack(found).save(temporary, format="PNG", optimize=True)
    missing = [variant for variant in ranked if variant not in found]
    caption = (
        "Each column has a source and a reference, both validation images and the same for all variants. Below are the "
        "outputs of each variant. n: 1 seed, the first." + (f" No picture: {', '.join(missing)}." if missing else "")
    )
    wanted = "have the source's content, and the reference's domain and style"
    reading = f"an output should {wanted}."
    if examples.knows_right_images(next(iter(found.values()))):
        reading = f"an output should equal the right image, which has {wanted.removeprefix('have ')}."
    return Picture("The same translations by every variant", caption, reading, out / EXAMPLES_PLOT)


_READING = "the source's content should stay the same down a column, and the style along a row."
_ACROSS = "The top row shows validation images of each domain. n: 1 seed, the first. Each row below uses"
_GRIDS = {
    "latent": (
        "latent guidance",
        f"{_ACROSS} one latent code in one target domain; domains are in name order.",
        _READING,
    ),
    "reference": (
        "reference guidance",
        f"{_ACROSS} the style of one reference image (left).",
        _READING,
    ),
    NEIGHBOURS: (
        "nearest to training images",
        "First row: the outputs closest to a training image of their target, from one latent output per source; n: 1 "
        "seed, the first. Second row: that training image. Below: the same for validation images.",
        "a copied output repeats its training image. Validation images show how close an image comes without copying.",
    ),
}


def grids(table: pd.DataFrame, files: Mapping[Path, Path]) -> list[Picture]:
    """Return the sample grids among `files`, which are by place in the folder."""
    return [
        Picture(f"{variant}, {title}", caption, reading, file, variant, picture)
        for variant in dict.fromkeys(table["variant"])
        for picture, (title, caption, reading) in _GRIDS.items()
        if (file := files.get(grid_file(variant, picture))) is not None
    ]


def counts(table: pd.DataFrame) -> str:
    """Say how many seeds and images are behind a value of these rows."""
    models = models_of(table)
    compared, seeds = models[models["metric"].isin(COMPARED)], models["seed"].nunique()
    against = f" against {span(compared['n_real'])} training images of the target" if len(compared) else ""
    return f"n: {seeds} {'seed' if seeds == 1 else 'seeds'}; each pair: {span(models['n_fake'])} outputs{against}."


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"
