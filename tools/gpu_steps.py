"""Time training steps on a GPU, eager and recorded, at 32 px and at the paper's size: `python -m tools.gpu_steps`.

Prints the median of 8 steps after 3, and the time for which the GPU computes in a step.
"""

from __future__ import annotations

import statistics
import time

import torch
from torch.profiler import ProfilerActivity, profile

from sg2bench import devices
from sg2bench.config import Experiment
from tools.ways import PAPER, experiment, training_ways

WAYS = {"32 px": experiment(32), "paper": PAPER}


def measure(settings: Experiment, precision: str, recorded: bool) -> tuple[float, float]:
    """Return milliseconds of a step, and milliseconds for which the GPU computes."""
    ways, _ = training_ways(settings, "cuda", precision=precision, compile=recorded)

    def step() -> float:
        start = time.perf_counter()
        ways["ours"]()
        torch.cuda.synchronize()
        return 1000 * (time.perf_counter() - start)

    with devices.true_float32():
        for _ in range(3):
            step()
        taken = [step() for _ in range(8)]
        with profile(activities=[ProfilerActivity.CUDA]) as profiled:
            step()
    busy = sum(event.self_device_time_total for event in profiled.events() if "CUDA" in str(event.device_type)) / 1000
    return statistics.median(taken), busy


def main() -> None:
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    print("size   precision  run       ms/step  busy ms")
    for name, settings in WAYS.items():
        for precision in ("float32", "bf16"):
            for recorded in (False, True):
                milliseconds, busy = measure(settings, precision, recorded)
                run = "recorded" if recorded else "eager"
                print(f"{name:6} {precision:10} {run:9} {milliseconds:7.1f} {busy:8.1f}", flush=True)


if __name__ == "__main__":
    main()
