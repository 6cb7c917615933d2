"""Loss terms that several trained detectors share."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` where `mask` holds; 0, with a gradient of 0, where it holds nowhere."""
    return (values * mask).sum() / mask.sum().clamp_min(1)


def at_least_single(values: Tensor) -> Tensor:
    """Return values of half precision as float32, others as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
