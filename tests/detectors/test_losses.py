"""Loss terms that trained detectors share."""

from __future__ import annotations

import torch

from roadanomaly.detectors.losses import masked_mean


def test_mean_over_an_empty_mask_is_zero_with_a_gradient_of_zero():
    values = torch.randn(3, 4, requires_grad=True)
    mean = masked_mean(values, torch.zeros(3, 4))
    mean.backward()
    assert mean.item() == 0
    assert (values.grad == 0).all()
