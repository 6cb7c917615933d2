"""Mixtures of Gaussians with diagonal covariances: their log densities, and their fit by EM."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Mixture(NamedTuple):
    """Mixtures of M components in D dimensions, any number of them side by side.

    Args:
        log_weights: `(..., M)`; their exponentials sum to 1.
        means: `(..., M, D)`.
        log_variances: `(..., M, D)`.
    """

    log_weights: Tensor
    means: Tensor
    log_variances: Tensor


def component_log_densities(vectors: Tensor, mixture: Mixture) -> Tensor:
    """Return `ln w_m + ln N(x; mean_m, variance_m)`.

    Args:
        vectors: `(..., D)`.
        mixture: of `(K..., M)` components.

    Returns:
        `(..., K..., M)` in the precision of the mixture, whatever autocast says.
    """
    means, precisions = mixture.means, (-mixture.log_variances).exp()
    dimensions = means.shape[-1]
    constant = mixture.log_weights - 0.5 * (
        (means.square() * precisions + mixture.log_variances).sum(-1)
        + dimensions * math.log(2 * math.pi)
    )
    with torch.autocast(vectors.device.type, enabled=False):
        x = vectors.to(means.dtype)
        squares = x.square() @ precisions.reshape(-1, dimensions).T
        products = x @ (means * precisions).reshape(-1, dimensions).T
    found = products - 0.5 * squares
    return found.view(*vectors.shape[:-1], *constant.shape) + constant


def log_densities(vectors: Tensor, mixture: Mixture) -> Tensor:
    """Return the log density of each mixture, nats: `(..., D)` to `(..., K...)`."""
    return component_log_densities(vectors, mixture).logsumexp(-1)


def expectation_maximisation(
    vectors: Tensor, start: Mixture, iterations: int, floor: float
) -> Mixture:
    """Improve one mixture by EM, in double precision.

    Args:
        vectors: `(N, D)`.
        start: `(M,)` components.
        iterations: of an E and an M step each.
        floor: added to every variance.
    """
    x = vectors.double()
    mixture = Mixture(*(one.double() for one in start))
    for _ in range(iterations):
        shares = component_log_densities(x, mixture).softmax(-1)
        counts = shares.sum(0) + 10 * torch.finfo(x.dtype).eps
        means = shares.T @ x / counts[:, None]
        variances = shares.T @ x.square() / counts[:, None] - means.square()
        mixture = Mixture(
            (counts / counts.sum()).log(), means, (variances.clamp_min(0) + floor).log()
        )
    return mixture


def drawn_start(vectors: Tensor, components: int, floor: float) -> Mixture:
    """Return a mixture to begin EM with: means drawn from the vectors by the torch seed.

    All components weigh the same and have the variances of all vectors.

    Args:
        vectors: `(N, D)`.
        components: M; vectors are drawn more than once where there are fewer.
        floor: added to every variance.
    """
    places = torch.randperm(len(vectors)).repeat(-(-components // len(vectors)))[:components]
    variances = vectors.double().var(0, correction=0) + floor
    means = vectors[places.to(vectors.device)].double()
    weights = variances.new_full((components,), -math.log(components))
    return Mixture(weights, means, variances.log().expand_as(means))
