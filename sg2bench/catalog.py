"""What is known of each metric and protocol, as data: every other module asks here, none knows a metric by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal

REFERENCE_LINES = {"real": "real validation images", "sources": "untranslated sources"}
"""Lines to read values by, with their titles: the best to hope for, and what doing nothing scores."""

PROTOCOLS = ("offline", "standard", "paper")

_ALEXNET = dict.fromkeys(PROTOCOLS, "alexnet")
_INCEPTION = {"standard": "inception-v3-compat", "paper": "inception-v3-torchvision"}
_ANY_NETWORK = {"offline": "alexnet"} | _INCEPTION

_LIKE_REAL = "the lower, the more the outputs are distributed like real images of the target, in look and in variety"


@dataclass(frozen=True)
class Metric:
    """One metric: how to compute it, and how to read it."""

    name: str
    measure: str
    """The module of `evaluation.measures` that computes it."""
    quantity: str
    """Which of the measure's quantities it is."""
    extractor: Mapping[str, str]
    """By protocol that has this metric: the network whose features it is computed on."""
    unit: str
    reading: str
    better: Literal["lower", "higher"] = "lower"
    signed: bool = False
    """Whether it may be negative, and so is compared as it is, not by its logarithm."""
    most: float = inf
    """The largest value it can have."""
    margin: float = 0.10
    """The gate's: the largest relative worsening to tolerate."""
    needs: frozenset[Literal["real", "outputs"]] = frozenset({"real"})
    """`real`: training images of the target; `outputs`: two or more outputs of each source."""
    raw: frozenset[str] = frozenset()
    """Protocols in which it sees what the generator gave, neither clamped nor rounded to 8 bits."""
    default: bool = False
    """Whether it is measured unless others are asked for."""

    @property
    def sign(self) -> int:
        """1 where more is worse, else -1."""
        return 1 if self.better == "lower" else -1

    @property
    def arrow(self) -> str:
        return "↓" if self.better == "lower" else "↑"


def _frechet(name: str, extractor: Mapping[str, str], default: bool = False) -> Metric:
    unit = "Fréchet distance, in squared units of the network's features"
    return Metric(name, "frechet", "distance", extractor, unit, _LIKE_REAL, default=default)


def _extrapolated(name: str, extractor: Mapping[str, str]) -> Metric:
    unit = "Fréchet distance at infinitely many images, in squared units of the network's features"
    reading = f"{_LIKE_REAL}; chance may take it below 0"
    return Metric(name, "frechet", "extrapolated", extractor, unit, reading, signed=True)


def _kernel(name: str, extractor: Mapping[str, str]) -> Metric:
    unit = "kernel distance (squared maximum mean discrepancy), no unit"
    return Metric(name, "kernel", "distance", extractor, unit, f"{_LIKE_REAL}; chance may take it below 0", signed=True)


def _share(name: str) -> Metric:
    unit, reading = {
        "precision": ("share of outputs among the real images, no unit", "the more outputs look real"),
        "recall": ("share of real images among the outputs, no unit", "the more of the real variety is reached"),
        "density": ("real images' neighbourhoods that an output lies in, no unit", "the more outputs look real"),
        "coverage": ("share of real images with an output nearby, no unit", "the more of the real variety is reached"),
    }[name]
    most = inf if name == "density" else 1.0
    return Metric(name, "manifold", name, _ANY_NETWORK, unit, f"the higher, {reading}", "higher", most=most)


_ALL = (
    _frechet("fd_alexnet", {"offline": "alexnet"}, default=True),
    _frechet("fid", _INCEPTION, default=True),
    Metric(
        "lpips",
        measure="lpips",
        quantity="diversity",
        extractor=_ALEXNET,
        unit="LPIPS between the outputs of one source, no unit",
        reading="the higher, the more the outputs of a source differ. Noise is diverse, too: read it together with the "
        "distance to real images",
        better="higher",
        margin=0.05,
        needs=frozenset({"outputs"}),
        raw=frozenset({"paper"}),
        default=True,
    ),
    _extrapolated("fd_alexnet_inf", {"offline": "alexnet"}),
    _extrapolated("fid_inf", _INCEPTION),
    _kernel("kd_alexnet", {"offline": "alexnet"}),
    _kernel("kid", _INCEPTION),
    *map(_share, ("precision", "recall", "density", "coverage")),
    _frechet("fd_efflite0", {"offline": "efficientnet-lite0"}),
)
METRICS = {metric.name: metric for metric in _ALL}
"""All metrics by name, in the order of tables."""


def metric(name: str) -> Metric:
    """The entry of a metric. Raises ValueError for an unknown name."""
    if name not in METRICS:
        raise ValueError(f"no metric `{name}` (known: {', '.join(METRICS)})")
    return METRICS[name]


def metrics_of(protocol: str) -> tuple[str, ...]:
    """Names of the metrics that a protocol has, in the order of tables."""
    return tuple(name for name, entry in METRICS.items() if protocol in entry.extractor)


def default_metrics(protocol: str) -> tuple[str, ...]:
    """Names of the metrics that are measured unless others are asked for."""
    return tuple(name for name in metrics_of(protocol) if METRICS[name].default)
