"""Means and covariances of feature vectors, streamed in float64 and kept a group at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from roadanomaly.errors import DataError


class Moments(nn.Module):
    """Sums over vectors of each group; they are not saved.

    Args:
        groups: G.
        width: C of the vectors.
    """

    count: Tensor
    total: Tensor
    outer: Tensor

    def __init__(self, groups: int, width: int) -> None:
        super().__init__()
        double = torch.float64
        self.register_buffer("count", torch.zeros(groups, dtype=double), persistent=False)
        self.register_buffer("total", torch.zeros(groups, width, dtype=double), persistent=False)
        outer = torch.zeros(groups, width, width, dtype=double)
        self.register_buffer("outer", outer, persistent=False)

    def clear(self) -> None:
        """Forget all vectors."""
        for sums in (self.count, self.total, self.outer):
            sums.zero_()

    def add(self, vectors: Tensor, group: Tensor) -> None:
        """Take vectors `(N, C)` with their groups `(N,)` into the sums."""
        vectors = vectors.double()
        for number in range(len(self.count)):
            mine = vectors if len(self.count) == 1 else vectors[group == number]
            self.count[number] += len(mine)
            self.total[number] += mine.sum(0)
            self.outer[number] += mine.T @ mine

    def summed_up(self, detector: str, least: int) -> tuple[Tensor, Tensor]:
        """Return means `(G, C)` and covariances `(G, C, C)`, float64, divided by the counts.

        A group of fewer vectors than `least` takes those of all vectors.

        Args:
            detector: catalogue name, for the message.
            least: vectors that a group needs.

        Raises:
            DataError: all groups together have fewer.
        """
        if self.count.sum() < least:
            msg = (
                f"{detector}: {int(self.count.sum())} labelled vectors are too few, {least} are "
                "needed; fit on more frames."
            )
            raise DataError(msg)
        few = self.count < least
        count = torch.where(few, self.count.sum(), self.count)
        total = torch.where(few[:, None], self.total.sum(0), self.total)
        outer = torch.where(few[:, None, None], self.outer.sum(0), self.outer)
        means = total / count[:, None]
        return means, outer / count[:, None, None] - means[:, :, None] * means[:, None]


def shrunk(covariance: Tensor, shrinkage: float) -> Tensor:
    """Return `(1 - s) C + s tr(C)/d I` of `(..., d, d)`."""
    width = covariance.shape[-1]
    mean_variance = covariance.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    identity = torch.eye(width, dtype=covariance.dtype, device=covariance.device)
    return (1 - shrinkage) * covariance + shrinkage * mean_variance * identity
