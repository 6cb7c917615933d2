"""Logistic regression of anomalies against inliers, both counting alike."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

PENALTY = 1e-4
"""Of the squared weights, so that sides that can be told apart wholly have an optimum."""


def regress(inliers: Tensor, anomalies: Tensor, penalty: float = PENALTY) -> tuple[Tensor, Tensor]:
    """Fit weights and a bias by L-BFGS, both sides counting alike.

    Args:
        inliers: `(N, L)`, of deviation about 1.
        anomalies: `(M, L)`.
        penalty: of the squared weights, against the mean loss.

    Returns:
        `(L,)` and `()`: the logit of an anomaly is `x @ weight + bias`.
    """
    with torch.inference_mode(False), torch.enable_grad():
        x = torch.cat([inliers, anomalies]).clone()
        target = torch.zeros(len(x), device=x.device)
        target[len(inliers) :] = 1
        balance = torch.where(target > 0, 0.5 / len(anomalies), 0.5 / len(inliers))
        weight = torch.full((x.shape[1],), 1 / x.shape[1], device=x.device, requires_grad=True)
        bias = torch.zeros((), device=x.device, requires_grad=True)
        optimiser = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

        def closure() -> float:
            optimiser.zero_grad()
            loss = functional.binary_cross_entropy_with_logits(
                x @ weight + bias, target, balance, reduction="sum"
            )
            loss = loss + penalty * weight.square().sum()
            loss.backward()
            return loss.item()

        optimiser.step(closure)
    return weight.detach(), bias.detach()
