from __future__ import annotations

import pickle

import pytest
import torch

from sg2bench.config import Model
from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks


def networks(domains=2, **changes):
    sizes = {"image_size": 32, "first_width": 4, "max_width": 8, "style_dim": 5, "latent_dim": 3, "mapping_width": 8}
    return Networks(Model(**(sizes | changes)), domains)


def test_round_trip(tmp_path):
    nets = networks()
    path = checkpoints.save_ema(nets, tmp_path, 120)
    assert path.name == "000120_nets_ema.ckpt"
    assert set(torch.load(path, weights_only=True)) == {"generator", "mapping_network", "style_encoder"}
    loaded = checkpoints.load_ema(networks(), path)
    assert all((value == loaded.state_dict()[key]).all() for key, value in nets.state_dict().items())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"domains": 3}, "only the configuration has `mapping_network.unshared.2.0.weight`"),
        ({"domains": 1}, "only the checkpoint has `mapping_network.unshared.1.0.weight`"),
        ({"first_width": 2}, r"`generator.from_rgb.weight` is \(4, 3, 3, 3\), the configuration needs \(2, 3, 3, 3\)"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(tmp_path, other, message):
    path = checkpoints.save_ema(networks(), tmp_path, 1)
    with pytest.raises(ValueError, match=message):
        checkpoints.load_ema(networks(**other), path)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no such checkpoint"):
        checkpoints.load_ema(networks(), tmp_path / "none.ckpt")
    (tmp_path / "text.ckpt").write_text("hello")
    with pytest.raises(ValueError, match="not a checkpoint that can be loaded safely"):
        checkpoints.load_ema(networks(), tmp_path / "text.ckpt")
    torch.save({"generator": {}}, tmp_path / "part.ckpt")
    with pytest.raises(ValueError, match="only the configuration has `generator.from_rgb.weight`"):
        checkpoints.load_ema(networks(), tmp_path / "part.ckpt")
    torch.save([1], tmp_path / "list.ckpt")
    with pytest.raises(ValueError, match="holds a list"):
        checkpoints.load_ema(networks(), tmp_path / "list.ckpt")


def test_code_in_a_file_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path / "ran").write_text, ("x",)

    (tmp_path / "evil.ckpt").write_bytes(pickle.dumps({"generator": Evil()}))
    with pytest.raises(ValueError, match="not a checkpoint that can be loaded safely"):
        checkpoints.load_ema(networks(), tmp_path / "evil.ckpt")
    assert not (tmp_path / "ran").exists()
