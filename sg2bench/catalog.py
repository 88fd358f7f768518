"""All facts about metrics and protocols, as data; no other module refers to a metric by name."""

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
    "metrics_of",
]

REFERENCE_LINES = {
    "real": "real validation images",
    "truth": "the right images",
    "sources": "untranslated sources",
    "references": "the references",
    "means": "the target's mean image",
}
"""Reference lines with their titles: the value that these images would get if they were the outputs."""

PROTOCOLS = ("offline", "standard", "paper", "modern")

_ALEXNET = dict.fromkeys(PROTOCOLS, "alexnet")
_NOT_PUBLISHED = ("offline", "standard", "modern")
_ALEXNET_OF_OURS = dict.fromkeys(_NOT_PUBLISHED, "alexnet")
_LAYERS = dict.fromkeys(_NOT_PUBLISHED, "alexnet-layers")
_EDGES = dict.fromkeys(_NOT_PUBLISHED, "alexnet-edges")
_LEVELS = "mean absolute difference in 8-bit levels"
_PROBE = dict.fromkeys(_NOT_PUBLISHED, "critters-probe")
_INCEPTION = {"standard": "inception-v3-compat", "paper": "inception-v3-torchvision"}
_DINOV2 = {"modern": "dinov2-vitl14"}
_ANY_NETWORK = {"offline": "alexnet"} | _INCEPTION | _DINOV2

_LIKE_REAL = "lower means closer to the distribution of real target images, in appearance and variety"


def _frechet(name: str, extractor: Mapping[str, str], noun: str = "", default: bool = False) -> Metric:
    definition = "Fréchet distance, in squared units of the network's features"
    return Metric(name, "frechet", "distance", extractor, definition, _LIKE_REAL, noun, default=default)


def _extrapolated(name: str, extractor: Mapping[str, str], noun: str) -> Metric:
    definition = "Fréchet distance extrapolated to infinitely many images, in squared units of the network's features"
    reading = f"{_LIKE_REAL}; noise can make it negative"
    return Metric(name, "frechet", "extrapolated", extractor, definition, reading, noun, signed=True)


def _kernel(name: str, extractor: Mapping[str, str], noun: str) -> Metric:
    definition = "kernel distance (squared maximum mean discrepancy)"
    reading = f"{_LIKE_REAL}; noise can make it negative"
    return Metric(name, "kernel", "distance", extractor, definition, reading, noun, signed=True)


def _share(name: str) -> Metric:
    definition, reading = {
        "precision": ("share of outputs near a real image", "more outputs look real"),
        "recall": ("share of real images near an output", "outputs cover more of the real variety"),
        "density": ("mean number of real images near an output, over k", "more outputs look real"),
        "coverage": ("share of real images with an output nearby", "outputs cover more of the real variety"),
    }[name]
    most = inf if name == "density" else 1.0
    reading = f"higher means that {reading}"
    noun = f"the {name}"
    return Metric(
        name, "manifold", name, _ANY_NETWORK, definition, reading, noun, better="higher", most=most, counted=True
    )


def _right_image(name: str, quantity: str, extractor: str, definition: str, noun: str, symbol: str = "") -> Metric:
    return Metric(
        name,
        measure="truth",
        quantity=quantity,
        extractor=dict.fromkeys(_NOT_PUBLISHED, extractor),
        definition=f"{definition} between output and the one right image",
        reading="lower means closer to the one right image. A useful model scores below the untranslated sources, the "
        "references and the target's mean image",
        noun=noun,
        symbol=symbol,
        question="followed",
        needs=frozenset({"sources", "references", "truth"}),
        modes=("reference",),
        default=True,
    )


def _content(name: str, quantity: str, definition: str, symbol: str, what: str) -> Metric:
    return Metric(
        name,
        measure="factors",
        quantity=quantity,
        extractor=_PROBE,
        definition=f"{definition}, read by a probe",
        reading=f"lower means that {what} is kept better. The right images score the probe's own error",
        noun=f"the {name.replace('_', ' ')}",
        symbol=symbol,
        question="kept",
        needs=frozenset({"sources", "factors"}),
        default=True,
    )


def _style(name: str, quantity: str, definition: str, symbol: str, what: str, default: bool = True) -> Metric:
    return Metric(
        name,
        measure="factors",
        quantity=quantity,
        extractor=_PROBE,
        definition=f"{definition}, read by a probe",
        reading=f"lower means that {what} follow the reference better. The right images score the probe's own error",
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
    _frechet("fd_dinov2", _DINOV2, "the FD-DINOv2", default=True),
    Metric(
        "cmmd",
        measure="kernel",
        quantity="gaussian",
        extractor={"modern": "clip-vitl14-336"},
        definition="1000 times the squared maximum mean discrepancy of CLIP embeddings",
        reading=_LIKE_REAL,
        noun="the CMMD",
        default=True,
    ),
    Metric(
        "domain_accuracy",
        measure="domains",
        quantity="accuracy",
        extractor=_LAYERS,
        definition="share of outputs that a classifier assigns to the target domain",
        reading="higher means that more outputs reach the target domain. Real validation images have the "
        "classifier's own accuracy",
        noun="the share of outputs taken for the target domain",
        question="reached",
        needs=frozenset({"real", "domains"}),
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
        definition="share of outputs whose nearest source is their own",
        reading="higher means that more outputs can be traced to their source. Chance level is 1 / number of sources; "
        "doing nothing scores 1",
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
        definition="LPIPS between output and source",
        reading="lower means closer to the source. Doing nothing scores 0: read it together with domain_accuracy",
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
        definition="LPIPS between the outputs of one source",
        reading="higher means that the outputs of a source differ more. Noise is diverse too: read it together with "
        "the distance to real images",
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
    _content("angle_error", "angle", "difference in degrees", "degrees", "the head's rotation"),
    _content("size_error", "size", "per cent of the source's radius", "%", "the head's size"),
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
        definition="spread of a source's outputs relative to that of real images, in colours and stripes read by a "
        "probe",
        reading="1 is as varied as real images, 0 is one style for all outputs",
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
        definition="share of the source's colours and stripes left in the outputs, read by a probe",
        reading="0 is best: no style of the source is left; 1 means all of it. Noise can make it negative",
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
        definition="probability that an output is farther from the training images than a real validation image, "
        "minus 1/2",
        reading="0 means no closer to training images than held-out images are; clearly below 0, outputs may be "
        "copies; at -0.5, all are",
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
"""All metrics by name, in the order of the columns of a question's table."""


def place_of_question(metric: str) -> int:
    """Return the place of a metric's question: a sort key for the order of tables."""
    return list(QUESTIONS).index(METRICS[metric].question)


def metrics_of(protocol: str) -> tuple[str, ...]:
    """Return the names of the metrics that a protocol has, in the order of tables."""
    return tuple(name for name, entry in METRICS.items() if protocol in entry.extractor)


def default_metrics(protocol: str) -> tuple[str, ...]:
    """Return the names of the metrics that are measured by default, on images that have what they need."""
    return tuple(name for name in metrics_of(protocol) if METRICS[name].default)


def heading(question: Question) -> str:
    """Return a question as a heading, with its meaning."""
    return f"{question.capitalize()}: {QUESTIONS[question]}"
