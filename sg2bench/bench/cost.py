"""The cost of a study: times from operations, and when the last run ends. Pure arithmetic; docs/performance.md has the
measurements.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass

FEATURES_GFLOP = {"alexnet": 1.31, "efficientnet-lite0": 0.77, "inception-v3-compat": 11.4}
FEATURES_GFLOP |= {"inception-v3-torchvision": 11.4, "pixels": 0.0, "dinov2-vitl14": 162.0, "clip-vitl14-336": 382.0}
"""GFLOP of an extractor's pass over an image of 224 px, or of the network's own size if it has one."""
_SIDE, _OWN_SIZE = 224, ("inception", "dinov2", "clip")


@dataclass(frozen=True)
class Rates:
    """How fast one worker computes."""

    step_seconds: float
    """Part of a training step's time that does not depend on its size."""
    gflop_per_second: float
    """Rate of what grows with a training step's size."""
    evaluation_gflop_per_second: float
    process_gib: float
    """Memory of a run's process besides networks and step: libraries, and what evaluation needs beyond a step."""
    basis: str
    """Origin of these figures."""


CPU = Rates(0.093, 65.8, 95.0, 0.9, "one thread of an Intel Xeon, measured")
"""Lines fitted to the points that `nox -s bench -- --costs` measured."""


H200 = Rates(0.013, 23_000, 23_000, 0.0, "as measured on an NVIDIA H200 in float32; --tflops for another GPU")
"""The fixed part was measured at 32 px, the rate of training at the paper's size (`tools.gpu_steps`). Evaluations are
assumed to run at the same rate.
"""


def gpu(tflop_per_second: float) -> Rates:
    """Return the rates of a GPU that sustains this many TFLOP/s in training, with an H200's fixed part of a step."""
    rate = 1000 * tflop_per_second
    return Rates(H200.step_seconds, rate, rate, 0.0, f"a GPU of {tflop_per_second:g} TFLOP/s, assumed")


def step_seconds(gflop: float, rates: Rates, share: float = 1.0) -> float:
    """Return the seconds of a training step of this many GFLOP, for a run that has a `share` of a worker's rate.

    The fixed part is kernels that run in turn: it takes longer if others share the GPU, and as long on several GPUs.
    """
    return rates.step_seconds / min(share, 1.0) + gflop / (rates.gflop_per_second * share)


def features_gflop(extractors: Iterable[str], resize: int) -> float:
    """Return the GFLOP of all passes over one output; a network without a figure counts as AlexNet."""
    found = 0.0
    for name in extractors:
        scale = 1.0 if name.startswith(_OWN_SIZE) else (resize / _SIDE) ** 2
        found += FEATURES_GFLOP.get(name, FEATURES_GFLOP["alexnet"]) * scale
    return found


def evaluation_gflop(
    sources: Iterable[int], outputs: int, modes: int, encode_gflop: float, decode_gflop: float, features: float
) -> float:
    """Return the GFLOP of an evaluation with this many `sources` in each pair of domains and `outputs` per source. Real
    images are measured once per study and are not counted.
    """
    return modes * sum(sources) * (encode_gflop + outputs * (decode_gflop + features))


def evaluations(evaluated_steps: int) -> float:
    """Return how many evaluations on all sources a run's evaluations equal.

    The last step is measured on all sources (1). If steps are evaluated during training, each of them adds the even
    sources (1/2), and the best and the last one add the odd sources (1/2 each).
    """
    return 1 + (evaluated_steps + 2) / 2 if evaluated_steps else 1


def parallel_runs(machines: int, share: float) -> int:
    """Return the number of parallel runs on these GPUs, if each run takes a `share`: less than one GPU, or several."""
    return machines * math.floor(1 / share) if share <= 1 else math.floor(machines / share)


def makespan(seconds: Iterable[float], workers: int) -> float:
    """Return the seconds until the last run ends, if each free worker takes the next run in order."""
    runs = list(seconds)
    free = [0.0] * max(1, min(workers, len(runs)))
    for each in runs:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def storage_bytes(trained: int, average: int, kept_steps: int, fixed: int = 0) -> int:
    """Return the bytes of a finished run's networks: its checkpoint (weights, their moving average, Adam's two
    moments), the final networks, and the averaged networks of the steps that are kept. Each file also holds `fixed`
    bytes of networks that are not trained.
    """
    checkpoint = 3 * trained + average
    return checkpoint + trained + average + kept_steps * average + (3 + kept_steps) * fixed
