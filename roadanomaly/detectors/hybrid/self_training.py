"""What a frame's own scores teach: sure inliers and sure anomalies, and a loss on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from roadanomaly.detectors.mixture import (
    Mixture,
    component_log_densities,
    expectation_maximisation,
)

SAMPLE = 10_000
"""Pixels, evenly spaced, that the two Gaussians are fitted on."""

GRID = 1000
ROUNDS = 20
LEAST_SPREAD = 1e-6
"""Standard deviation below which all pixels of a frame score alike, and teach nothing."""


@dataclass(frozen=True)
class Odds:
    """How a score becomes a chance of being an anomaly, `sigmoid((score - middle) / spread)`."""

    middle: float
    spread: float

    def chance(self, score: Tensor) -> Tensor:
        """Return the chance of each pixel, 0..1, of the same shape."""
        return torch.sigmoid((score - self.middle) / self.spread)


@torch.no_grad()
def odds_of(score: Tensor) -> Odds | None:
    """Find where ordinary and strange part in the scores of one frame.

    Two Gaussians are fitted to some of them; `middle` is where both are equally likely, `spread`
    the standard deviation.

    Args:
        score: any shape.

    Returns:
        None where all pixels score alike.
    """
    values = score.float().flatten()
    some = values[:: max(1, len(values) // SAMPLE), None].double().cpu()
    spread = float(some.std(correction=0))
    if not spread > LEAST_SPREAD:
        return None
    means = torch.quantile(some, torch.tensor([0.5, 0.995], dtype=torch.double), 0)
    weights = torch.tensor([0.9, 0.1], dtype=torch.double).log()
    start = Mixture(weights, means, torch.full_like(means, spread**2).log())
    found = expectation_maximisation(some, start, ROUNDS, 1e-3 * spread**2)
    low, high = sorted(found.means.flatten().tolist())
    grid = torch.linspace(low, high, GRID, dtype=torch.double)[:, None]
    upper = int(found.means.flatten().argmax())
    likely = component_log_densities(grid, found).softmax(-1)[:, upper]
    ordinary = torch.nonzero(likely < 0.5).flatten()
    place = int(ordinary[-1]) if len(ordinary) else 0
    return Odds(float(grid[place]), spread)


def self_training_loss(
    score: Tensor, logits: Tensor, odds: Odds, sure: tuple[float, float]
) -> Tensor | None:
    """Return the loss of the pixels that are surely ordinary or surely strange.

    With `p` the softmax over the known classes and `g` the chance of an anomaly, a sure inlier
    costs `-sum_k p_k ln(p_k (1 - g))`, a sure anomaly `-w ln g`, where `w` is how many inliers come
    to one anomaly. The mean over both is taken.

    Args:
        score: `(B, H, W)`, with gradients.
        logits: `(B, K, H, W)`, with gradients.
        odds: of the score.
        sure: chances below which a pixel is surely ordinary, and above which surely strange.

    Returns:
        a scalar, or None where no pixel is sure.
    """
    chance = odds.chance(score.float())
    ordinary, strange = chance < sure[0], chance > sure[1]
    count = int(ordinary.sum()) + int(strange.sum())
    if not count:
        return None
    both = bool(ordinary.any()) and bool(strange.any())
    weight = ordinary.sum() / strange.sum() if both else 1.0
    logs = logits.log_softmax(1)
    entropy = -(logs.exp() * logs).sum(1)
    calm = entropy - (1 - chance).clamp_min(1e-8).log()
    alarm = -chance.clamp_min(1e-8).log()
    return (calm[ordinary].sum() + weight * alarm[strange].sum()) / count
