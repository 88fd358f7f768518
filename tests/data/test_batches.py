from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader

from sg2bench.config import Data
from sg2bench.data import sets
from sg2bench.data.batches import Batches, augment


def batches(seed=0, batch_size=4):
    found = sets.load(Data(train_per_domain=5, val_per_domain=1), 32)
    return Batches(found, seed, batch_size, 32, latent_dim=3, crop_probability=0.5)


def uncropped_images(images, domain):
    return images.batch("train", domain, range(5), 32).float() / 127.5 - 1


def test_a_batch_is_a_function_of_seed_and_step():
    a, b = batches(), batches()
    a[3]
    for one, other in zip(a[7], b[7], strict=True):
        assert (one == other).all()
    assert (a[7].source != a[8].source).any()
    assert (a[7].latent != batches(seed=1)[7].latent).any()


def test_shares_are_the_parts_of_a_batch_in_order():
    whole = batches()[0]
    assert all((one == other).all() for one, other in zip(whole.share(0, 1), whole, strict=True))
    for parts, together in zip(zip(whole.share(0, 2), whole.share(1, 2), strict=True), whole, strict=True):
        assert [len(part) for part in parts] == [2, 2]
        assert (torch.cat(parts) == together).all()


def test_shapes_and_range():
    batch = batches()[0]
    assert batch.source.shape == batch.reference.shape == batch.reference2.shape == (4, 3, 32, 32)
    assert batch.latent.shape == batch.latent2.shape == (4, 3)
    assert batch.source_domain.dtype == torch.int64
    assert -1 <= batch.source.min() < batch.source.max() <= 1


def test_references_are_of_the_target_domain_and_domains_are_balanced():
    stream = batches(batch_size=64)
    plain = Batches(stream.images, 0, 64, 32, 3, crop_probability=0)
    seen = torch.zeros(3)
    for step in range(4):
        batch = plain[step]
        seen += torch.bincount(batch.target_domain, minlength=3)
        for label, image in zip(batch.target_domain, batch.reference, strict=True):
            known = uncropped_images(stream.images, stream.images.domains[label])
            assert any(
                torch.allclose(image, k, atol=1e-6) or torch.allclose(image, k.flip(-1), atol=1e-6) for k in known
            )
    assert seen.min() > 256 / 3 * 0.7


def test_without_mirroring_images_are_as_they_are_and_else_the_same():
    mirrored = Batches(batches().images, 0, 8, 32, 3, crop_probability=0.5)
    plain = Batches(batches().images, 0, 8, 32, 3, crop_probability=0.5, mirror=False)
    flips = [(a == b).all().item() for a, b in zip(mirrored[2].source, plain[2].source, strict=True)]
    assert set(flips) == {True, False}
    for a, b, same in zip(mirrored[2].source, plain[2].source, flips, strict=True):
        assert (a == (b if same else b.flip(-1))).all()
    assert (mirrored[2].mix == plain[2].mix).all()
    uncropped = Batches(batches().images, 0, 8, 32, 3, crop_probability=0, mirror=False)[0]
    for label, image in zip(uncropped.source_domain, uncropped.source, strict=True):
        known = uncropped_images(plain.images, plain.images.domains[label])
        assert any(torch.allclose(image, each, atol=1e-6) for each in known)


def test_loader_processes_give_the_same_batches():
    alone = batches()
    loader = DataLoader(batches(), batch_size=None, sampler=range(2, 5), num_workers=2)
    for step, batch in enumerate(loader, 2):
        assert (batch.source == alone[step].source).all()


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_crop_probability(probability):
    ramp = Image.fromarray(np.tile(np.arange(128, dtype=np.uint8), (128, 1)).repeat(3).reshape(128, 128, 3))
    rng = np.random.default_rng(0)
    widths = [np.ptp(augment(ramp, 64, probability, rng)[0, :, 0].astype(int)) for _ in range(30)]
    assert (min(widths) > 124) == (probability == 0)
    assert min(widths) >= 128 * 0.8**0.5 * 0.9 - 6


@settings(max_examples=30)
@given(st.integers(20, 90), st.integers(20, 90), st.integers(0, 1000))
def test_any_image_becomes_a_square(width, height, seed):
    out = augment(Image.new("RGB", (width, height), (9, 8, 7)), 32, 1.0, np.random.default_rng(seed))
    assert out.shape == (32, 32, 3)
    assert (out == (9, 8, 7)).all()
