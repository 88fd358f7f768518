import torch
from torch import nn

from tools.counted import Counted, paper_gib


def test_operations_and_bytes_of_a_layer_and_its_gradient():
    layer, x = nn.Linear(10, 20, device="meta"), torch.empty(5, 10, device="meta")
    with Counted() as counted:
        y = layer(x)
        assert counted.flops == 2 * 5 * 10 * 20
        assert counted.bytes == 4 * 5 * 20
        y.sum().backward()
        assert counted.flops == 2 * 2 * 5 * 10 * 20  # none for the input, which asks for no gradient
        assert counted.bytes == 4 * (5 * 20 + 20 * 10 + 20)
        del y
        layer.weight.grad = layer.bias.grad = None
    assert counted.bytes == 0
    assert counted.peak >= 4 * (5 * 20 + 20 * 10 + 20)


def test_a_view_holds_nothing_and_what_autograd_keeps_is_held():
    x = torch.empty(8, device="meta", requires_grad=True)
    with Counted() as counted:
        y = x.exp().exp().view(2, 4)
        assert counted.bytes == 2 * 4 * 8
        del y
        assert counted.bytes == 0


def test_a_step_at_the_papers_settings_takes_6_gib_and_in_bf16_4():
    """256 px, batch 8, the paper's widths."""
    gib = paper_gib()
    assert gib["naive", "float32"] > 16
    assert gib["ours", "float32"] < 6
    assert gib["ours", "bf16"] < 4
