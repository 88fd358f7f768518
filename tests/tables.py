"""Result rows to test with."""

from __future__ import annotations

import numpy as np
import torch

from sg2bench.evaluation.uncertainty import Estimate
from sg2bench.evaluation.values import Value, tabulate


def table(tiny, variant="full", seed=0, shift=0.0):
    values = [
        Value("latent", source, target, metric, Estimate(base + shift, {"val/cat": np.array([0.5, -0.5])}), 6, 4)
        for metric, base in (("fd_alexnet", 50.0), ("lpips", 0.25))
        for source, target in (("cat", "dog"), ("*", "dog"), ("*", "*"))
    ]
    return tabulate(values, tiny, variant, seed, 4, "f" * 16, torch.device("cpu"), "c" * 16)


LINES = {
    "real": [Value("none", "*", "*", "fd_alexnet", Estimate(1.5, {"val/cat": np.array([0.5, -0.5])}), 6, 4)],
    "sources": [Value("none", "*", "*", "fd_alexnet", Estimate(90.0, {"val/cat": np.array([0.5, -0.5])}), 6, 4)],
}
