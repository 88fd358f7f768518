"""The domain of outputs according to a classifier on frozen features of real training images."""

from __future__ import annotations

from collections.abc import Collection
from weakref import WeakKeyDictionary

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sg2bench.evaluation.measures.base import Fake, FeatureMeasure, Real, RealSet, share_of_outputs
from sg2bench.evaluation.uncertainty import Estimate

_known: WeakKeyDictionary[RealSet, Pipeline] = WeakKeyDictionary()


def classifier(all_domains: RealSet) -> Pipeline:
    """Fit a logistic regression on standardised features of all domains' training images, weighting domains equally."""
    if all_domains not in _known:
        features = [all_domains[domain].features for domain in all_domains.domains]
        labels = np.repeat(all_domains.domains, [len(of_domain) for of_domain in features])
        regression = LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000)
        _known[all_domains] = make_pipeline(StandardScaler(), regression).fit(np.concatenate(features), labels)
    return _known[all_domains]


class Measure(FeatureMeasure):
    """`accuracy`: the share of outputs classified as the target domain.

    The interval ignores the sampling error of the classifier's training images.
    """

    @classmethod
    def compare(cls, quantities: Collection[str], real: Real, fake: Fake) -> dict[str, Estimate]:
        assert real.all_domains is not None
        reached = classifier(real.all_domains).predict(fake.features) == real.domain
        return {"accuracy": share_of_outputs(reached.astype(np.float64).reshape(-1, fake.outputs), fake.references)}
