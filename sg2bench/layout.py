"""The files of run folders and report folders."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

CONFIG, LOG, ROWS, RUN_LOG, LOCK = "config.yaml", "train.csv", "rows.csv", "run.log", ".lock"
CHECKPOINT, EARLIER_CHECKPOINT = "checkpoint.pt", "checkpoint-earlier.pt"
DIGESTS = "digests.json"
TIMES = "times.json"
"""Of a run's folder: when training and evaluation began and ended."""
SAMPLES, EXAMPLES, NEIGHBOURS = "samples", "examples", "neighbours"
PICTURES = ("latent", "reference", EXAMPLES, NEIGHBOURS)
"""What a run draws: its outputs in each mode, a few next to the right images, and those nearest to training images."""
EXAMPLES_ACROSS = 8
"""Columns of EXAMPLES; its rows are as high as these are wide."""
STEPS = "steps"
"""Of a run's folder: the averaged networks of steps that are measured."""

RESULTS, SUMMARY, CURVES, EXPERIMENT = "results.csv", "summary.csv", "curves.csv", "experiment.yaml"
CLAIMS, EFFECTS = "claims.csv", "effects.csv"
GRIDS, VARIANTS, PAGE = "grids", "leaderboard.md", "report.html"
REPORT_FILES = ".report-files"
"""Lists the files of a report, one a line: those that the next one in the folder may replace."""
MADE_BY = "# Made by: "
"""Begins `experiment.yaml`; the command that made the rows follows."""
CURVES_PLOT, STEPS_PLOT, EXAMPLES_PLOT = "curves.png", "steps.png", "examples.png"
EFFECTS_PLOT = "effects.png"
LEADERBOARD = "leaderboard"
"""Stem of the leaderboard's CSV, Markdown and HTML."""


def with_home(path: str | os.PathLike[str]) -> Path:
    """The path with the home folder for `~`, which a shell leaves alone in `--real=~/x`."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user
        return Path(path)


def run_folder(runs: Path, experiment: str, variant: str, seed: int) -> Path:
    """Where a run lies below the folder of all runs."""
    return runs / experiment / variant / f"seed-{seed}"


def ema_file(step: int) -> str:
    """Name of the averaged networks after `step` steps."""
    return f"{step:06d}_nets_ema.ckpt"


def nets_file(step: int) -> str:
    """Name of the networks in training, with the discriminator."""
    return f"{step:06d}_nets.ckpt"


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint's name begins with, 0 without one."""
    digits = checkpoint.name.split("_")[0]
    return int(digits) if digits.isdigit() else 0


def plot_file(name: str, by: str = "") -> str:
    """A plot in a report folder: of a question by variant, `target` or `effect`, or of a metric by `pair`."""
    return f"{name}-by-{by}.png" if by else f"{name}.png"


def pictures_of(modes: Iterable[str]) -> list[str]:
    """The PICTURES of runs with these modes; NEIGHBOURS only where copies are measured."""
    found = [*modes]
    return [*found, *([EXAMPLES] if "reference" in found else []), NEIGHBOURS]


def sample_file(picture: str) -> Path:
    """One of a run's PICTURES, in its folder."""
    return Path(SAMPLES, f"{picture}.png")


def grid_file(variant: str, picture: str) -> Path:
    """One of a variant's PICTURES, in a report folder."""
    return Path(GRIDS, f"{variant}-{picture}.png")
