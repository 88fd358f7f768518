"""Compare training in bf16 and in float32, on 200 steps of critters: `python -m tools.loss_curve [DEVICE]`.

Seed 0 is trained in float32 and in bf16, seeds 1 to 4 in float32. Prints, for both trainings of seed 0, the distance of
the loss terms (means of 20 steps) from the mean of the four other seeds, in their standard deviations, as root mean
square over all terms. The value of float32 is the effect of another seed; that of bf16 includes the effect of bf16.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from sg2bench.layout import LOG, run_folder
from tools.tables import ROOT


def curve(runs: Path, seed: int, precision: str, device: str) -> np.ndarray:
    """Train a run of 200 steps and return its loss terms, averaged over 20 steps each: (10, terms)."""
    train = {"steps": 200, "log_every": 1, "precision": precision}
    settings = [part for key, value in train.items() for part in ("--set", f"train.{key}={value}")]
    which = ["--variant", "full", "--seed", str(seed), "--device", device, "--runs", str(runs)]
    command = [sys.executable, "-m", "sg2bench", "run", "experiments/critters.yaml", *which, *settings]
    subprocess.run([*command, "--set", "evaluate.sources=4"], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    log = pd.read_csv(run_folder(runs, "critters", "full", seed) / LOG)
    return log.drop(columns=["step", "ds_weight"]).to_numpy().reshape(10, 20, -1).mean(1)


def main() -> None:
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    with tempfile.TemporaryDirectory() as scratch:
        others = np.stack([curve(Path(scratch), seed, "float32", device) for seed in range(1, 5)])
        for precision in ("float32", "bf16"):
            distance = curve(Path(scratch, precision), 0, precision, device) - others.mean(0)
            print(f"{precision}: {np.sqrt(np.mean((distance / others.std(0, ddof=1)) ** 2)):.2f}", flush=True)


if __name__ == "__main__":
    main()
