"""Measures of a softmax that several detectors share."""

from __future__ import annotations

from torch import Tensor


def entropy(log_p: Tensor) -> Tensor:
    """Return `-sum_k p_k ln p_k` in nats, 0 to ln K.

    Args:
        log_p: `(B, K, H, W)` logarithms of probabilities, none of them -inf.

    Returns:
        `(B, H, W)`.
    """
    return -(log_p.exp() * log_p).sum(1)
