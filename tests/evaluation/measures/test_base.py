from __future__ import annotations

import numpy as np
import pytest
import torch

from sg2bench.config import Evaluate
from sg2bench.evaluation.extractors import Extractor, Features
from sg2bench.evaluation.measures.base import FAKE, REAL, REFERENCE, Batch, Fake, Real, Task, measure, of_units

OUTPUTS, SOURCES = 3, 12
QUANTITIES = {
    "frechet": ("distance", "extrapolated"),
    "kernel": ("distance",),
    "manifold": ("precision", "recall", "density", "coverage"),
}


class Stub(Extractor):
    """Features that are plain to compute: the mean colour, and for LPIPS the angle of the mean red on a circle."""

    weights_sha256 = "0" * 64
    dim = 3
    heads = (torch.tensor([2.0, 2.0]),)

    def __init__(self):
        super().__init__(None)
        self.passes = 0

    def forward(self, images):
        self.passes += 1
        mean = images.double().mean((2, 3)) / 255
        angle = mean[:, 0]
        return Features(mean.float(), (torch.stack([angle.cos(), angle.sin()], 1)[:, :, None, None],))


def random_images(count, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 3, 4, 4), dtype=np.uint8))


def task(real=None, evaluate=None, raw=False, outputs=OUTPUTS):
    return Task(evaluate or Evaluate(), "stub", raw, Stub(), outputs, real)


def batches(given, images, sources, references, sizes):
    """Batches of so many sources each, `sources` being the order in which they come."""
    by_source = images.unflatten(0, (-1, given.outputs))
    parts = np.split(sources, np.cumsum(sizes)[:-1])
    for part in parts:
        own = None if references is None else references[part]
        yield Batch(by_source[torch.from_numpy(part)].flatten(0, 1), part, own, {"stub": given.network})


@pytest.mark.parametrize("name", QUANTITIES)
@pytest.mark.parametrize("guided", ["latent", "reference"])
@pytest.mark.parametrize("sizes", [[12], [5, 5, 2], [1] * 12])
def test_batches_in_any_order_give_what_all_outputs_give_at_once(name, guided, sizes):
    real = Real(Stub()(random_images(40, seed=1)).pooled.numpy())
    images, rng = random_images(SOURCES * OUTPUTS), np.random.default_rng(2)
    references = rng.integers(0, 5, (SOURCES, OUTPUTS)) if guided == "reference" else None
    given = task(real)
    measured = measure(name)(given)
    for batch in batches(given, images, rng.permutation(SOURCES), references, sizes):
        measured.add(batch)
    streamed = measured.estimates(QUANTITIES[name])
    at_once = measure(name).compare(QUANTITIES[name], real, Fake(Stub()(images).pooled.numpy(), OUTPUTS, references))
    for quantity in QUANTITIES[name]:
        ours, expected = streamed[quantity], at_once[quantity]
        assert ours.value == pytest.approx(expected.value, rel=1e-9)
        assert ours.interval() == pytest.approx(expected.interval(), rel=1e-9)
        assert ours.influence.keys() == expected.influence.keys()
        for sample, each in expected.influence.items():
            np.testing.assert_allclose(ours.influence[sample], each, rtol=1e-9, atol=1e-12)


def test_influences_are_those_of_the_sources_in_the_order_of_their_indices():
    """Known as those of the same images in another pair, whose sources came in another order."""
    real, images = Real(Stub()(random_images(40, seed=1)).pooled.numpy()), random_images(SOURCES * OUTPUTS)
    found = []
    for order in (np.arange(SOURCES), np.arange(SOURCES)[::-1].copy()):
        given = task(real)
        measured = measure("frechet")(given)
        for batch in batches(given, images, order, None, [4, 8]):
            measured.add(batch)
        found.append(measured.estimates(["distance"])["distance"].influence[FAKE])
    np.testing.assert_allclose(*found, rtol=1e-9, atol=1e-12)


def test_a_batch_s_features_are_computed_once_for_all_measures():
    given, images = task(), random_images(4 * OUTPUTS)
    batch = Batch(images, np.arange(4), None, {"stub": given.network})
    assert batch.features(given) is batch.features(given)
    assert batch.pooled(given) is batch.pooled(given)
    assert given.network.passes == 1


def test_outputs_are_seen_in_8_bits_or_raw():
    made = torch.linspace(-1.2, 1.2, 48).view(1, 3, 4, 4)
    rounded, raw = task(outputs=1), task(raw=True, outputs=1)
    batch = Batch(made, np.arange(1), None, {"stub": rounded.network})
    assert batch.images.dtype == torch.uint8
    np.testing.assert_allclose(batch.pooled(rounded), rounded.network(batch.images).pooled)
    np.testing.assert_allclose(batch.pooled(raw), raw.network((made + 1) * 127.5).pooled)
    assert (batch.pooled(raw) != batch.pooled(rounded)).any()
    bytes_ = Batch(batch.images, np.arange(1), None, {"stub": rounded.network})
    np.testing.assert_array_equal(bytes_.pooled(raw), bytes_.pooled(rounded))


def test_influences_add_up_by_source_and_by_reference():
    each = np.arange(6.0)

    def influence(references):
        return of_units(1.5, np.zeros(2), each, Fake(np.zeros((6, 1)), 2, references)).influence

    found = influence(np.array([[7, 3], [7, 9], [3, 3]]))
    assert found[REAL].tolist() == [0, 0]
    assert found[FAKE].tolist() == [1, 5, 9]
    assert found[REFERENCE][[3, 7, 9]].tolist() == [1 + 4 + 5, 0 + 2, 3]
    assert np.isnan(np.delete(found[REFERENCE], [3, 7, 9])).all()
    assert REFERENCE not in influence(np.full((3, 2), 7))
