from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from sg2bench.data import critters
from sg2bench.data.critters import DOMAINS, FACTORS, as_vector
from sg2bench.data.images import SPLITS
from sg2bench.evaluation import array_cache
from sg2bench.evaluation.extractors import EXTRACTORS, critters_probe
from sg2bench.evaluation.extractors.critters_probe import CrittersProbe
from sg2bench.files import cache_folder

SEED, COUNT = 11, 100
"""Of critters that the probe has never seen, the number in each domain."""
OF = [
    (domain, critters.factors(domain, "val", index, SEED)) for domain in DOMAINS for index in range(COUNT)
]  # fmt: skip
FEW = OF[:: COUNT // 20]
DEVIATIONS = np.std([as_vector(made_of) for _, made_of in OF], 0)


@pytest.fixture(scope="module")
def probe():
    return CrittersProbe()


def drawn(of, size=32):
    pixels = np.stack([critters.draw(domain, made_of, size) for domain, made_of in of])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def read(probe, images):
    with torch.inference_mode():
        return probe(images).pooled.numpy().astype(np.float64)


def errors(probe, images, of):
    """Mean absolute error of each factor, in standard deviations."""
    return np.abs(read(probe, images) - [as_vector(made_of) for _, made_of in of]).mean(0) / DEVIATIONS


@pytest.mark.parametrize("size", [32, 64, 128])
def test_every_factor_of_unseen_critters_is_read_within_a_fifth_of_a_standard_deviation(probe, size):
    of = OF if size < 128 else FEW
    found = errors(probe, drawn(of, size), of)
    assert (found < (0.2 if of is OF else 0.25)).all(), dict(zip(FACTORS, found.round(3), strict=True))


def test_images_of_other_sizes_are_read_as_well(probe):
    assert (errors(probe, drawn(FEW, 100), FEW) < 0.3).all()


def test_floats_and_bytes_are_the_same_image(probe):
    images = drawn(FEW)
    pooled = probe(images).pooled
    assert pooled.dtype == torch.float32
    assert pooled.shape == (len(FEW), CrittersProbe.dim)
    assert (probe(images.double()).pooled == pooled).all()


def test_slight_blur_and_noise_cost_little(probe):
    images = drawn(OF).float()
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(images, (0, 1, 0, 1), mode="replicate"), 2, 1)
    clean = errors(probe, images, OF).mean()
    assert errors(probe, images + 8 * noise, OF).mean() < 1.5 * clean
    assert errors(probe, blurred, OF)[3:].mean() < 1.5 * clean  # which moves the image by half a pixel


def recoloured(part):
    return lambda made_of, share: replace(
        made_of, **{part: tuple(round(c + share * (255 - 2 * c)) for c in getattr(made_of, part))}
    )


CHANGES = {
    "x": (lambda made_of, share: replace(made_of, x=made_of.x + 0.1 * share), ["x"]),
    "y": (lambda made_of, share: replace(made_of, y=made_of.y - 0.1 * share), ["y"]),
    "radius": (lambda made_of, share: replace(made_of, radius=made_of.radius * (1 - 0.3 * share)), ["radius"]),
    "angle": (lambda made_of, share: replace(made_of, angle=made_of.angle + 24 * share), ["angle"]),
    "fur": (recoloured("fur"), ["fur_red", "fur_green", "fur_blue"]),
    "eyes": (recoloured("eyes"), ["eyes_red", "eyes_green", "eyes_blue"]),
    "background": (recoloured("background"), ["background_red", "background_green", "background_blue"]),
}


