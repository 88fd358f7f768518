from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from sg2bench.bench import machine


def test_work_of_a_convolution_by_hand():
    convolution, image = nn.Conv2d(3, 8, 3, padding=1, bias=False), torch.zeros(2, 3, 16, 16)
    with torch.inference_mode():
        work = machine.work(lambda: convolution(image))
    assert work.flops == 2 * (3 * 3 * 3) * 8 * (2 * 16 * 16)
    assert work.bytes == 4 * (2 * 3 * 16 * 16 + 8 * 3 * 3 * 3 + 2 * 8 * 16 * 16)


def test_views_move_nothing():
    image = torch.zeros(2, 8)
    assert machine.work(lambda: image.view(16).t()).bytes == 0


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_peak_memory_of_two_tensors():
    """The second is made while the first is there; neither is kept."""
    found = machine.peak_mib("cpu", lambda: torch.ones(2**23) + torch.ones(2**23))
    assert 90 < found < 120  # three of 32 MiB


def test_ceilings_are_positive_and_measured_once():
    ceiling = machine.ceiling("cpu", "float32")
    assert ceiling.flops_per_second > 1e9
    assert ceiling.bytes_per_second > 1e8
    assert machine.ceiling("cpu", "float32") is ceiling


def test_every_device_computes_float32_natively():
    assert machine.precisions("cpu")[0] == "float32"
