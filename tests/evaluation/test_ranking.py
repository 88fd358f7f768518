"""Every usual metric puts translators that are right, or wrong in one known way, in the order that it must."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
import torch

from sg2bench.catalog import METRICS, default_metrics
from sg2bench.config import Data, Evaluate
from sg2bench.data import critters, sets
from sg2bench.data.critters import FACTORS, as_vector
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.evaluation.extractors import EXTRACTORS, Extractor, Features
from tools import failures

DATA = Data(domains=("cat", "dog"), train_per_domain=60, val_per_domain=16)
TRANSLATORS = {
    "oracle": failures.right,
    "identity": failures.untranslated,
    "mean": failures.mean_image,
    "shuffled": failures.ignored_reference,
    "copycat": failures.copies,
    "lost pose": failures.lost_pose,
}
ORDER = {
    "fd_alexnet": "oracle shuffled copycat lost_pose > identity mean",
    "domain_accuracy": "oracle shuffled copycat lost_pose > identity",
    "source_retrieval": "identity > oracle shuffled > copycat lost_pose mean",
    "lpips_to_source": "identity > oracle shuffled > copycat lost_pose",
    "lpips": "oracle shuffled copycat lost_pose > identity mean",
    "truth_lpips": "oracle > shuffled lost_pose > identity copycat",
    "truth_l1": "oracle > shuffled lost_pose mean > identity copycat",
    "position_error": "oracle identity shuffled > mean > copycat lost_pose",
    "angle_error": "oracle identity shuffled > mean > copycat lost_pose",
    "size_error": "oracle identity shuffled > mean > copycat lost_pose",
    "colour_error": "oracle lost_pose > mean > shuffled copycat identity",
    "stripe_error": "oracle lost_pose > mean > shuffled copycat identity",
    "style_spread": "oracle shuffled copycat lost_pose > identity mean",
    "style_leak": "mean oracle shuffled copycat lost_pose > identity",
    "nearest_training_gap": "oracle identity mean shuffled lost_pose > copycat",
}
"""By metric, who must be better than all that come after a `>`; who is not there may be anywhere."""


class Drawn(Extractor):
    """A probe without an error: knows all images that are drawn from these poses and styles, and what from.

    Others, such as a mean of images, look to it like the mean of these.
    """

    weights_sha256 = "0" * 64
    dim = len(FACTORS)
    resizes = False
    known: ClassVar[dict[bytes, np.ndarray]] = {}

    def forward(self, images):
        middle = np.mean(list(self.known.values()), 0)
        keys = (image.tobytes() for image in images.permute(0, 2, 3, 1).contiguous().numpy())
        return Features(torch.from_numpy(np.stack([self.known.get(key, middle) for key in keys])).float())


def all_drawn():
    """Factors of all images that may come, by their bytes."""
    of = {
        (split, domain): [critters.factors(domain, split, index, DATA.seed) for index in range(count)]
        for split, count in (("train", DATA.train_per_domain), ("val", DATA.val_per_domain))
        for domain in DATA.domains
    }
    drawn = [(domain, made_of) for domain in DATA.domains for made_of in of["train", domain]]
    for domain in DATA.domains:
        for pose in (made_of for other in DATA.domains for made_of in of["val", other]):
            content = {name: getattr(pose, name) for name in ("x", "y", "radius", "angle")}
            drawn += [(domain, replace(style, **content)) for style in of["val", domain]]
    return {critters.draw(domain, made_of, 32).tobytes(): as_vector(made_of) for domain, made_of in drawn}


@pytest.fixture(scope="module")
def values():
    """The mean over all pairs, by metric and mode, then by translator."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXTRACTORS, "critters-probe", Drawn)
        patch.setattr(Drawn, "known", all_drawn())
        evaluator = Evaluator(Evaluate(resize=64, outputs_per_source=4), sets.load(DATA, 32), 32)
        found = {}
        for name, translator in TRANSLATORS.items():
            for value in failures.measured(evaluator, translator):
                if value.target == "*":
                    found.setdefault((value.metric, value.mode), {})[name] = value.value
    return found


def test_the_order_of_every_usual_metric_is_known():
    assert ORDER.keys() == set(default_metrics("offline"))


@pytest.mark.parametrize(("metric", "mode"), [(metric, mode) for metric in ORDER for mode in METRICS[metric].modes])
def test_translators_are_ranked_as_they_must(values, metric, mode):
    found, sign = values[metric, mode], METRICS[metric].sign
    assert found.keys() == TRANSLATORS.keys()
    tiers = [[name.replace("_", " ") for name in tier.split()] for tier in ORDER[metric].split(">")]
    for better, worse in pairwise(tiers):
        assert max(sign * found[name] for name in better) < min(sign * found[name] for name in worse), found


@pytest.mark.parametrize("metric", ["truth_l1", "truth_lpips", "position_error", "angle_error", "size_error"])
def test_the_oracle_is_without_an_error(values, metric):
    assert values[metric, "reference"]["oracle"] == pytest.approx(0, abs=1e-5)
