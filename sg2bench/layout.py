"""The files of run folders and report folders."""

from __future__ import annotations

import os
from pathlib import Path

CONFIG, LOG, ROWS, RUN_LOG, LOCK = "config.yaml", "train.csv", "rows.csv", "run.log", ".lock"
CHECKPOINT, EARLIER_CHECKPOINT = "checkpoint.pt", "checkpoint-earlier.pt"
DIGESTS = "digests.json"
SAMPLES = "samples"

RESULTS, SUMMARY, CURVES, EXPERIMENT = "results.csv", "summary.csv", "curves.csv", "experiment.yaml"
GRIDS, VARIANTS, PAGE = "grids", "leaderboard.md", "report.html"
MADE_BY = "# Made by: "
"""Begins `experiment.yaml`; the command that made the rows follows."""
CURVES_PLOT = "curves.png"
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


def plot_file(metric: str, by: str = "") -> str:
    """A plot of a metric in a report folder: by variant, by `target`, or by `pair`."""
    return f"{metric}-by-{by}.png" if by else f"{metric}.png"


def sample_file(mode: str) -> Path:
    """A run's grid of one mode, in its folder."""
    return Path(SAMPLES, f"{mode}.png")


def grid_file(variant: str, mode: str) -> Path:
    """A variant's grid of one mode, in a report folder."""
    return Path(GRIDS, f"{variant}-{mode}.png")
