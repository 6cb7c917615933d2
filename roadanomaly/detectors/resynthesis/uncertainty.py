"""Maps of how unsure a prediction is, as plain functions, and their common scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.prepared import Prepared

EXTREMES = (0.01, 0.99)
"""Quantiles of an image's values that count as its range; single pixels do not decide it."""

SAMPLE = 10_000
"""Values of an image that its quantiles are taken from."""

LEAST_RANGE = 1e-3
"""Values that spread less over a whole data set are rounding noise, and are not blown up."""


def softmax_entropy(logits: Tensor) -> Tensor:
    """Return `-sum_k p_k ln p_k` in nats, 0 to ln K; a probability of 0 adds 0.

    Args:
        logits: `(B, K, h, w)` before softmax; of evidence, its logarithm.

    Returns:
        `(B, h, w)` float32.
    """
    return torch.special.entr(logits.float().softmax(1)).sum(1)


def softmax_distance(logits: Tensor) -> Tensor:
    """Return 1 minus the distance between the two highest probabilities, 0 to 1.

    Args:
        logits: `(B, K, h, w)`, K of at least 2.

    Returns:
        `(B, h, w)` float32, 1 where two classes are equally likely.

    Source: Rottmann et al., 2020, Prediction Error Meta Classification (the probability margin), as
    used by Di Biase et al., 2021, SynBoost, equation 2, there before it is turned round.
    """
    first, second = logits.float().softmax(1).topk(2, 1).values.unbind(1)
    return 1 - (first - second)


def perceptual_difference(
    one: Sequence[Tensor], other: Sequence[Tensor], size: tuple[int, int]
) -> Tensor:
    """Return how far the features of two images lie apart at each pixel.

    Args:
        one: maps `(B, C_i, h_i, w_i)` of an encoder.
        other: maps of the other image, of the same shapes.
        size: height and width of the result.

    Returns:
        `(B, *size)` float32: at each level the mean over channels of the absolute difference,
        brought to `size` bilinearly; the mean over levels.

    Source: Di Biase et al., 2021, SynBoost, equation 3, a sum over levels of `|F(x) - F(r)| / M_i`
    with `M_i` elements, the levels weighted alike here.
    """
    maps = []
    for a, b in zip(one, other, strict=True):
        difference = (a.float() - b.float()).abs().mean(1, keepdim=True)
        maps.append(functional.interpolate(difference, size=size, mode="bilinear"))
    return torch.cat(maps, 1).mean(1)


class RangeScale(Prepared):
    """Brings maps to 0..1 by the range that their values have over a whole data set.

    `(x - low) / (high - low)`, cut off at 0 and 1. Low and high are means over the images seen in
    training of their quantiles 0.01 and 0.99. The public code of SynBoost takes the extremes of
    each single image, so that some pixel of every image is "most uncertain", and divides by the
    maximum where the range was meant.

    Args:
        low: of each map, before any image was seen.
        high: of each map, before any image was seen.
    """

    low: Tensor
    high: Tensor

    def __init__(self, low: Sequence[float], high: Sequence[float]) -> None:
        super().__init__(ready=True)
        self.register_buffer("low", torch.tensor(low, dtype=torch.float32))
        self.register_buffer("high", torch.tensor(high, dtype=torch.float32))
        self.images = 0
        self.keep_plain("images")

    @torch.no_grad()
    def update(self, maps: Tensor) -> None:
        """Take images into the statistics.

        Args:
            maps: `(B, M, h, w)`, M maps of each image.
        """
        values = maps.float().flatten(2)
        values = values[..., :: 1 + values.shape[2] // SAMPLE]
        extremes = torch.tensor(EXTREMES).to(values.device, non_blocking=True)
        quantiles = values.quantile(extremes, dim=2)
        self.images += len(maps)
        share = len(maps) / self.images
        for buffer, found in zip((self.low, self.high), quantiles.mean(1), strict=True):
            buffer.lerp_(found, share)

    def forward(self, maps: Tensor) -> Tensor:
        """Scale `(B, M, h, w)` to 0..1, float32."""
        low, high = self.low[:, None, None], self.high[:, None, None]
        return ((maps.float() - low) / (high - low).clamp_min(LEAST_RANGE)).clamp(0, 1)
