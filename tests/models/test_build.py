"""Networks built for a file."""

from __future__ import annotations

import pytest
import torch

from sg2bench.config import Model
from sg2bench.models import checkpoints
from tests.models.test_checkpoints import SIZES, assert_same, networks


@pytest.mark.parametrize("widths", [("max_width",), ("style_dim", "mapping_width"), ("first_width", "max_width")])
def test_networks_that_are_much_larger_than_the_file_are_refused_before_they_take_memory(tmp_path, monkeypatch, widths):
    """As a configuration of somebody else's may ask for: 20 GB."""
    path = checkpoints.save_ema(networks(), tmp_path, 1)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "load", lambda *_, **__: pytest.fail("built"))
        with pytest.raises(ValueError, match="000001_nets_ema.ckpt: `.*` is .*, the configuration needs"):
            checkpoints.build(Model(**(SIZES | dict.fromkeys(widths, 4096))), 2, path)
        torch.save({"generator": {}}, tmp_path / "empty.ckpt")
        with pytest.raises(ValueError, match="only the configuration has `generator."):
            checkpoints.build(Model(**SIZES), 2, tmp_path / "empty.ckpt")
    assert_same(checkpoints.build(Model(**SIZES), 2, path), saved_networks(path))


def saved_networks(path):
    nets = networks()
    checkpoints.load(nets, path)
    return nets
