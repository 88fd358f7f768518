from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from sg2bench import weights
from sg2bench.config import Data, Evaluate
from sg2bench.data import sets
from sg2bench.data.decode import read_image
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.evaluation.extractors import AlexNet
from sg2bench.evaluation.extractors.base import resized
from sg2bench.evaluation.extractors.efficientnet import EfficientNetLite0
from sg2bench.evaluation.extractors.inception import InceptionTorchvision
from sg2bench.evaluation.measures import frechet
from sg2bench.evaluation.outputs import to_float
from tests import golden


@golden.needs_golden
@pytest.mark.parametrize("case", golden.cases("state_dicts"))
def test_golden_inception_keys(case):
    expected = golden.load(case)["torchvision_inception_v3"]["state_dict"]
    assert {key: list(value.shape) for key, value in golden.inception_state().items()} == expected


@golden.needs_golden
@pytest.mark.parametrize("case", golden.cases("fid"))
def test_golden_fid(case, monkeypatch):
    """Resize through 8-bit images, activations, moments and the distance of the `paper` protocol."""
    monkeypatch.setattr(weights, "inception_torchvision", golden.inception_state)
    network, stored, config = InceptionTorchvision(None), golden.load(case), case["config"]
    side = config["img_size"]

    def read(folder):
        files = sorted((golden.FOLDER / folder).glob("*.png"))
        resized = [read_image(file).resize((side, side), Image.Resampling.BILINEAR) for file in files]
        return torch.from_numpy(np.stack([np.asarray(image) for image in resized])).permute(0, 3, 1, 2)

    with torch.inference_mode():
        real, fake = (network(read(config[key].split()[0])).pooled.numpy() for key in ("real", "fake"))
        odd = read(Path(config["real"].split()[0]).with_name("odd"))
        np.testing.assert_allclose(to_float(odd), stored["odd_network_input"], rtol=0, atol=1e-6)
        prepared = network.prepare(odd)[..., ::8, ::8]
        np.testing.assert_allclose(prepared, stored["odd_inception_input"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(network(odd).pooled, stored["activations_odd"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(real[:2], stored["activations_a"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(fake[:2], stored["activations_b"], rtol=1e-4, atol=1e-5)
    a, b = frechet.statistics(real), frechet.statistics(fake)
    np.testing.assert_allclose(a.mean, stored["mean_a"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(b.mean, stored["mean_b"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.square(a.mean - b.mean).sum(), stored["mean_term"], rtol=2e-5)
    np.testing.assert_allclose(a.trace, stored["trace_real"], rtol=2e-5)
    np.testing.assert_allclose(b.trace, stored["trace_fake"], rtol=2e-5)
    np.testing.assert_allclose(frechet.distance(a, b), stored["fid_exact"], rtol=2e-5)
    np.testing.assert_allclose(frechet.distance(a, b), stored["fid_official"], rtol=1e-4)


@golden.needs_golden
@pytest.mark.parametrize("case", golden.cases("lpips"))
def test_golden_alexnet_weights(case):
    trunk, _ = weights.alexnet_lpips()
    hashes = {key: hashlib.sha256(value.numpy().astype("<f4").tobytes()).hexdigest() for key, value in trunk.items()}
    assert hashes == case["weights_sha256"]["alexnet"]


def test_alexnet_is_torchvision_s():
    torchvision = pytest.importorskip("torchvision")
    trunk, _ = weights.alexnet_lpips()
    theirs = torchvision.models.alexnet(weights=None).features
    theirs.load_state_dict({key.removeprefix("features."): value for key, value in trunk.items()}, strict=True)
    x = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    ours = AlexNet(64).double()(x)
    mean, std = torch.tensor([0.485, 0.456, 0.406]).double(), torch.tensor([0.229, 0.224, 0.225]).double()
    normalised = (x.double() / 255 - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(ours.layers[-1], theirs.double()[:12](normalised), rtol=1e-5, atol=1e-6)
    assert ours.pooled.shape == (2, AlexNet.dim)


def test_resize_is_skipped_at_the_same_size_and_stays_in_range():
    x = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    assert (resized(x, 32) == x).all()
    larger = resized(x, 64)
    assert larger.shape == (1, 3, 64, 64)
    assert larger.min() >= 0
    assert larger.max() <= 255


@pytest.mark.parametrize(("height", "width", "side"), [(32, 32, 64), (32, 32, 128), (20, 33, 40), (64, 48, 33)])
def test_resize_is_torch_s(height, width, side):
    x = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    theirs = F.interpolate(x.float(), (side, side), mode="bicubic", antialias=True, align_corners=False).clamp(0, 255)
    torch.testing.assert_close(resized(x, side), theirs, rtol=0, atol=1e-3)


def blurred(x, sigma):
    radius = int(3 * sigma + 0.5)
    kernel = torch.exp(-(torch.arange(-radius, radius + 1.0) ** 2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    x = F.pad(x.float(), [radius] * 4, mode="reflect")
    x = F.conv2d(F.conv2d(x, kernel, groups=3), kernel.transpose(2, 3), groups=3)
    return x.round().clamp(0, 255).to(torch.uint8)


def noisy(x, level):
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)) * level * 255
    return (x.float() + noise).round().clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize(
    ("extractor", "resize"),
    [
        (AlexNet, 64),
        (AlexNet, 224),
        pytest.param(EfficientNetLite0, 224, marks=pytest.mark.slow),
    ],
)
def test_distance_rises_with_every_step_of_blur_and_noise(extractor, resize):
    """On 60 critters at 32 px, as the default experiment measures them."""
    found = sets.load(Data(train_per_domain=60, val_per_domain=2), 32)
    real = found.batch("train", "cat", range(60), 32)
    network = extractor(resize)
    with torch.inference_mode():
        statistics = frechet.statistics(network(real).pooled.numpy())
        for degrade, levels in ((blurred, (0.4, 0.7, 1.0, 2.0)), (noisy, (0.02, 0.05, 0.1, 0.3))):
            distances = [
                frechet.distance(statistics, frechet.statistics(network(degrade(real, level)).pooled.numpy()))
                for level in levels
            ]
            assert np.all(np.diff([0.0, *distances]) > 0), (degrade.__name__, distances)


def test_efficientnet_lite0_is_an_imagenet_network():
    network = EfficientNetLite0(64)
    x = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        features = network(x)
        assert features.pooled.shape == (2, EfficientNetLite0.dim)
        assert (network(x).pooled == features.pooled).all()
    assert not network.training


def test_the_least_side_is_the_least():
    network = AlexNet(resize=None)
    side = AlexNet.least_side
    assert network(torch.zeros(1, 3, side, side)).pooled.isfinite().all()
    with pytest.raises(RuntimeError):
        network(torch.zeros(1, 3, side - 1, side - 1))


def test_images_that_are_too_small_are_refused(tiny):
    images = sets.load(tiny.data, 32)
    small = Evaluate(protocol="standard", metrics=("lpips",), outputs_per_source=2)
    with pytest.raises(ValueError, match="lpips needs images of 31 px or more under protocol standard, these have 28"):
        Evaluator(small, images, 28)
