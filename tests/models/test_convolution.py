from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from sg2bench.models.convolution import Conv2d, TwiceDifferentiable, conv2d

SHAPES = [(3, 1, 1, 6), (4, 2, 1, 6), (4, 2, 1, 7), (4, 1, 0, 4), (1, 1, 0, 3)]


def leaves(kernel, side):
    torch.manual_seed(0)
    shapes = (2, 3, side, side), (4, 3, kernel, kernel), (4,)
    return [torch.randn(shape, dtype=torch.float64).requires_grad_() for shape in shapes]


@pytest.mark.parametrize(("kernel", "stride", "padding", "side"), SHAPES)
def test_value_and_gradients_are_torch_s(kernel, stride, padding, side):
    x, weight, bias = leaves(kernel, side)
    ours = TwiceDifferentiable.apply(x, weight, bias, stride, padding)
    torch.testing.assert_close(ours, F.conv2d(x, weight, bias, stride, padding), rtol=0, atol=0)
    assert gradcheck(lambda *inputs: TwiceDifferentiable.apply(*inputs, stride, padding), (x, weight, bias))
    assert gradcheck(lambda *inputs: TwiceDifferentiable.apply(*inputs, None, stride, padding), (x, weight))


@pytest.mark.parametrize(("kernel", "stride", "padding", "side"), SHAPES)
def test_a_penalty_on_the_input_s_gradient_has_torch_s_gradients(kernel, stride, padding, side):
    """As in R1: differentiate the squared gradient for the images, for weights and images."""
    found = []
    for convolve in (TwiceDifferentiable.apply, F.conv2d):
        x, weight, bias = leaves(kernel, side)
        convolved = convolve(x, weight, bias, stride, padding)
        (gradient,) = torch.autograd.grad(convolved.tanh().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), (x, weight, bias)))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("side", [1, 4])
def test_a_kernel_as_large_as_the_image_is_a_matrix_product(side):
    """With the value, the gradients and R1's gradients of torch's convolution; the result may be changed in place."""
    found = []
    for convolve in (conv2d, F.conv2d):
        x, weight, bias = leaves(side, side)
        verdict = F.leaky_relu(convolve(x, weight, bias), 0.2, inplace=True).square().sum()
        (gradient,) = torch.autograd.grad(verdict, x, create_graph=True)
        (verdict + gradient.square().sum()).backward()
        found.append([verdict.detach(), x.grad, weight.grad, bias.grad])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert conv2d(x, weight, bias).shape == (len(x), len(weight), 1, 1)


def test_other_shapes_and_frozen_weights():
    """A bias may learn where the weight does not; images need not be square."""
    _, weight, bias = leaves(4, 6)
    wide = torch.randn(2, 3, 6, 9, dtype=torch.float64).requires_grad_()
    frozen = weight.detach()
    assert gradcheck(lambda x, bias: TwiceDifferentiable.apply(x, frozen, bias, 2, 1), (wide, bias))
    assert gradcheck(lambda x: TwiceDifferentiable.apply(x, frozen, None, 2, 1), (wide,))


def test_a_weight_s_gradient_that_would_be_differentiated_is_refused():
    x, weight, bias = leaves(3, 6)
    convolved = TwiceDifferentiable.apply(x, weight, bias, 1, 1)
    with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
        torch.autograd.grad(convolved.sum(), weight, create_graph=True)


def test_the_layer_computes_what_torch_s_does():
    x, weight, bias = leaves(3, 6)
    layer = Conv2d(3, 4, 3, padding=1).double()
    layer.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
    torch.testing.assert_close(layer(x), F.conv2d(x, weight, bias, padding=1), rtol=0, atol=0)
