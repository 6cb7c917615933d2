"""Probabilities of grey levels under logistics."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LEAST_LOG_SCALE = -7.0
"""Least logarithm of a logistic's scale, in units of half the range of the levels."""


def level_log_prob(x: Tensor, mean: Tensor, log_scale: Tensor, levels: int = 256) -> Tensor:
    """Return `ln P(x)` of levels under discretised logistics; shapes are broadcast.

    A level has the probability of the interval of its width about it; the first and the last take
    all that lies beyond them, so that all levels sum to 1.

    Args:
        x: in -1..1 in `levels` equal steps.
        mean: in the same unit.
        log_scale: of the logistics.
        levels: how many there are.

    Source: Salimans et al., 2017, PixelCNN++, section 2.1.
    """
    half = 1 / (levels - 1)
    inverse = (-log_scale.clamp_min(LEAST_LOG_SCALE)).exp()
    above, below = inverse * (x - mean + half), inverse * (x - mean - half)
    first, last = x < -1 + half, x > 1 - half
    log_cdf, log_rest = functional.logsigmoid(above), functional.logsigmoid(-below)
    # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a))
    between = log_cdf + log_rest + torch.log(-torch.expm1(-2 * half * inverse))
    return torch.where(first, log_cdf, torch.where(last, log_rest, between))
