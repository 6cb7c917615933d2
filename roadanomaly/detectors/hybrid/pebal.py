"""PEBAL: a class to abstain by, dearer where the energy says that the network knows the pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.detectors.grid import at_logits
from roadanomaly.detectors.hybrid.energy_hinge import EnergyHinge, Moves
from roadanomaly.detectors.losses import at_least_single, masked_mean
from roadanomaly.errors import OptionError
from roadanomaly.refiners.blur import gaussian_mean
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.segmenters.last_layer import last_map
from roadanomaly.types import NEGATIVE, Batch, Segmentation, is_known

WINDOW, SIGMA = 7, 1.0
"""Of the Gaussian that smooths the reward, in cells of the logits' grid."""

LEAST_REWARD = 1.0
"""Where abstaining costs nothing."""


class Pebal(EnergyHinge):
    """The free energy over the known classes, learned beside a class to abstain by.

    With `p` the softmax over K known classes and abstention, and the reward `a = E^2`, smoothed
    over neighbours, a pixel of class `y` costs `-ln(p_y + p_(K+1) / a)` and a negative
    `-negatives / K sum_k ln(p_k + p_(K+1) / a)`, which abstaining lowers where the energy is high.
    The energy hinge is added. Of a known pixel nothing else is learned.

    Args:
        margins: energies in nats that inliers are to stay below and negatives above; the authors'
            are -12 and -6. None: `quantiles` of the inliers' own energies before training.
        quantiles: that the margins are then.
        weight: of the energy hinge.
        negatives: of the negatives' gambler's loss.
        moves: of the segmenter's parameters `all`, or as published those of its `last` layer.

    Raises:
        OptionError: a value out of range.

    Source: Tian et al., 2022. Differs from the public code: margins are the network's own; the
    reward is at least 1, so that abstaining is never rewarded beyond the class; the loss of
    negatives is the one written above, where the code takes a second logarithm of a clamped value,
    which has no gradient; labels are not overwritten between terms; the abstention logit is a
    convolution of the map that the last layer reads; neither sparsity nor smoothness of the energy
    is penalised. The published smoothing of the score is the refiner `blur`.
    """

    closed_set = False
    paper = "Tian et al., Pixel-wise Energy-biased Abstention Learning, ECCV 2022"

    head: nn.Conv2d

    def __init__(
        self,
        margins: Sequence[float] | None = None,
        quantiles: Sequence[float] = (0.5, 0.99),
        weight: float = 0.1,
        negatives: float = 0.1,
        moves: Moves = "last",
    ) -> None:
        super().__init__(margins, quantiles, weight, moves)
        if negatives < 0:
            msg = f"pebal: `negatives` must not be negative, got {negatives:g}."
            raise OptionError(msg)
        self.negatives = negatives
        self.read = ""

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {**super().options(), "negatives": self.negatives}

    def check_kind(self, segmenter: Segmenter) -> None:
        """Refuse a segmenter whose last layer does not read one map, too.

        Raises:
            KindError: it cannot be read or trained.
            FeatureError: there is no such map.
        """
        super().check_kind(segmenter)
        last_map(segmenter)

    def attach(self, segmenter: Segmenter) -> None:
        """Build the abstention class on the map that the last layer reads."""
        self.read = last_map(segmenter)
        self.head = nn.Conv2d(segmenter.feature(self.read).channels, 1, 1)

    @property
    def needs(self) -> tuple[str, ...]:
        """The map that the last layer reads."""
        return (self.read,)

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the gambler's loss of known pixels and of negatives, and the energy hinge."""
        self.ready = True
        label = labels_at(batch.label, segmentation)
        known, abstention = self._logits(segmentation)
        inliers, negatives = gambler_losses(known, abstention, label)
        return {
            "gambler": inliers,
            "gambler_negatives": self.negatives * negatives,
            **self.hinge(segmentation, label),
        }

    def _logits(self, segmentation: Segmentation) -> tuple[Tensor, Tensor]:
        """Return the known classes' logits, `(B, K, h, w)`, and that to abstain, `(B, 1, h, w)`."""
        known = at_least_single(segmentation.logits)
        abstention = at_logits(self.head(segmentation.features[self.read]), segmentation)
        return known, abstention.to(known.dtype)

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the probability of the class to abstain by, and the reward that it is weighed by.

        The score rests on neither: both show how the loss divided the image while it was learned.
        """
        del image
        self.require()
        known, abstention = self._logits(segmentation)
        chance = torch.cat([known, abstention], 1).softmax(1)[:, -1]
        maps = {"probability to abstain": chance, "price of abstaining": reward_of(known)}
        return {title: segmentation.to_image(one) for title, one in maps.items()}


def reward_of(known: Tensor) -> Tensor:
    """Return what abstaining is divided by, `(B, h, w)`: the smoothed square of the energy.

    Args:
        known: `(B, K, h, w)` logits of the known classes.
    """
    return gaussian_mean(known.logsumexp(1).square(), WINDOW, SIGMA).clamp_min(LEAST_REWARD)


def gambler_losses(known: Tensor, abstention: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean gambler's loss of known pixels and that of negatives, each 0 without any.

    Args:
        known: `(B, K, h, w)` logits of the known classes.
        abstention: `(B, 1, h, w)` logit of the class to abstain by.
        label: `(B, h, w)` int64.
    """
    log_p = torch.cat([known, abstention], 1).log_softmax(1)
    spared = (log_p[:, -1] - reward_of(known).log())[:, None]
    won = torch.logaddexp(log_p[:, :-1], spared)
    has_class = is_known(label)
    own = won.gather(1, label.masked_fill(~has_class, 0)[:, None])[:, 0]
    return masked_mean(-own, has_class), masked_mean(-won.mean(1), label == NEGATIVE)
