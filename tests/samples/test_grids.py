from __future__ import annotations

import numpy as np
import pytest
import torch

from sg2bench.data import sets
from sg2bench.evaluation.outputs import to_float, to_uint8
from sg2bench.models.networks import Networks
from sg2bench.samples.grids import grid


@pytest.mark.parametrize("mode", ["latent", "reference"])
def test_sources_across_styles_down(tiny, mode):
    torch.manual_seed(0)
    nets, found = Networks(tiny.model, 3), sets.load(tiny.data, 32)
    sheet = np.asarray(grid(nets, found, mode, 32, per_domain=2))
    left = 64 if mode == "reference" else 0
    assert sheet.shape == (64 * 7 + 4, 64 * 6 + left, 3)

    def tile(row, column):
        top = row * 64 + 4 * (row > 0)
        return sheet[top : top + 64 : 2, left + column * 64 : left + column * 64 + 64 : 2]

    assert (tile(0, 2) == np.asarray(found.image("val", "cat", 0))).all()
    if mode == "reference":
        reference = found.batch("val", "dog", range(1, 2), 32)
        assert (sheet[5 * 64 + 4 : 6 * 64 + 4 : 2, :64:2] == reference[0].permute(1, 2, 0).numpy()).all()
        with torch.inference_mode():
            style = nets.style_encoder(to_float(reference), torch.tensor([2]))
            source = to_float(found.batch("val", "cat", range(1), 32))
            expected = to_uint8(nets.generator(source, style))[0].permute(1, 2, 0).numpy()
        assert np.abs(tile(5, 2).astype(int) - expected).max() <= 1
