from __future__ import annotations

import numpy as np
import pytest
import torch

from sg2bench.config import Evaluate
from sg2bench.data.decode import read_image
from sg2bench.evaluation.extractors import AlexNet
from sg2bench.evaluation.measures.base import FAKE
from sg2bench.evaluation.measures.lpips import Measure, distance, diversity
from tests import golden
from tests.evaluation.measures.test_base import batches, random_images, task
from tools import conformance


@pytest.fixture(scope="module")
def alexnet():
    return AlexNet(resize=None)


@pytest.fixture(scope="module")
def package():
    return conformance.lpips_package()


def test_agrees_with_the_lpips_package_pair_by_pair(alexnet, package):
    images = torch.randint(0, 256, (2, 6, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ours = diversity(alexnet(images.flatten(0, 1)).layers, alexnet.heads, 6)
    for source in range(2):
        assert ours[source].item() == pytest.approx(conformance.pairwise_lpips(package, images[source]), abs=1e-6)


def test_distance_agrees_with_the_lpips_package_image_by_image(alexnet, package):
    images = torch.randint(0, 256, (2, 4, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    one, other = (alexnet(side).layers for side in images)
    ours = distance(one, other, alexnet.heads)
    for index in range(4):
        assert ours[index].item() == pytest.approx(conformance.pairwise_lpips(package, images[:, index]), abs=1e-6)
    torch.testing.assert_close(distance(other, one, alexnet.heads), ours)
    assert distance(one, one, alexnet.heads).tolist() == [0] * 4


def test_diversity_is_the_mean_distance_of_pairs(alexnet):
    layers = alexnet(random_images(3).repeat_interleave(16, 2).repeat_interleave(16, 3)).layers
    first, second = [0, 0, 1], [1, 2, 2]
    pairs = [[layer[side] for layer in layers] for side in (first, second)]
    expected = distance(*pairs, alexnet.heads).mean().item()
    assert diversity(layers, alexnet.heads, 3).item() == pytest.approx(expected, rel=1e-5)


@pytest.fixture(scope="module")
def formula():
    """AlexNet and heads of the golden formula."""
    network = AlexNet(resize=None)
    network.load_state_dict({k: golden.weight("alexnet", k, tuple(v.shape)) for k, v in network.state_dict().items()})
    for index in range(5):
        head = network.get_buffer(f"head{index}")
        head.copy_(golden.weight("lpips", f"lin{index}.model.1.weight", (1, len(head), 1, 1)).flatten())
    return network


def golden_groups(case):
    """Ten batches of images (N, 3, H, W) float32 by the name of the group."""
    for name in (name for name in case["inputs"] if name != "png"):
        yield name, [tensor.float() for tensor in golden.tensors(case["inputs"][name]).values()]
    folder = golden.FOLDER / case["inputs"]["png"].split(" ")[0]
    files = sorted(folder.parent.glob("*.png"))[:10]
    yield "png", [torch.from_numpy(np.array(read_image(file))).permute(2, 0, 1)[None] / 127.5 - 1 for file in files]


@golden.needs_golden
@pytest.mark.parametrize("weights_of", ["real", "formula"])
@pytest.mark.parametrize("case", golden.cases("lpips"))
@torch.inference_mode()
def test_golden_lpips(case, weights_of, request):
    """Groups, every pair, layers and samples, on raw images: neither clamped nor rounded."""
    network = request.getfixturevalue("alexnet" if weights_of == "real" else "formula")
    stored = golden.load(case)
    for name, group in golden_groups(case):
        pairs = stored[f"{weights_of}_{name}_pairs"]
        features = [network((images + 1) * 127.5).layers for images in group[: len(pairs)]]

        def between(*members, features=features, only=slice(None)):
            """LPIPS of each sample, mean over the pairs of the members."""
            together = zip(*(features[member] for member in members), strict=True)
            layers = [torch.stack(same, 1).flatten(0, 1) for same in together]
            return diversity(layers[only], network.heads[only], len(members))

        np.testing.assert_allclose(between(*range(len(pairs))).mean(), stored[f"{weights_of}_{name}"], rtol=1e-5)
        for i in range(len(pairs)):
            for j in range(i):
                np.testing.assert_allclose(between(i, j).mean(), pairs[i, j], rtol=1e-5, err_msg=f"{name} {i} {j}")
        if f"{weights_of}_{name}_pair01_samples" in stored:
            samples, layers = (stored[f"{weights_of}_{name}_pair01_{part}"] for part in ("samples", "layers"))
            np.testing.assert_allclose(between(0, 1), samples, rtol=1e-5)
            each = [between(0, 1, only=slice(layer, layer + 1)).mean() for layer in range(5)]
            np.testing.assert_allclose(each, layers, rtol=1e-5)
        assert between(0, 0).max() == 0


def test_equal_outputs_have_no_diversity_and_pairs_do_not_mix_sources(alexnet):
    one = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    assert diversity(alexnet(one.repeat_interleave(3, 0)).layers, alexnet.heads, 3).max() == 0


def test_variance_identity_on_plain_numbers():
    """One layer, one pixel, features on the unit circle: the mean squared distance of the pairs, by hand."""
    angles = torch.tensor([0.0, 1.0, 2.5])
    layer = torch.stack([angles.cos(), angles.sin()], 1)[:, :, None, None]
    head = torch.tensor([2.0, 2.0])
    points = layer.flatten(1)
    pairs = [2 * (points[i] - points[j]).square().sum() for i in range(3) for j in range(i)]
    assert diversity([layer], [head], 3).item() == pytest.approx(float(sum(pairs) / 3), rel=1e-6)


def streamed(evaluate, images, order, sizes):
    given = task(evaluate=evaluate, outputs=2)
    measured = Measure(given)
    for batch in batches(given, images, order, None, sizes):
        measured.add(batch)
    each = diversity(given.network(images).layers, given.network.heads, 2).numpy()
    return measured.estimates(["diversity"])["diversity"], each


@pytest.mark.parametrize("sizes", [[7], [3, 3, 1], [1] * 7])
def test_batches_in_any_order_give_the_mean_over_all_sources(sizes):
    order = np.random.default_rng(0).permutation(7)
    found, each = streamed(Evaluate(), random_images(14), order, sizes)
    assert found.value == pytest.approx(each.mean(), rel=1e-9)
    np.testing.assert_allclose(found.influence[FAKE], (each - each.mean()) / 7, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("sizes", [[5], [2, 2, 1], [1] * 5])
def test_as_published_a_short_batch_weighs_as_much_as_a_full_one(sizes):
    """By the batches of the protocol, in the order in which the sources came, whatever the batches in memory."""
    order = np.array([3, 0, 4, 1, 2])
    for protocol in ("paper", "standard"):
        found, each = streamed(Evaluate(protocol=protocol, batch_size=2), random_images(10), order, sizes)
        as_published = (each[[3, 0]].mean() + each[[4, 1]].mean() + each[2]) / 3
        expected = as_published if protocol == "paper" else each.mean()
        assert found.value == pytest.approx(expected, rel=1e-9)
        weights = np.array([1, 1, 2, 1, 1]) / 6 if protocol == "paper" else np.full(5, 0.2)
        np.testing.assert_allclose(found.influence[FAKE], weights * (each - expected), rtol=1e-9, atol=1e-12)
