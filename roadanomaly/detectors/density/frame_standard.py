"""Features of a frame at mean 0 and deviation 1, without what its camera and light do to all."""

from __future__ import annotations

from torch import Tensor

LEAST = 0.1
"""Added to each deviation, as a share of the channels' root mean square deviation."""


def standardise_frame(features: Tensor, covered: tuple[float, float]) -> Tensor:
    """Bring each channel of each frame to mean 0 and about deviation 1.

    Args:
        features: `(B, C, h, w)`.
        covered: shares of height and width, counted from the top left corner, that show the image
            and not its padding; the statistics are those of these cells.

    Returns:
        `(B, C, h, w)` float32: `(x_c - mean_c) / (deviation_c + 0.1 rms(deviation))`, so that a
        channel that is silent in a frame stays small. As instance normalisation (Ulyanov et al.,
        2016), but for that sum.
    """
    maps = features.float()
    height, width = (max(1, round(n * s)) for n, s in zip(maps.shape[-2:], covered, strict=True))
    shown = maps[..., :height, :width]
    mean = shown.mean((2, 3), keepdim=True)
    variance = (shown - mean).square().mean((2, 3), keepdim=True)
    whole = variance.mean(1, keepdim=True).sqrt()
    return (maps - mean) / (variance.sqrt() + LEAST * whole).clamp_min(1e-12)
