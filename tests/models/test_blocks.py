from __future__ import annotations

import numpy as np
import pytest
import torch

from sg2bench.models.blocks import AdaIN, AdaINResBlock, ResBlock, avg_pool2, upsample2
from sg2bench.models.networks import HighPass
from tests import golden

BLOCKS = {
    "resblk_plain": lambda: ResBlock(4, 4),
    "resblk_down": lambda: ResBlock(4, 6, downsample=True),
    "resblk_down_same": lambda: ResBlock(4, 4, downsample=True),
    "resblk_norm": lambda: ResBlock(4, 4, normalize=True),
    "resblk_norm_down": lambda: ResBlock(4, 6, normalize=True, downsample=True),
    "adain": lambda: AdaIN(5, 4),
    "adainblk": lambda: AdaINResBlock(4, 4, 5),
    "adainblk_up": lambda: AdaINResBlock(4, 6, 5, upsample=True),
    "adainblk_up_same": lambda: AdaINResBlock(4, 4, 5, upsample=True),
    "adainblk_hpf": lambda: AdaINResBlock(4, 6, 5, high_pass=True),
    "adainblk_hpf_up": lambda: AdaINResBlock(4, 6, 5, upsample=True, high_pass=True),
    "highpass_w1": lambda: HighPass(1),
    "highpass_w2": lambda: HighPass(2),
}


@golden.needs_golden
@pytest.mark.parametrize("case", golden.cases("blocks"))
@torch.no_grad()
def test_golden_blocks(case):
    expected = np.load(golden.FOLDER / case["file"])
    assert set(expected) == set(BLOCKS)
    for name, build in BLOCKS.items():
        block = build().double()
        if not name.startswith("highpass"):
            golden.fill(block, name)
        (x,), (s,) = (golden.tensors(case["inputs"][key].replace("<array name>", name)).values() for key in "xs")
        out = block(x, s) if name.startswith("adain") else block(x)
        np.testing.assert_allclose(out, expected[name], rtol=1e-10, atol=1e-11, err_msg=name)


def test_avg_pool2_and_upsample2_are_torch_s_pool_and_upsampling():
    x = torch.randn(2, 3, 8, 6, dtype=torch.float64)
    torch.testing.assert_close(avg_pool2(x), torch.nn.functional.avg_pool2d(x, 2))
    assert (upsample2(x) == torch.nn.functional.interpolate(x, scale_factor=2, mode="nearest")).all()


def test_adain_gives_each_channel_the_style_s_mean_and_spread():
    adain = AdaIN(5, 4)
    style = torch.randn(2, 5)
    gamma, beta = adain.fc(style).chunk(2, 1)
    out = adain(torch.randn(2, 4, 64, 64) * 3 + 1, style)
    torch.testing.assert_close(out.mean((2, 3)), beta, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(out.std((2, 3), correction=0), (1 + gamma).abs(), atol=1e-4, rtol=1e-4)
