"""The fast CPU layers and the exportable pooling against PyTorch's own."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from roadanomaly.segmenters.cpu_layers import DepthwiseConv, PReLU
from roadanomaly.segmenters.espnetv2_blocks import ConvNorm, PyramidPooling, branch_dilations
from roadanomaly.segmenters.resizing import average, common_average


def values(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_same_with_gradients(ours, theirs, x, parameters):
    """Compare values and the gradients towards the input and the parameters."""
    x = x.requires_grad_()
    found, expected = ours(x), theirs(x)
    torch.testing.assert_close(found, expected)
    towards = values(*expected.shape, seed=9)
    inputs = (x, *parameters)
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, towards), torch.autograd.grad(expected, inputs, towards)
    )


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_prelu_equals_pytorch_s(layout):
    layer = PReLU(3).double()
    layer.weight.data = torch.tensor([0.25, -0.5, 2.0], dtype=torch.float64)
    x = values(2, 3, 5, 7).contiguous(memory_format=layout)
    x[0, :, 0, 0] = 0
    assert_same_with_gradients(
        layer, lambda x: functional.prelu(x, layer.weight), x, [layer.weight]
    )


def test_prelu_gradient_is_the_finite_difference():
    layer = PReLU(3).double()
    assert torch.autograd.gradcheck(layer, values(2, 3, 4, 5).requires_grad_())


@pytest.mark.parametrize("size", [(12, 24), (13, 7), (2, 3), (1, 1)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2, 3, 4])
def test_dilated_depthwise_convolution_equals_pytorch_s(dilation, stride, size):
    layer = DepthwiseConv(3, stride, dilation).double()

    def theirs(x):
        return functional.conv2d(x, layer.weight, None, stride, dilation, dilation, 3)

    assert_same_with_gradients(layer, theirs, values(2, 3, *size), [layer.weight])


def test_layers_without_gradients_are_pytorch_s():
    conv, act = DepthwiseConv(3, 1, 2), PReLU(3)
    x = values(1, 3, 8, 8).float()
    with torch.inference_mode():
        expected = functional.prelu(nn.Conv2d.forward(conv, x), act.weight)
        assert torch.equal(act(conv(x)), expected)


def test_mixed_precision_reaches_float_gradients():
    conv, act = DepthwiseConv(4, 1, 2), PReLU(4)
    with torch.autocast("cpu", torch.bfloat16):
        out = act(conv(torch.ones(1, 4, 8, 8)))
    out.float().sum().backward()
    assert out.dtype == torch.bfloat16
    assert conv.weight.grad.dtype == act.weight.grad.dtype == torch.float32


def test_folding_fixed_statistics_changes_nothing():
    layer = ConvNorm(4, 6, 3, stride=2, groups=2).double()
    layer(values(4, 4, 9, 9, seed=3))
    layer.norm.weight.data = values(6, seed=4)
    layer.norm.bias.data = values(6, seed=5)
    layer.eval()
    parameters = list(layer.parameters())
    assert_same_with_gradients(
        layer, lambda x: layer.norm(layer.conv(x)), values(2, 4, 8, 9), parameters
    )
    with torch.no_grad():
        x = values(2, 4, 8, 9)
        expected = layer(x)
        layer.settle()
        assert torch.equal(layer(x), expected)


def test_a_pyramid_is_the_same_with_statistics_folded():
    torch.manual_seed(0)
    pooling = PyramidPooling(6, 4).double()
    x = values(3, 6, 20, 12)
    for norm in (m for m in pooling.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.momentum = 1.0
        norm.weight.data.uniform_(0.5, 2)
        norm.bias.data.uniform_(-1, 1)
    with torch.no_grad():
        batch_statistics = pooling(x)
        for norm in (m for m in pooling.modules() if isinstance(m, nn.BatchNorm2d)):
            count = norm.running_var.numel() and x.shape[0] * 20 * 12
            norm.running_var *= (count - 1) / count  # the biased one, which training divides by
        torch.testing.assert_close(pooling.eval()(x), batch_statistics)


@pytest.mark.parametrize(("limit", "dilations"), [(13, [1, 2, 3, 4]), (7, [1, 1, 2, 3])])
def test_branch_dilations_follow_the_limit(limit, dilations):
    assert branch_dilations(limit) == dilations


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((8, 12), (4, 6)),
        ((9, 12), (6, 8)),
        ((8, 12), (5, 5)),
        ((5, 5), (3, 4)),
        ((7, 3), (5, 6)),
        ((9, 12), (6, 6)),
    ],
)
def test_exportable_pooling_equals_adaptive_pooling(size, wanted):
    x = values(2, 3, *size)
    expected = functional.adaptive_avg_pool2d(x, wanted)
    torch.testing.assert_close(common_average(x, wanted), expected)
    torch.testing.assert_close(average(x, wanted), expected)
