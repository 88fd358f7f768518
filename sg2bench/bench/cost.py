"""What a study will cost: times from operations, and when the last run ends. Arithmetic alone; docs/performance.md has
the measurements.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass

FEATURES_GFLOP = {"alexnet": 1.31, "efficientnet-lite0": 0.77, "inception-v3-compat": 11.4}
FEATURES_GFLOP |= {"inception-v3-torchvision": 11.4, "pixels": 0.0, "dinov2-vitl14": 162.0, "clip-vitl14-336": 382.0}
"""Of an extractor's pass over an image of 224 px, or of the network's own size if it has one."""
_SIDE, _OWN_SIZE = 224, ("inception", "dinov2", "clip")


@dataclass(frozen=True)
class Rates:
    """How fast one worker computes."""

    step_seconds: float
    """Of a training step, whatever its size."""
    gflop_per_second: float
    process_gib: float
    """Memory of a run's process beyond networks and step: libraries, and what evaluation needs more than a step."""
    basis: str
    """What these figures rest on."""


CPU = Rates(0.155, 40.8, 0.9, "one thread of an AMD EPYC, measured")
"""The lines through the measured points of `nox -s bench -- --ratios`."""


def gpu(tflop_per_second: float) -> Rates:
    """A GPU that sustains so many TFLOP/s in training and takes 50 ms to launch a step's kernels, both assumptions: no
    GPU has been measured.
    """
    return Rates(0.05, 1000 * tflop_per_second, 0.0, f"a GPU of {tflop_per_second:g} TFLOP/s, assumed")


def step_seconds(gflop: float, rates: Rates, share: float = 1.0) -> float:
    """Seconds of a training step of so many GFLOP by a run that has a `share` of a worker's rate."""
    return rates.step_seconds + gflop / (rates.gflop_per_second * share)


def features_gflop(extractors: Iterable[str], resize: int) -> float:
    """GFLOP of all passes over one output; a network without a figure counts as AlexNet."""
    found = 0.0
    for name in extractors:
        scale = 1.0 if name.startswith(_OWN_SIZE) else (resize / _SIDE) ** 2
        found += FEATURES_GFLOP.get(name, FEATURES_GFLOP["alexnet"]) * scale
    return found


def evaluation_gflop(
    sources: Iterable[int], outputs: int, modes: int, encode_gflop: float, decode_gflop: float, features: float
) -> float:
    """GFLOP of an evaluation: each pair of domains has its source's number of `sources`, each with so many `outputs`;
    real images are measured once for a study and are not counted.
    """
    return modes * sum(sources) * (encode_gflop + outputs * (decode_gflop + features))


def evaluations(evaluated_steps: int) -> float:
    """Evaluations of a run, in whole ones: the last step on all sources; with steps on the way, each of these on half
    of them, and the best and the last on the other half.
    """
    return 1 + (evaluated_steps + 2) / 2 if evaluated_steps else 1


def at_once(machines: int, share: float) -> int:
    """Runs at the same time on so many GPUs, of which each run takes a `share`: less than one, or several."""
    return machines * math.floor(1 / share) if share <= 1 else math.floor(machines / share)


def makespan(seconds: Iterable[float], workers: int) -> float:
    """Seconds until the last run ends, where each free worker takes the next run in order."""
    free = [0.0] * workers
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def storage_bytes(trained: int, average: int, kept_steps: int) -> int:
    """Bytes of a finished run's networks: its checkpoint (weights, their average, Adam's two moments), the final
    networks, and the averaged ones of the steps that are kept.
    """
    checkpoint = 3 * trained + average
    return checkpoint + trained + average + kept_steps * average
