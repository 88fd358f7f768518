from __future__ import annotations

import pickle

import pytest
import torch

from sg2bench.config import Model
from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks, build_discriminator

SIZES = {"image_size": 32, "first_width": 4, "max_width": 8, "style_dim": 5, "latent_dim": 3, "mapping_width": 8}


def networks(domains=2, **changes):
    return Networks(Model(**(SIZES | changes)), domains)


def assert_same(a, b):
    assert a.state_dict().keys() == b.state_dict().keys()
    assert all((value == b.state_dict()[key]).all() for key, value in a.state_dict().items())


def stored(path):
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize(("w_hpf", "names"), [(0, ()), (2, ("fan",))])
def test_round_trip_in_the_published_form(tmp_path, w_hpf, names):
    nets = networks(w_hpf=w_hpf)
    path = checkpoints.save_ema(nets, tmp_path, 120)
    assert path.name == "000120_nets_ema.ckpt"
    assert path.read_bytes()[:2] != b"PK"  # a legacy pickle, not a zip
    assert set(stored(path)) == {"generator", "mapping_network", "style_encoder", *names}
    other = networks(w_hpf=w_hpf)
    checkpoints.load(other, path)
    assert_same(nets, other)


def test_prefix_and_a_missing_high_pass_filter_are_accepted(tmp_path):
    nets, other = networks(w_hpf=1), networks(w_hpf=1)
    published = {
        name: {f"module.{key}": value for key, value in net.state_dict().items() if key != "hpf.filter"}
        for name, net in nets.named_children()
    }
    torch.save(published, tmp_path / "100000_nets_ema.ckpt", _use_new_zipfile_serialization=False)
    checkpoints.load(other, tmp_path / "100000_nets_ema.ckpt")
    assert_same(nets, other)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"domains": 3},
            r"only the configuration has `mapping_network.unshared.2.0.weight`: the file was made with domains 2, "
            r"the configuration has domains 3",
        ),
        (
            {"domains": 1},
            r"only the checkpoint has `mapping_network.unshared.1.0.weight`: .* domains 2, .* domains 1",
        ),
        (
            {"first_width": 2},
            r"`generator.from_rgb.weight` is \(4, 3, 3, 3\), the configuration needs \(2, 3, 3, 3\): .* first_width 4",
        ),
        ({"image_size": 64}, "only the configuration has `.*`: the file was made with image_size 32, .* 64"),
        ({"w_hpf": 1}, "only the configuration has `generator.*`: the file was made with w_hpf 0.0, .* w_hpf 1.0"),
        ({"style_dim": 6}, "`generator.*: the file was made with style_dim 5, .* style_dim 6"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused_with_a_guess(tmp_path, other, message):
    path = checkpoints.save_ema(networks(), tmp_path, 1)
    with pytest.raises(ValueError, match=message):
        checkpoints.load(networks(**other), path)


def test_a_file_with_high_pass_skip_is_refused_without_and_at_another_strength(tmp_path):
    path = checkpoints.save_ema(networks(w_hpf=1), tmp_path, 1)
    with pytest.raises(ValueError, match=r"the file was made with w_hpf 1.0, the configuration has w_hpf 0.0"):
        checkpoints.load(networks(), path)
    with pytest.raises(ValueError, match=r"`generator.hpf.filter` is of another strength: .* w_hpf 1.0, .* w_hpf 2.0"):
        checkpoints.load(networks(w_hpf=2), path)


@pytest.mark.parametrize("condition", ["latent", "label", "label_map"])
def test_a_file_of_another_condition_is_named_as_such(tmp_path, condition):
    path = checkpoints.save_ema(networks(), tmp_path, 1)
    with pytest.raises(ValueError, match="the file was made with another model.condition"):
        checkpoints.load(networks(condition=condition), path)


def test_a_refused_file_changes_nothing(tmp_path):
    """The generator fits, the mapping network does not."""
    path = checkpoints.save_ema(networks(), tmp_path, 1)
    nets = networks(domains=3)
    before = {key: value.clone() for key, value in nets.state_dict().items()}
    with pytest.raises(ValueError, match="unshared"):
        checkpoints.load(nets, path)
    assert all((value == before[key]).all() for key, value in nets.state_dict().items())


def test_a_discriminator_comes_from_nets_and_not_from_ema_files(tmp_path):
    nets, discriminator = networks(), build_discriminator(Model(**SIZES), 2)
    path = checkpoints.save_ema(nets, tmp_path, 1)
    with pytest.raises(ValueError, match=r"holds no `discriminator` .*NNNNNN_nets.ckpt, an EMA file holds no"):
        checkpoints.load(networks(), path, discriminator)
    torch.save(stored(path) | {"discriminator": discriminator.state_dict()}, tmp_path / "000001_nets.ckpt")
    other = build_discriminator(Model(**SIZES), 2)
    checkpoints.load(networks(), tmp_path / "000001_nets.ckpt", other)
    assert_same(discriminator, other)


def test_the_face_alignment_network_comes_from_the_file_or_from_wing_ckpt(tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_WEIGHTS", str(tmp_path / "weights"))
    nets, other = networks(w_hpf=1), networks(w_hpf=1)
    path = checkpoints.save_ema(nets, tmp_path, 1)
    torch.save({k: v for k, v in stored(path).items() if k != "fan"}, path)
    with pytest.raises(ValueError, match=r"w_hpf > 0 needs .*set model.fan_weights to wing.ckpt.*SG2BENCH_WEIGHTS"):
        checkpoints.load(other, path)
    (tmp_path / "weights").mkdir()
    surplus = {"state_dict": nets.fan.state_dict() | {"m9.surplus": torch.zeros(3)}}
    torch.save(surplus, tmp_path / "weights/wing.ckpt")
    checkpoints.load(other, path)
    assert_same(nets, other)
    torch.save({"state_dict": {}}, tmp_path / "empty.ckpt")
    with pytest.raises(ValueError, match=r"empty.ckpt: only the configuration has `fan.conv1.conv.weight`"):
        checkpoints.load(other, path, fan_weights=tmp_path / "empty.ckpt")
    torch.save([1], tmp_path / "list.ckpt")
    with pytest.raises(ValueError, match="not a file of the face-alignment network"):
        checkpoints.load_fan(other, tmp_path / "list.ckpt")


@pytest.mark.parametrize(
    ("model", "domains"),
    [(SIZES, 2), (SIZES | {"w_hpf": 2.0}, 3), (SIZES | {"image_size": 64, "first_width": None, "max_width": 512}, 5)],
)
def test_sizes_are_inferred_from_shapes(model, domains, tmp_path):
    nets = Networks(Model(**model), domains)
    path = checkpoints.save_ema(nets, tmp_path, 1)
    assert checkpoints.infer(path) == (Model(**model), domains)
    published = stored(path)
    published["generator"].pop("hpf.filter", None)
    torch.save(published, path)
    assert checkpoints.infer(path)[0].w_hpf == (1.0 if model.get("w_hpf") else 0.0)
    torch.save({"generator": {}}, path)
    with pytest.raises(ValueError, match="not the three networks of StarGAN v2.*name its experiment"):
        checkpoints.infer(path)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    def refused(name, message):
        with pytest.raises(ValueError, match=message):
            checkpoints.load(networks(), tmp_path / name)

    refused("none.ckpt", "no such checkpoint")
    refused(".", "Is a directory")
    (tmp_path / "text.ckpt").write_text("hello")
    refused("text.ckpt", "not a checkpoint that can be loaded safely")
    torch.save({"generator": {}}, tmp_path / "part.ckpt")
    refused("part.ckpt", "only the configuration has `generator.from_rgb.weight`")
    torch.save({}, tmp_path / "empty.ckpt")
    refused("empty.ckpt", r"holds no `generator` \(it has nothing\)")
    torch.save({"generator": [1]}, tmp_path / "odd.ckpt")
    refused("odd.ckpt", "`generator` is not a state dict")
    torch.save([1], tmp_path / "list.ckpt")
    refused("list.ckpt", "holds a list")


def test_code_in_a_file_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path / "ran").write_text, ("x",)

    (tmp_path / "evil.ckpt").write_bytes(pickle.dumps({"generator": Evil()}))
    with pytest.raises(ValueError, match="not a checkpoint that can be loaded safely"):
        checkpoints.load(networks(), tmp_path / "evil.ckpt")
    assert not (tmp_path / "ran").exists()
