"""Memory of a step at the paper's settings, ours and the naive one, counted without running it."""

from __future__ import annotations

from sg2bench.bench.counted import training
from tools import naive
from tools.ways import PAPER


def paper_gib() -> dict[tuple[str, str], float]:
    """Return the peak memory of a step at the paper's settings in GiB, by way and precision."""
    decay, gib = PAPER.train.ema_decay, {}

    def plain(state, batch):
        naive.train_step(state, batch, PAPER.loss, 1.0, decay)

    for way, precision in (("naive", "float32"), ("ours", "float32"), ("ours", "bf16")):
        train = PAPER.train.model_copy(update={"precision": precision})
        cost = training(PAPER.model_copy(update={"train": train}), 3, plain if way == "naive" else None)
        gib[way, precision] = (cost.state + cost.peak) / 2**30
    return gib
