"""Layers whose gradients PyTorch computes slowly on a CPU, with the same values and faster ones.

Where no gradient is asked for, and on other devices, they are PyTorch's own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


def learns_on_cpu(x: Tensor) -> bool:
    """Say whether a gradient is recorded and `x` lies on the CPU."""
    return x.device.type == "cpu" and torch.is_grad_enabled()


class _ChannelPReLU(torch.autograd.Function):
    """PReLU of one slope a channel; PyTorch's own gradient makes two whole maps, unvectorised."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return functional.prelu(x, slope)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, slope = ctx.saved_tensors
        above = torch.ops.aten.threshold_backward(gradient, x, 0)  # the gradient where x > 0
        below = gradient - above
        towards_x = torch.addcmul(above, below, slope.view(1, -1, 1, 1))
        return towards_x, below.mul_(x).sum((0, 2, 3))


class PReLU(nn.PReLU):
    """`nn.PReLU` of one slope a channel on `(B, C, h, w)`, three to five times faster to train."""

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape `(B, C, h, w)`."""
        if learns_on_cpu(x):
            return _ChannelPReLU.apply(x, self.weight.to(x.dtype))
        return super().forward(x)


class DepthwiseConv(nn.Conv2d):
    """Depth-wise 3x3 convolution without bias, padded to keep the size at stride 1.

    A dilated one is trained as an undilated one on the `dilation ** 2` sub-grids of its input,
    which is the same sum.

    Args:
        channels: in and out.
        stride: of the convolution.
        dilation: of the convolution.
    """

    def __init__(self, channels: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(
            channels, channels, 3, stride, dilation, dilation, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, h, w)` to `(B, C, ceil(h / stride), ceil(w / stride))`."""
        stride, dilation = self.stride[0], self.dilation[0]
        if dilation == 1 or not learns_on_cpu(x):
            return super().forward(x)
        while stride == 2 and dilation % 2 == 0:  # then it reads even rows and columns only
            x, stride, dilation = x[..., ::2, ::2], 1, dilation // 2
        height, width = x.shape[-2:]
        grids = _split_grids(x, dilation)
        seen = functional.conv2d(grids, self.weight, None, 1, 1, 1, self.groups)
        return _join_grids(seen, dilation)[..., :height:stride, :width:stride]


def _split_grids(x: Tensor, step: int) -> Tensor:
    """Stack every `step`-th pixel in the batch: `(B, C, h, w)` to `(B step step, C, h', w')`.

    Zeros are added at the bottom and on the right where `step` does not divide a side.
    """
    batch, channels, height, width = x.shape
    if height % step or width % step:
        x = functional.pad(x, (0, -width % step, 0, -height % step))
    rows, columns = x.shape[2] // step, x.shape[3] // step
    grids = x.permute(0, 2, 3, 1).reshape(batch, rows, step, columns, step, channels)
    grids = grids.permute(0, 2, 4, 1, 3, 5).reshape(-1, rows, columns, channels)
    return grids.permute(0, 3, 1, 2)


def _join_grids(grids: Tensor, step: int) -> Tensor:
    """Undo `_split_grids`, but for the added zeros."""
    _, channels, rows, columns = grids.shape
    x = grids.permute(0, 2, 3, 1).reshape(-1, step, step, rows, columns, channels)
    x = x.permute(0, 3, 1, 4, 2, 5).reshape(-1, rows * step, columns * step, channels)
    return x.permute(0, 3, 1, 2)
