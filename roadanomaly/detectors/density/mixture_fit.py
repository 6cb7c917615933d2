"""A mixture of Gaussians with full covariances, learned by expectation maximisation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.detectors.density.moments import shrunk
from roadanomaly.detectors.neighbours import nearest_rows
from roadanomaly.flows.layer import LOG_TWO_PI

Parts = tuple[Tensor, Tensor, Tensor]
"""Logarithms of the weights, means, factors of the precisions; see `GaussianMixture`."""

LEAST = 1e-10
"""Added to each variance, so that a component of one vector has a density."""

LLOYD = 10
"""Rounds of k-means that give the start."""


class GaussianMixture(nn.Module):
    """`p(x) = sum_k w_k N(x; m_k, C_k)` of vectors `(..., C)`.

    Args:
        components: K.
        width: C.

    Attributes:
        log_weight: `(K,)`.
        mean: `(K, C)`.
        factor: `(K, C, C)`, upper triangular F of `C_k^-1 = F F^T`.
    """

    log_weight: Tensor
    mean: Tensor
    factor: Tensor

    def __init__(self, components: int, width: int) -> None:
        super().__init__()
        self.register_buffer("log_weight", torch.full((components,), -math.log(components)))
        self.register_buffer("mean", torch.zeros(components, width))
        self.register_buffer("factor", torch.eye(width).repeat(components, 1, 1))

    def log_prob(self, x: Tensor) -> Tensor:
        """Return `ln p(x)`, `(...)` nats."""
        return _joint(x, (self.log_weight, self.mean, self.factor)).logsumexp(-1)

    def fit(self, rows: Tensor, rounds: int, shrinkage: float) -> None:
        """Learn from vectors, in float64, from a start by k-means.

        Args:
            rows: `(N, C)`, at least K.
            rounds: of expectation and maximisation.
            shrinkage: of each covariance, see `shrunk`.
        """
        rows = rows.double()
        parts = maximised(rows, _clusters(rows, len(self.mean)), shrinkage)
        for _ in range(rounds):
            parts = maximised(rows, _joint(rows, parts).softmax(-1), shrinkage)
        for buffer, value in zip((self.log_weight, self.mean, self.factor), parts, strict=True):
            buffer.copy_(value)


def _joint(x: Tensor, parts: Parts) -> Tensor:
    """Return `ln w_k N(x; m_k, C_k)`, `(..., K)`."""
    found = []
    for log_weight, mean, factor in zip(*parts, strict=True):
        z = (x - mean) @ factor
        volume = factor.diagonal().log().sum()
        found.append(log_weight + volume - 0.5 * (z.square() + LOG_TWO_PI).sum(-1))
    return torch.stack(found, -1)


def maximised(rows: Tensor, shares: Tensor, shrinkage: float) -> Parts:
    """Return the components of greatest likelihood under responsibilities.

    Args:
        rows: `(N, C)` float64.
        shares: `(N, K)`, of each component.
        shrinkage: of each covariance.
    """
    count = shares.sum(0).clamp_min(1e-6)
    means, factors = [], []
    identity = torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device)
    for size, share in zip(count, shares.unbind(-1), strict=True):
        mean = (share[:, None] * rows).sum(0) / size
        offset = rows - mean
        covariance = shrunk((share[:, None] * offset).T @ offset / size, shrinkage)
        lower = torch.linalg.cholesky(covariance + LEAST * identity)
        means.append(mean)
        factors.append(torch.linalg.solve_triangular(lower, identity, upper=False).T)
    return (count / count.sum()).log(), torch.stack(means), torch.stack(factors)


def _clusters(rows: Tensor, count: int) -> Tensor:
    """Return responsibilities `(N, K)`, 0 or 1, of k-means from distant starts."""
    centres = _distant(rows, count)
    for _ in range(LLOYD):
        nearest = nearest_rows(centres, rows, 1)[1][:, 0]
        member = functional.one_hot(nearest, count).to(rows.dtype)
        size = member.sum(0)[:, None]
        centres = torch.where(size > 0, member.T @ rows / size.clamp_min(1), centres)
    return member


def _distant(rows: Tensor, count: int) -> Tensor:
    """Draw rows one by one, each by its squared distance to those before (k-means++)."""
    generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
    first = int(torch.randint(len(rows), (), generator=generator))
    centres = [rows[first]]
    least = (rows - rows[first]).square().sum(1)
    for _ in range(count - 1):
        chance = (least.clamp_min(0) + 1e-12).cpu()
        chosen = int(torch.multinomial(chance, 1, generator=generator))
        centres.append(rows[chosen])
        least = torch.minimum(least, (rows - rows[chosen]).square().sum(1))
    return torch.stack(centres)
