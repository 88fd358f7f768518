from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from sg2bench import weights
from sg2bench.evaluation.extractors import AlexNet
from sg2bench.evaluation.lpips import diversity
from tests import golden


@pytest.fixture(scope="module")
def alexnet():
    return AlexNet(resize=64)


@pytest.fixture(scope="module")
def package():
    """The `lpips` library with the same trunk."""
    lpips = pytest.importorskip("lpips")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    trunk, _ = weights.alexnet_lpips()
    slices = {0: 1, 3: 2, 6: 3, 8: 4, 10: 5}
    renamed = {
        f"slice{slices[int(key.split('.')[1])]}.{key.removeprefix('features.')}": value for key, value in trunk.items()
    }
    metric.net.load_state_dict(renamed, strict=True)
    return metric


def pairwise(metric, images):
    """Mean over the pairs of images uint8 (n, 3, H, W)."""
    x = images.float() / 127.5 - 1
    with torch.no_grad():
        values = [metric(x[i : i + 1], x[j : j + 1]).item() for i in range(len(x)) for j in range(i)]
    return np.mean(values)


def test_agrees_with_the_lpips_package_pair_by_pair(alexnet, package):
    images = torch.randint(0, 256, (2, 6, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ours = diversity(alexnet(images.flatten(0, 1)).layers, alexnet.heads, 6)
    for source in range(2):
        assert ours[source].item() == pytest.approx(pairwise(package, images[source]), abs=1e-6)


@golden.needs_golden
def test_golden_lpips_of_ten_images(alexnet):
    files = [golden.FOLDER / f"fid/images/a/{index:03d}.png" for index in range(10)]
    arrays = []
    for file in files:
        with Image.open(file) as image:
            arrays.append(np.asarray(image.convert("RGB")))
    images = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)
    expected = np.load(golden.FOLDER / "lpips/lpips.npz")["real_png"]
    ours = diversity(alexnet(images).layers, alexnet.heads, 10)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_equal_outputs_have_no_diversity_and_pairs_do_not_mix_sources(alexnet):
    one = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    assert diversity(alexnet(one.repeat_interleave(3, 0)).layers, alexnet.heads, 3).max() < 1e-10


def test_variance_identity_on_plain_numbers():
    """One layer, one pixel, features on the unit circle: the mean squared distance of the pairs, by hand."""
    angles = torch.tensor([0.0, 1.0, 2.5])
    layer = torch.stack([angles.cos(), angles.sin()], 1)[:, :, None, None]
    head = torch.tensor([2.0, 2.0])
    points = layer.flatten(1)
    pairs = [2 * (points[i] - points[j]).square().sum() for i in range(3) for j in range(i)]
    assert diversity([layer], [head], 3).item() == pytest.approx(float(sum(pairs) / 3), rel=1e-6)