@pytest.mark.parametrize(("change", "names"), CHANGES.values(), ids=CHANGES)
def test_the_farther_a_critter_is_changed_the_larger_is_the_error(probe, change, names):
    columns = [FACTORS.index(name) for name in names]
    found = [
        errors(probe, drawn([(domain, change(made_of, share)) for domain, made_of in FEW]), FEW)[columns].mean()
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    assert (np.diff(found) > 0).all(), found


def test_the_species_does_not_sway_what_is_read(probe):
    of = [made_of for _, made_of in FEW]
    each = [errors(probe, drawn(changed), changed) for changed in ([(domain, m) for m in of] for domain in DOMAINS)]
    assert (np.array(each) < 0.3).all()


def test_its_held_out_errors_are_those_of_unseen_critters(probe):
    held_out = probe.held_out_errors()
    assert tuple(held_out) == FACTORS
    found = errors(probe, drawn(OF), OF) * DEVIATIONS
    np.testing.assert_allclose(list(held_out.values()), found, rtol=0.25)


def test_no_image_set_has_the_critters_that_it_was_trained_on():
    assert {critters_probe._TRAIN, critters_probe._HELD_OUT}.isdisjoint(SPLITS)
    of_sets = {critters.factors("cat", split, index, 0) for split in SPLITS for index in range(300)}
    assert of_sets.isdisjoint(critters.factors("cat", critters_probe._TRAIN, index, 0) for index in range(300))


def test_it_is_in_the_table_and_named_by_its_recipe():
    assert EXTRACTORS["critters-probe"] is CrittersProbe
    assert len(CrittersProbe.weights_sha256) == 64
    assert CrittersProbe.dim == len(FACTORS) == 14


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Another recipe, of three steps, in an empty cache; the list grows with each training."""
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(critters_probe, "_STEPS", 3)
    monkeypatch.setattr(critters_probe, "_DRAWN", {critters_probe._TRAIN: 4, critters_probe._HELD_OUT: 2})
    monkeypatch.setattr(CrittersProbe, "weights_sha256", "a" * 64)
    trained, train = [], critters_probe._train
    monkeypatch.setattr(critters_probe, "_train", lambda: trained.append(1) or train())
    return trained


def weights_of(probe):
    return torch.cat([tensor.ravel() for tensor in probe.state_dict().values()])


def kept():
    (path,) = (cache_folder() / "probes").glob("*.npz")
    return path


def test_it_is_trained_once_the_same_for_the_same_recipe_and_disturbs_nothing(quick):
    torch.manual_seed(5)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first = weights_of(CrittersProbe())
    assert (torch.get_rng_state() == state).all()
    assert torch.get_num_threads() == threads
    assert (weights_of(CrittersProbe()) == first).all()
    assert len(quick) == 1
    kept().unlink()
    torch.manual_seed(6)
    with torch.inference_mode():
        assert (weights_of(CrittersProbe()) == first).all()
    assert len(quick) == 2


def test_another_recipe_has_another_file(quick, monkeypatch):
    CrittersProbe()
    monkeypatch.setattr(CrittersProbe, "weights_sha256", "b" * 64)
    CrittersProbe()
    assert len(quick) == 2
    assert len(list((cache_folder() / "probes").glob("*.npz"))) == 2


def test_of_two_at_once_one_trains_and_the_other_waits(quick):
    with ThreadPoolExecutor(2) as threads:
        first, second = [weights_of(future.result()) for future in [threads.submit(CrittersProbe) for _ in range(2)]]
    assert (first == second).all()
    assert len(quick) == 1


def resave(path, change):
    with np.load(path) as stored:
        arrays = dict(stored)
    change(arrays)
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: resave(path, lambda arrays: arrays.pop("sha256")),
        lambda path: resave(path, lambda arrays: arrays.pop("mean")),
        lambda path: resave(path, lambda arrays: arrays.update(mean=arrays["mean"] + 1)),
        lambda path: resave(path, lambda arrays: arrays.update(mean=arrays["mean"][:3])),
        lambda path: resave(path, lambda arrays: arrays.update(mean=np.full(14, np.nan, np.float32))),
    ],
)
def test_a_damaged_file_is_named_and_the_probe_trained_again(quick, damage):
    first = weights_of(CrittersProbe())
    damage(kept())
    with pytest.warns(UserWarning, match=r"\.npz: damaged or changed, so it is computed again"):
        assert (weights_of(CrittersProbe()) == first).all()
    assert (weights_of(CrittersProbe()) == first).all()
    assert len(quick) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(mean=state["mean"][:3]),
        lambda state: state.update(mean=state["mean"] * float("nan")),
        lambda state: state.pop("mean"),
    ],
)
def test_a_file_of_another_kind_is_not_taken_even_with_its_digest(quick, change):
    probe = CrittersProbe()
    state = dict(probe.state_dict())
    change(state)
    array_cache.write(kept(), {name: tensor.numpy() for name, tensor in state.items()})
    with pytest.warns(UserWarning, match="computed again"):
        assert (weights_of(CrittersProbe()) == weights_of(probe)).all()
