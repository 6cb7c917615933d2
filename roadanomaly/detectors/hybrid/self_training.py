"""What a frame's own scores teach: sure inliers and sure anomalies, and a loss on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from roadanomaly.detectors.losses import at_least_single
from roadanomaly.detectors.mixture import (
    Mixture,
    component_log_densities,
    expectation_maximisation,
)
from roadanomaly.detectors.softmax import entropy

SAMPLE = 10_000
"""Pixels, evenly spaced, that the two Gaussians are fitted on."""

STARTS = (0.5, 0.995)
"""Quantiles of the scores at which the Gaussians begin."""

FLOOR = 1e-3
"""Added to their variances, of scores with a variance of 1."""

GRID = 1000
ROUNDS = 20
LEAST_CHANCE = 1e-8
LEAST_SPREAD = 1e-6
"""Standard deviation below which all pixels of a frame score alike, and teach nothing."""


@dataclass(frozen=True)
class Odds:
    """How a score becomes a chance of being an anomaly, `sigmoid((score - middle) / spread)`.

    Args:
        middle: scalar, the score that counts as even.
        spread: scalar, the scores' standard deviation.
    """

    middle: Tensor
    spread: Tensor

    def chance(self, score: Tensor) -> Tensor:
        """Return the chance of each pixel, 0..1, of the same shape; even where all score alike."""
        standard = (score - self.middle) / self.spread.clamp_min(LEAST_SPREAD)
        return torch.where(self.spread > LEAST_SPREAD, standard.sigmoid(), 0.5)


@torch.no_grad()
def odds_of(score: Tensor) -> Odds:
    """Find where ordinary and strange part in the scores of one frame.

    Two Gaussians are fitted to some of them; `middle` is where both are equally likely, `spread`
    the standard deviation.

    Args:
        score: any shape.
    """
    values = score.float().flatten()
    some = values[:: max(1, len(values) // SAMPLE), None].double()
    mean, spread = some.mean(), some.std(correction=0)
    some = (some - mean) / spread.clamp_min(LEAST_SPREAD)
    means = torch.stack([some.quantile(one) for one in STARTS])[:, None]
    start = Mixture(means.new_full((2,), 0.5).log(), means, torch.zeros_like(means))
    found = expectation_maximisation(some, start, ROUNDS, FLOOR)
    low, high = found.means.min(), found.means.max()
    share = torch.linspace(0, 1, GRID, dtype=some.dtype, device=some.device)
    grid = (low + (high - low) * share)[:, None]
    likely = component_log_densities(grid, found).softmax(-1)
    upper = found.means.flatten().argmax()
    ordinary = likely.index_select(1, upper[None])[:, 0] < 0.5
    place = (ordinary * torch.arange(GRID, device=ordinary.device)).max()
    middle = mean + spread * grid.index_select(0, place[None])[0, 0]
    return Odds(middle.float(), spread.float())


def self_training_loss(
    score: Tensor, logits: Tensor, odds: Odds, sure: tuple[float, float]
) -> Tensor:
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
        a scalar; 0, with gradients of 0, where no pixel is sure.
    """
    chance = odds.chance(at_least_single(score))
    ordinary, strange = chance < sure[0], chance > sure[1]
    inliers, others = ordinary.sum(), strange.sum()
    weight = torch.where((inliers > 0) & (others > 0), inliers / others.clamp_min(1), 1.0)
    logs = at_least_single(logits).log_softmax(1)
    calm = entropy(logs) - (1 - chance).clamp_min(LEAST_CHANCE).log()
    alarm = -chance.clamp_min(LEAST_CHANCE).log()
    total = (calm * ordinary).sum() + weight * (alarm * strange).sum()
    return total / (inliers + others).clamp_min(1)
