"""Contrast between pixels of negatives, in whatever surroundings, and pixels of inliers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.types import NEGATIVE, is_inlier


class PixelContrast(nn.Module):
    """Draws negatives together and away from inliers, in a projection that only training sees.

    Args:
        inputs: channels of the features.
        width: of the projection.
        samples: pixels of either kind that are drawn from a batch, at most.
        temperature: divides the cosines.
    """

    def __init__(
        self, inputs: int, width: int = 256, samples: int = 512, temperature: float = 0.1
    ) -> None:
        super().__init__()
        self.samples, self.temperature = samples, temperature
        self.project = nn.Sequential(
            nn.Conv2d(inputs, width, 1), nn.ReLU(), nn.Conv2d(width, width, 1)
        )

    def forward(self, features: Tensor, label: Tensor) -> Tensor:
        """Return the contrast of drawn pixels, a scalar; 0 without two negatives and an inlier.

        Args:
            features: `(B, C, h, w)`.
            label: `(B, h, w)` on the same grid.
        """
        vectors = functional.normalize(self.project(features), dim=1).movedim(1, -1).flatten(0, 2)
        drawn = [drawn_places(label == NEGATIVE, self.samples)]
        drawn.append(drawn_places(is_inlier(label), self.samples))
        (negatives, there), (inliers, here) = ((vectors[at], valid) for at, valid in drawn)
        return info_nce(negatives, there, inliers, here, self.temperature)


def drawn_places(mask: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Draw places of a mask without asking how many there are; the torch seed decides.

    Args:
        mask: bool, any shape.
        count: of places, at most.

    Returns:
        `(N,)` places in the flat mask, N fixed by its shape, and `(N,)` bool: whether it holds
        there.
    """
    flat = mask.flatten()
    keys = torch.rand(len(flat)).to(flat.device, non_blocking=True)
    places = keys.masked_fill(~flat, -1.0).topk(min(count, len(flat))).indices
    return places, flat.gather(0, places)


def info_nce(
    anchors: Tensor, there: Tensor, others: Tensor, here: Tensor, temperature: float
) -> Tensor:
    """Mean over pairs of anchors `i != j` of `-ln e_ij / (e_ij + sum_k e_ik)`.

    `e_ij` is the exponential of a cosine over the temperature and `k` runs over the others.

    Args:
        anchors: `(N, D)` of norm 1.
        there: `(N,)` bool: which of them count.
        others: `(M, D)` of norm 1.
        here: `(M,)` bool: which of them count.
        temperature: above 0.

    Returns:
        a scalar, 0 without a pair or without others.
    """
    alike = anchors @ anchors.T / temperature
    unlike = (anchors @ others.T / temperature).masked_fill(~here, -torch.inf)
    any_other = here.any()
    against = torch.where(any_other, unlike, 0.0).logsumexp(1, keepdim=True)
    costs = torch.logaddexp(alike, against) - alike
    alone = torch.eye(len(anchors), dtype=torch.bool, device=anchors.device)
    pairs = there & there[:, None] & ~alone & any_other
    return (costs * pairs).sum() / pairs.sum().clamp_min(1)
