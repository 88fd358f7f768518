from __future__ import annotations

import numpy as np
import pytest
import torch

from sg2bench.models import checkpoints
from sg2bench.models.face_alignment import FaceAlignment, from_heat, masks
from tests import golden

EXACT = {"rtol": 1e-8, "atol": 1e-9}


@pytest.fixture(scope="module")
def network():
    return golden.fill(FaceAlignment(), "fan")


def sum_and_norm(array):
    return [array.sum().item(), array.norm().item()]


@golden.needs_golden
@pytest.mark.parametrize("case", [case for case in golden.cases("fan") if "fan" in case.values[0]["weights"]])
def test_golden_face_alignment(case, network):
    stored, inputs = golden.load(case), golden.inputs(case)
    (x,), (small,) = inputs["x"], inputs["x64"]
    with torch.no_grad():
        raw = network(x * 0.5 + 0.5)
    np.testing.assert_allclose(raw[:, :, 1::4, 2::4], stored["raw_every4"], **EXACT)
    np.testing.assert_allclose(raw.mean((0, 2, 3)), stored["raw_channel_mean"], **EXACT)
    np.testing.assert_allclose(raw.norm(dim=(2, 3))[0], stored["raw_channel_l2"], **EXACT)
    for index, mask in enumerate(masks(network, x)):
        np.testing.assert_allclose(mask, stored[f"mask{index}"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(mask[:, :, ::8, ::8], stored[f"mask{index}_every8"], **EXACT)
        np.testing.assert_allclose(sum_and_norm(mask), stored[f"mask{index}_sum_l2"], **EXACT)
    for index, mask in enumerate(masks(network, small)):
        np.testing.assert_allclose(mask[:, :, ::4, ::4], stored[f"x64_mask{index}_every4"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(sum_and_norm(mask), stored[f"x64_mask{index}_sum_l2"], **EXACT)


def blobs(case, sigma):
    """The heat map of the manifest: a Gaussian per landmark, float64 (1, 98, 256, 256)."""
    centres, amplitudes = (tensor.numpy() for tensor in golden.inputs(case)["heat map"])
    row, column = np.mgrid[:256, :256]
    distance = (row - centres[:, :1, None]) ** 2 + (column - centres[:, 1:, None]) ** 2
    return torch.from_numpy(amplitudes[:, None, None] * np.exp(-distance / (2 * sigma**2)))[None]


def mass(mask):
    """Sum, centre of mass (row, column; -1 for an empty mask), maximum."""
    mask = mask.numpy().squeeze()
    total = mask.sum()
    row, column = np.mgrid[:256, :256]
    centre = [(row * mask).sum() / total, (column * mask).sum() / total] if total else [-1, -1]
    return [total, *centre, mask.max()]


@golden.needs_golden
@pytest.mark.parametrize("case", [case for case in golden.cases("fan") if not case.values[0]["weights"]])
def test_golden_masks_from_heat(case):
    stored = golden.load(case)
    heats = {
        name: blobs(case, int(name.removeprefix("sigma")))
        for name in {key.split("_")[0] for key in stored if "sigma" in key}
    }
    heats["zeros"] = blobs(case, 4)
    heats["zeros"][:, ::3] = 0
    for name, heat in heats.items():
        for index, mask in enumerate(from_heat(heat)):
            want = stored[f"{name}_mask{index}"]
            atol = 1e-10 if want.dtype == np.float64 else 1e-6
            np.testing.assert_allclose(mask, want, rtol=0, atol=atol, err_msg=name)
    single = blobs(case, 4)
    for channel, want in enumerate(stored["per_channel"]):
        alone = torch.zeros(1, 98, 256, 256, dtype=torch.float64)
        alone[:, channel] = single[:, channel]
        found = [number for mask in from_heat(alone) for number in mass(mask)]
        np.testing.assert_allclose(found, want, rtol=1e-9, atol=1e-9, err_msg=f"channel {channel}")


def test_masks_are_within_0_and_1_and_empty_where_no_landmark_is_seen():
    heat = torch.rand(2, 98, 64, 64)
    for mask in from_heat(heat):
        assert mask.shape == (2, 1, 64, 64)
        assert mask.min() >= 0
        assert mask.max() <= 1
    assert all(mask.count_nonzero() == 0 for mask in from_heat(torch.full((1, 98, 64, 64), 0.09)))


def test_heat_is_not_changed():
    heat = torch.rand(1, 98, 16, 16)
    before = heat.clone()
    from_heat(heat)
    assert (heat == before).all()


def test_the_network_stays_as_it_was_given():
    network = FaceAlignment().train()
    assert not network.training
    assert not network.bn1.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_face_alignment_network_counts_unless_the_start_holds_one(tiny, tmp_path):
    start, wing = tmp_path / "000001_nets.ckpt", tmp_path / "wing.ckpt"
    wing.write_bytes(b"first")
    masked = tiny.model_copy(
        update={
            "model": tiny.model.model_copy(update={"w_hpf": 1.0, "fan_weights": wing}),
            "train": tiny.train.model_copy(update={"start_from": start}),
        }
    )
    torch.save({"generator": {"x": torch.zeros(1)}}, start)
    first = checkpoints.files_of(masked)
    wing.write_bytes(b"second")
    assert checkpoints.files_of(masked) != first
    torch.save({"generator": {"x": torch.zeros(1)}, "fan": {"x": torch.zeros(1)}}, start)
    assert set(checkpoints.files_of(masked)) == {"train.start_from"}
