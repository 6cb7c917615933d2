"""Bilinear enlargement, and adaptive average pooling that every runtime can be given."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def enlarge(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring `(B, C, h, w)` to `(B, C, *size)` bilinearly, corner pixels on corner pixels."""
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=True)


def average(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Adaptive average pooling: `(B, C, h, w)` to `(B, C, *size)`.

    Output pixel `i` of `n` is the mean of the input pixels `floor(i h / n)` to
    `ceil((i + 1) h / n) - 1`. While the network is exported it is written with common operations,
    because ONNX has no adaptive pooling.
    """
    if torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export():
        return common_average(x, size)
    return functional.adaptive_avg_pool2d(x, size)


def common_average(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Do what `average` does by plain pooling where windows repeat, else by matrix products.

    In a graph that leaves the sides open, windows repeat where they do so for all of them.
    """
    height, width = x.shape[-2:]
    if always(height == 2 * size[0]) and always(width == 2 * size[1]):
        return functional.avg_pool2d(x, 2)
    if always(2 * height == 3 * size[0]) and always(2 * width == 3 * size[1]):
        return _average_three_to_two(x)
    rows, columns = _windows(height, size[0], x), _windows(width, size[1], x)
    counts = rows.sum(1)[:, None] * columns.sum(1)
    return (rows @ x @ columns.T) * (1 / counts)


def always(statement: bool | torch.SymBool) -> bool:
    """Say whether a statement on sides holds for every size that a graph is exported for."""
    if isinstance(statement, bool):
        return statement
    from torch.fx.experimental.symbolic_shapes import statically_known_true  # slow to import

    return statically_known_true(statement)


def at_least(side: int, least: int) -> int:
    """Return the larger one; it stays open where an exported graph leaves `side` open."""
    if isinstance(side, Tensor):  # what a side is while TorchScript is traced
        return side.clamp(min=least)
    if always(side >= least):
        return side
    larger: Any = torch.sym_max(side, least)
    return larger


def _average_three_to_two(x: Tensor) -> Tensor:
    """Means of pixels 0, 1 and of 1, 2 in each run of three, along both sides."""
    batch, channels, height, width = x.shape
    means = functional.avg_pool2d(functional.pad(x, (0, 1, 0, 1)), 2, stride=1)
    runs = means.reshape(batch, channels, height // 3, 3, width // 3, 3)
    return runs[:, :, :, :2, :, :2].reshape(batch, channels, height * 2 // 3, width * 2 // 3)


def _windows(inputs: int, outputs: int, like: Tensor) -> Tensor:
    """Return `(outputs, inputs)`: 1 where an input pixel counts for an output pixel, else 0.

    The sums are divided by their counts afterwards, not the weights here: OpenVINO 2026.4 would
    otherwise join a PReLU to the product and take columns for channels.
    """
    pixel = torch.arange(inputs, device=like.device)
    output = torch.arange(outputs, device=like.device)[:, None]
    first = output * inputs // outputs
    last = ((output + 1) * inputs - 1) // outputs
    return ((pixel >= first) & (pixel <= last)).to(like.dtype)
