"""The files of run folders and report folders."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

PathLike = str | os.PathLike[str]

CONFIG, LOG, ROWS, RUN_LOG, LOCK = "config.yaml", "train.csv", "rows.csv", "run.log", ".lock"
CHECKPOINT, EARLIER_CHECKPOINT = "checkpoint.pt", "checkpoint-earlier.pt"
DIGESTS = "digests.json"
TIMES = "times.json"
"""In a run's folder: when training and evaluation began and ended."""
SAMPLES, EXAMPLES, NEIGHBOURS = "samples", "examples", "neighbours"
PICTURES = ("latent", "reference", EXAMPLES, NEIGHBOURS)
"""Pictures of a run: its outputs in each mode, examples next to the right images, and the outputs nearest to training
images.
"""
EXAMPLES_ACROSS = 8
"""Number of columns of EXAMPLES, whose tiles are square."""
STEPS = "steps"
"""In a run's folder: the averaged networks of the steps that are measured."""

RESULTS, SUMMARY, CURVES, EXPERIMENT = "results.csv", "summary.csv", "curves.csv", "experiment.yaml"
CLAIMS, EFFECTS = "claims.csv", "effects.csv"
GRIDS, VARIANTS, PAGE = "grids", "leaderboard.md", "report.html"
REPORT_FILES = ".report-files"
"""List of a report's files, one per line, which the next report in the folder may replace."""
MADE_BY = "# Made by: "
"""Start of `experiment.yaml`, before the command that made the rows."""
CURVES_PLOT, STEPS_PLOT, EXAMPLES_PLOT = "curves.png", "steps.png", "examples.png"
EFFECTS_PLOT = "effects.png"
LEADERBOARD = "leaderboard"
"""Stem of the names of the leaderboard's CSV, Markdown and HTML files."""


def with_home(path: PathLike) -> Path:
    """Return the path with `~` expanded, which a shell does not do in `--real=~/x`."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user
        return Path(path)


def run_folder(runs: Path, experiment: str, variant: str, seed: int) -> Path:
    """Return a run's folder below the folder of all runs."""
    return runs / experiment / variant / f"seed-{seed}"


def folder_of_run(checkpoint: Path) -> Path:
    """Return the folder of a checkpoint's run: the one it is in, or the one above `steps`; links are resolved."""
    folder = checkpoint.resolve().parent
    return folder.parent if folder.name == STEPS else folder


def ema_file(step: int) -> str:
    """Return the file name of the averaged networks after `step` steps."""
    return f"{step:06d}_nets_ema.ckpt"


def nets_file(step: int) -> str:
    """Return the file name of the current networks with the discriminator."""
    return f"{step:06d}_nets.ckpt"


def step_of(checkpoint: Path) -> int:
    """Return the step at the start of a checkpoint's name, or 0."""
    digits = checkpoint.name.split("_")[0]
    return int(digits) if digits.isdigit() else 0


def plot_file(name: str, by: str = "") -> str:
    """Return the file name of a plot: of a question by variant, `target` or `effect`, or of a metric by `pair`."""
    return f"{name}-by-{by}.png" if by else f"{name}.png"


def pictures_of(modes: Iterable[str]) -> list[str]:
    """Return the PICTURES of runs with these modes. NEIGHBOURS are only drawn if copies are measured."""
    found = [*modes]
    return [*found, *([EXAMPLES] if "reference" in found else []), NEIGHBOURS]


def sample_file(picture: str) -> Path:
    """Return the path of one of a run's PICTURES in its folder."""
    return Path(SAMPLES, f"{picture}.png")


def grid_file(variant: str, picture: str) -> Path:
    """Return the path of one of a variant's PICTURES in a report folder."""
    return Path(GRIDS, f"{variant}-{picture}.png")
