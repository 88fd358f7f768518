"""Plant failures in right translations of critters, and write into docs/metrics.md which metrics detect them.

`python -m tools.sanity`, under ten minutes on one core.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np

from sg2bench import texts
from sg2bench.catalog import METRICS, Mode, default_metrics
from sg2bench.config import Data, Evaluate
from sg2bench.data import sets
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.evaluation.uncertainty import Estimate
from sg2bench.evaluation.values import ANY
from tools import failures
from tools.failures import BLUR_PX, NOISE_LEVELS, Translator
from tools.tables import write_table

SEEDS, SIDE, TRAIN, SOURCES, OUTPUTS = 10, 32, 200, 40, 5
METRICS_SHOWN = (*default_metrics("offline"), "kd_alexnet", "precision", "recall", "coverage")
FAILURES: dict[str, Translator] = {
    f"blur, sd {BLUR_PX:g} px": failures.blurred,
    f"noise, sd {NOISE_LEVELS:g} levels": failures.noisy,
    "source's species": failures.wrong_domain,
    "untranslated": failures.untranslated,
    "another source's pose": failures.lost_pose,
    "other references' styles": failures.ignored_reference,
    "half of the source's style": failures.leaked_style,
    "one style for all": failures.one_style,
    "copied training images": failures.copies,
}
FEWER = "half of the sources"
"""Not a failure: the right images of fewer sources."""
Shown = dict[tuple[str, str], float]


def worse_by(metric: str, right: Estimate, other: Estimate) -> float:
    """Return by how many standard deviations of the difference `other` is worse, as if the two were independent."""
    difference = METRICS[metric].sign * (other.value - right.value)
    if difference == 0:
        return 0.0
    variance = sum((_half_width(estimate) / 1.96) ** 2 for estimate in (right, other))
    return difference / math.sqrt(variance) if variance else math.copysign(math.inf, difference)


def _half_width(estimate: Estimate) -> float:
    """Return the length of the interval's longer half, as the other may be cut at a bound."""
    low, high = estimate.interval()
    return max(estimate.value - low, high - estimate.value)


def evaluators(seed: int) -> Iterator[Evaluator]:
    """Yield an evaluator for the metrics of mode reference, and one for those of mode latent only."""
    data = Data(domains=("cat", "dog"), train_per_domain=TRAIN, val_per_domain=SOURCES, seed=seed)
    by_mode: dict[Mode, list[str]] = {"reference": [], "latent": []}
    for metric in METRICS_SHOWN:
        by_mode["reference" if "reference" in METRICS[metric].modes else "latent"].append(metric)
    for mode, metrics in by_mode.items():
        evaluate = Evaluate(metrics=tuple(metrics), modes=(mode,), resize=64, outputs_per_source=OUTPUTS, seed=seed)
        yield Evaluator(evaluate, sets.load(data, SIDE), SIDE)


def of_seed(seed: int) -> Shown:
    """Return, by metric and failure, by how many standard deviations it is worse than the right images; for fewer right
    images, by how many it differs.
    """
    found: Shown = {}
    for evaluator in evaluators(seed):
        right = _whole(evaluator, failures.right)
        for failure, translator in FAILURES.items():
            for metric, estimate in _whole(evaluator, translator).items():
                found[metric, failure] = worse_by(metric, right[metric], estimate)
        for metric, estimate in _whole(evaluator, failures.right, share=0.5).items():
            found[metric, FEWER] = abs(worse_by(metric, right[metric], estimate))
    return found


def _whole(evaluator: Evaluator, translator: Translator, share: float = 1.0) -> dict[str, Estimate]:
    """Return a translator's means over all pairs, by metric."""
    values = failures.measured(evaluator, translator, share)
    return {value.metric: value.estimate for value in values if value.target == ANY}


def main() -> None:
    began, by_seed = time.perf_counter(), []
    for seed in range(SEEDS):
        by_seed.append(of_seed(seed))
        print(f"seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)
    lines = []
    for metric in METRICS_SHOWN:
        shares = [np.mean([found[metric, failure] > 1.96 for found in by_seed]) for failure in (*FAILURES, FEWER)]
        medians = [np.median([found[metric, failure] for found in by_seed]) for failure in (*FAILURES, FEWER)]
        print(metric, *(f"{share:.0%} ({median:.1f})" for share, median in zip(shares, medians, strict=True)))
        lines.append((f"`{metric}`", *(f"{share:.0%}" if share else "–" for share in shares)))
    write_table(
        "metrics.md", "sanity", texts.markdown_table(("metric", *FAILURES, FEWER), lines), "python -m tools.sanity"
    )


if __name__ == "__main__":
    main()
