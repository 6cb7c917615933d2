"""Principal components of feature vectors, scaled to deviation 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

FLOOR = 1e-4
"""Least variance of a component, as a share of the largest: noise is not blown up beyond."""


class Whitening(nn.Module):
    """`y = (x - mean) P`, with P the leading eigenvectors over the roots of their eigenvalues.

    Args:
        width: C of the vectors.
        dimensions: components that stay.
    """

    matrix: Tensor
    offset: Tensor

    def __init__(self, width: int, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.zeros(dimensions, width))
        self.register_buffer("offset", torch.zeros(dimensions))

    def fit(self, vectors: Tensor) -> None:
        """Take mean and covariance from `(N, C)`."""
        double = vectors.double()
        mean = double.mean(0)
        values, columns = torch.linalg.eigh((double - mean).T @ (double - mean) / len(double))
        count = len(self.matrix)
        values, columns = values.flip(0)[:count], columns.flip(1)[:, :count]
        matrix = (columns / self.divisors(values)).T
        self.matrix.copy_(matrix)
        self.offset.copy_(-matrix @ mean)

    def divisors(self, values: Tensor) -> Tensor:
        """Return what components are divided by, given their variances, the largest first."""
        return values.clamp_min(FLOOR * values[0].clamp_min(1e-12)).sqrt()

    def forward(self, vectors: Tensor) -> Tensor:
        """Project `(..., C)` to `(..., dimensions)`, float32."""
        with torch.autocast(vectors.device.type, enabled=False):
            return functional.linear(vectors.float(), self.matrix, self.offset)


class Scaling(Whitening):
    """The same, all components divided by the largest deviation: their proportions stay."""

    def divisors(self, values: Tensor) -> Tensor:
        """Return the largest deviation for all."""
        return values[:1].clamp_min(1e-12).sqrt().expand_as(values)
