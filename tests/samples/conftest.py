from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from sg2bench.models.networks import Networks


@pytest.fixture
def nets(tiny):
    torch.manual_seed(0)
    return Networks(tiny.model, 2).eval()


@pytest.fixture
def folder(tmp_path):
    """Two folders of images."""
    rng = np.random.default_rng(0)
    for name in ("bunny/a.png", "bunny/b.jpg", "cat/a.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
    return tmp_path / "in"
