"""A set of random images in memory, and outputs passed through a measure in batches."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from sg2bench.config import Evaluate
from sg2bench.data.images import ImageSet
from sg2bench.evaluation.measures.base import Batch, RealSet, Task, measure
from sg2bench.evaluation.originals import Originals
from tests.evaluation.measures.test_base import Stub

SIDE = 4


def in_memory(train=10, val=8, domains=("a", "b"), side=SIDE, **known):
    """Random images; `known` are the set's truth and factors."""
    names = {
        split: dict.fromkeys(domains, tuple(map(str, range(count))))
        for split, count in (("train", train), ("val", val))
    }
    return ImageSet(names, lambda *key: random_picture(hash_of(key), side), "0" * 16, **known)


def random_picture(seed, side=SIDE):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


def hash_of(key):
    return list("-".join(map(str, key)).encode())


def originals_of(images, translated, source="a", target="b", side=SIDE):
    return Originals(images, source, target, np.sort(translated), side, torch.device("cpu"))


def real_set(images, network, side=SIDE):
    def features(split):
        return lambda domain: network(
            images.batch(split, domain, range(images.count(split, domain)), side)
        ).pooled.numpy()

    return RealSet(images.domains, features("train"), features("val"))


def measured(name, quantities, outputs, originals, *, references=None, real=None, network=None, order=None, sizes=None):
    """Estimates for outputs (sources, outputs, 3, S, S) of the translated sources, in batches of so many sources."""
    network = Stub() if network is None else network
    task = Task(Evaluate(), "stub", False, network, outputs.shape[1], real, originals)
    found = measure(name)(task)
    order = np.arange(len(outputs)) if order is None else order
    for part in np.split(order, np.cumsum(sizes or [len(order)])[:-1]):
        chosen = None if references is None else references[part]
        images = outputs[torch.from_numpy(part)].flatten(0, 1)
        found.add(Batch(images, originals.translated[part], chosen, {"stub": network}, originals))
    return found.estimates(quantities)


def left_out(value_of, count):
    """By how much the value without each unit differs, as influences: (count,)."""
    whole = value_of(np.arange(count))
    return np.array([(whole - value_of(np.delete(np.arange(count), i))) * (count - 1) / count for i in range(count)])
