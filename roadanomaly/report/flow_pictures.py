"""What a flow has learned, in pictures and numbers: samples, real crops, costs in bits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from roadanomaly.flows import ImageFlow
from roadanomaly.report.pictures import caption, column, row

AT_ONCE = 32
"""Images that a flow sees together."""


@torch.no_grad()
def bits_of(flow: ImageFlow, images: Tensor, seed: int = 0) -> np.ndarray:
    """Return the bits per dimension of each image; equal seeds draw equal dequantisation noise.

    Args:
        flow: in inference mode, on its device.
        images: `(N, C, H, W)` uint8, sides multiples of the flow's stride.
        seed: of the noise.
    """
    device = next(flow.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        bits = [flow.bits_per_dim(part.to(device)).cpu() for part in images.split(AT_ONCE)]
    return torch.cat(bits).numpy()


@torch.no_grad()
def draw(
    flow: ImageFlow, count: int, height: int, width: int, temperature: float = 1.0, seed: int = 0
) -> Tensor:
    """Return samples `(count, C, height, width)` uint8 on the CPU; equal seeds, equal samples."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for first in range(0, count, AT_ONCE):
        number = min(AT_ONCE, count - first)
        samples = flow.sample(number, height, width, temperature, generator)
        parts.append((255 * samples).round().to(torch.uint8).cpu())
    return torch.cat(parts)


def grid(images: Tensor, columns: int = 8) -> np.ndarray:
    """Lay images `(N, 3, H, W)` uint8 out in rows; returns `(H', W', 3)` uint8."""
    arrays = [np.ascontiguousarray(one.permute(1, 2, 0).numpy()) for one in images]
    return column(
        [row(arrays[first : first + columns]) for first in range(0, len(arrays), columns)]
    )


def sample_sheet(flow: ImageFlow, crops: Tensor, count: int = 24) -> np.ndarray:
    """Show real crops above samples of the same size, at temperatures 1 and 0.7.

    Args:
        flow: in inference mode.
        crops: `(N, 3, H, W)` uint8.
        count: of each.
    """
    size = (crops.shape[2], crops.shape[3])
    parts = [
        caption(grid(crops[:count]), "held-out crops"),
        caption(grid(draw(flow, count, *size)), "samples, temperature 1"),
        caption(grid(draw(flow, count, *size, temperature=0.7)), "samples, temperature 0.7"),
    ]
    return column(parts)
