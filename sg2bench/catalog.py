"""What is known of each metric and protocol, as data: every other module asks here, none knows a metric by name."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from sg2bench.metric import QUESTIONS, Metric, Mode, Need, Question

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "QUESTIONS",
    "REFERENCE_LINES",
    "Metric",
    "Mode",
    "Need",
    "Question",
    "default_metrics",
    "heading",
    "metric",
    "metrics_of",
]

REFERENCE_LINES = {
    "real": "real validation images",
    "truth": "the right images",
    "sources": "untranslated sources",
    "references": "the references",
    "means": "the target's mean image",
}
"""Lines to read values by, with their titles: what is scored by outputs that are just these images."""

PROTOCOLS = ("offline", "standard", "paper")

_ALEXNET = dict.fromkeys(PROTOCOLS, "alexnet")
_NOT_PUBLISHED = ("offline", "standard")
_ALEXNET_OF_OURS = dict.fromkeys(_NOT_PUBLISHED, "alexnet")
_LAYERS = dict.fromkeys(_NOT_PUBLISHED, "alexnet-layers")
_EDGES = dict.fromkeys(_NOT_PUBLISHED, "alexnet-edges")
_LEVELS = "mean absolute difference in 8-bit levels"
_PROBE = dict.fromkeys(_NOT_PUBLISHED, "critters-probe")
_INCEPTION = {"standard": "inception-v3-compat", "paper": "inception-v3-torchvision"}
_ANY_NETWORK = {"offline": "alexnet"} | _INCEPTION

_LIKE_REAL = "the lower, the more the outputs are distributed like real images of the target, in look and in variety"


def _frechet(name: str, extractor: Mapping[str, str], noun: str = "", default: bool = False) -> Metric:
    unit = "Fréchet distance, in squared units of the network's features"
    return Metric(name, "frechet", "distance", extractor, unit, _LIKE_REAL, noun, default=default)


def _extrapolated(name: str, extractor: Mapping[str, str], noun: str) -> Metric:
    unit = "Fréchet distance at infinitely many images, in squared units of the network's features"
    reading = f"{_LIKE_REAL}; chance may take it below 0"
    return Metric(name, "frechet", "extrapolated", extractor, unit, reading, noun, signed=True)


def _kernel(name: str, extractor: Mapping[str, str], noun: str) -> Metric:
    unit = "kernel distance (squared maximum mean discrepancy), no unit"
    reading = f"{_LIKE_REAL}; chance may take it below 0"
    return Metric(name, "kernel", "distance", extractor, unit, reading, noun, signed=True)


def _share(name: str) -> Metric:
    unit, reading = {
        "precision": ("share of outputs among the real images, no unit", "the more outputs look real"),
        "recall": ("share of real images among the outputs, no unit", "the more of the real variety is reached"),
        "density": ("real images' neighbourhoods that an output lies in, no unit", "the more outputs look real"),
        "coverage": ("share of real images with an output nearby, no unit", "the more of the real variety is reached"),
    }[name]
    most = inf if name == "density" else 1.0
    reading = f"the higher, {reading}"
    noun = f"the {name}"
    return Metric(name, "manifold", name, _ANY_NETWORK, unit, reading, noun, better="higher", most=most, counted=True)


def _right_image(name: str, quantity: str, extractor: str, unit: str, noun: str, symbol: str = "") -> Metric:
    return Metric(
        name,
        measure="truth",
        quantity=quantity,
        extractor=dict.fromkeys(_NOT_PUBLISHED, extractor),
        unit=f"{unit} between output and the one right image",
        reading="the lower, the nearer to the one right image. A model is of use where it lies below the untranslated "
        "sources, the references and the target's mean image",
        noun=noun,
        symbol=symbol,
        question="followed",
        needs=frozenset({"sources", "references", "truth"}),
        modes=("reference",),
        default=True,
    )


def _content(name: str, quantity: str, unit: str, symbol: str, what: str) -> Metric:
    return Metric(
        name,
        measure="factors",
        quantity=quantity,
        extractor=_PROBE,
        unit=f"{unit}, read by a probe",
        reading=f"the lower, the better {what} is kept. The right images score what the probe misreads",
        noun=f"the {name.replace('_', ' ')}",
        symbol=symbol,
        question="kept",
        needs=frozenset({"sources", "factors"}),
        default=True,
    )


def _style(name: str, quantity: str, unit: str, symbol: str, what: str, default: bool = True) -> Metric:
    return Metric(
        name,
        measure="factors",
        quantity=quantity,
        extractor=_PROBE,
        unit=f"{unit}, read by a probe",
        reading=f"the lower, the better {what} follow the reference. The right images score what the probe misreads",
        noun=f"the {name.replace('_', ' ')}",
        symbol=symbol,
        question="followed",
        needs=frozenset({"references", "factors"}),
        modes=("reference",),
        default=default,
    )


_ALL = (
    _frechet("fd_alexnet", {"offline": "alexnet"}, "the Fréchet distance", default=True),
    _frechet("fid", _INCEPTION, "the FID", default=True),
    Metric(
        "domain_accuracy",
        measure="domains",
        quantity="accuracy",
        extractor=_LAYERS,
        unit="share of outputs that a classifier takes for the target domain, no unit",
        reading="the higher, the more outputs are taken for the target domain. Real validation images score the "
        "classifier's own accuracy",
        noun="the share of outputs taken for the target domain",
        question="reached",
        better="higher",
        most=1.0,
        margin=0.05,
        absolute=True,
        counted=True,
        default=True,
    ),
    Metric(
        "source_retrieval",
        measure="retrieval",
        quantity="share",
        extractor=_EDGES,
        unit="share of outputs whose nearest source is their own, no unit",
        reading="the higher, the more of the source's content is left to tell it from other sources. Chance is 1 in as "
        "many as there are sources; doing nothing scores 1",
        noun="the share of outputs that find their source",
        question="kept",
        better="higher",
        most=1.0,
        margin=0.05,
        absolute=True,
        counted=True,
        needs=frozenset({"sources"}),
        default=True,
    ),
    Metric(
        "lpips_to_source",
        measure="sources",
        quantity="perceptual",
        extractor=_ALEXNET_OF_OURS,
        unit="LPIPS between output and source, no unit",
        reading="the lower, the nearer to the source. Doing nothing scores 0: read it together with the domain reached",
        noun="the LPIPS to the source",
        question="kept",
        needs=frozenset({"sources"}),
        default=True,
    ),
    Metric(
        "lpips",
        measure="lpips",
        quantity="diversity",
        extractor=_ALEXNET,
        unit="LPIPS between the outputs of one source, no unit",
        reading="the higher, the more the outputs of a source differ. Noise is diverse, too: read it together with the "
        "distance to real images",
        noun="the diversity (LPIPS)",
        question="followed",
        better="higher",
        margin=0.05,
        needs=frozenset({"outputs"}),
        raw=frozenset({"paper"}),
        default=True,
    ),
    _right_image("truth_lpips", "perceptual", "alexnet", "LPIPS", "the LPIPS to the right image"),
    _right_image("truth_l1", "l1", "pixels", _LEVELS, "the distance to the right image", "levels"),
    _content("position_error", "position", "distance in pixels", "px", "the head's position"),
    _content("angle_error", "angle", "degrees", "degrees", "the head's rotation"),
    _content("size_error", "size", "per cent of the source's", "%", "the head's size"),
    _style("colour_error", "colour", _LEVELS, "levels", "the colours of fur, eyes and background"),
    _style("fur_error", "fur", _LEVELS, "levels", "the fur's colours", default=False),
    _style("eyes_error", "eyes", _LEVELS, "levels", "the eyes' colours", default=False),
    _style("background_error", "background", _LEVELS, "levels", "the background's colours", default=False),
    _style("stripe_error", "stripes", "mean absolute difference in number of stripes", "", "the stripes"),
    Metric(
        "style_spread",
        measure="factors",
        quantity="spread",
        extractor=_PROBE,
        unit="spread of a source's outputs over that of real images, in colours and stripes that a probe reads",
        reading="1 is as varied as real images, 0 one style for all",
        noun="the spread of styles",
        question="followed",
        better="higher",
        needs=frozenset({"real", "outputs", "factors"}),
        modes=("latent",),
        default=True,
    ),
    Metric(
        "style_leak",
        measure="factors",
        quantity="leak",
        extractor=_PROBE,
        unit="share of the source's colours and stripes that is left in the outputs, read by a probe",
        reading="0: nothing of the source's style is left, as it should be; 1: all of it. Chance may take it below 0",
        noun="the share of the source's style left",
        question="followed",
        signed=True,
        margin=0.05,
        absolute=True,
        needs=frozenset({"sources", "factors"}),
        default=True,
    ),
    Metric(
        "nearest_training_gap",
        measure="copies",
        quantity="gap",
        extractor=_LAYERS,
        unit="share of outputs nearer to training images than real validation images are, less than by chance",
        reading="0: no nearer to training images than held-out real images; below: copied from them, all at -0.5",
        noun="the gap to training images",
        better="higher",
        signed=True,
        most=0.0,
        margin=0.05,
        absolute=True,
        counted=True,
        needs=frozenset({"real", "held_out"}),
        default=True,
    ),
    _extrapolated("fd_alexnet_inf", {"offline": "alexnet"}, "the Fréchet distance at infinitely many images"),
    _extrapolated("fid_inf", _INCEPTION, "the FID at infinitely many images"),
    _kernel("kd_alexnet", {"offline": "alexnet"}, "the kernel distance"),
    _kernel("kid", _INCEPTION, "the KID"),
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
    """Names of the metrics that are measured, on images that have what they need, unless others are asked for."""
    return tuple(name for name in metrics_of(protocol) if METRICS[name].default)


def heading(question: Question) -> str:
    """A question as a heading, with its meaning."""
    return f"{question.capitalize()}: {QUESTIONS[question]}"
