"""What detectors share that push the energy of inliers down and that of negatives up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from roadanomaly.catalogue import called
from roadanomaly.detectors.base import Detector, Pass
from roadanomaly.detectors.feature_bank import FeatureBank
from roadanomaly.detectors.losses import at_least_single, masked_mean
from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.segmenters.last_layer import last_map, last_parameters
from roadanomaly.types import NEGATIVE, Batch, Segmentation, is_inlier

Moves = Literal["all", "last"]
MOVES: tuple[str, ...] = ("all", "last")

PIXELS = 100_000
"""Energies that the quantiles are taken of, at most."""


class EnergyHinge(Detector):
    """Scored by the free energy `E = -ln sum_k exp s_k`; trained by a hinge on both of its sides.

    The hinge is `(mean relu(E - low)^2 over inliers + mean relu(high - E)^2 over negatives) / 2`.

    Args:
        margins: low and high, nats. None: quantiles of the energies of inlier pixels, which a pass
            over the training frames takes before the first step.
        quantiles: that low and high are then.
        weight: of the hinge.
        moves: which of the segmenter's parameters learn: `all`, or those of its `last` layer.

    Raises:
        OptionError: a value out of range.
    """

    kind = "finetune"
    supervision = "negatives"
    fit_passes: ClassVar[tuple[Pass, ...]] = (Pass("energies"),)

    bounds: Tensor

    def __init__(
        self,
        margins: Sequence[float] | None,
        quantiles: Sequence[float],
        weight: float,
        moves: Moves,
    ) -> None:
        super().__init__()
        self._check(margins, quantiles, weight, moves)
        self.margins = None if margins is None else tuple(margins)
        self.quantiles = tuple(quantiles)
        self.weight = weight
        self.moved = moves
        self.register_buffer("bounds", torch.tensor(self.margins or (0.0, 0.0)))
        self.bank = FeatureBank(PIXELS, saved=False)
        if margins is not None:
            self.fit_passes = ()  # type: ignore[misc]

    def _check(
        self,
        margins: Sequence[float] | None,
        quantiles: Sequence[float],
        weight: float,
        moves: str,
    ) -> None:
        part = called(self)
        check_margins(part, margins)
        if len(quantiles) != 2 or not 0 <= quantiles[0] <= quantiles[1] <= 1:
            msg = f"{part}: `quantiles` are two of 0..1, the lower first, not {list(quantiles)}."
            raise OptionError(msg)
        if weight <= 0:
            msg = f"{part}: `weight` must be positive, not {weight:g}."
            raise OptionError(msg)
        if moves not in MOVES:
            msg = f"{part}: `moves` {moves!r} is unknown; {nearest(moves, MOVES)}"
            raise OptionError(msg)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "margins": None if self.margins is None else list(self.margins),
            "quantiles": list(self.quantiles),
            "weight": self.weight,
            "moves": self.moved,
        }

    def check_kind(self, segmenter: Segmenter) -> None:
        """Refuse a segmenter whose last layer cannot be asked alone, too, where that one moves.

        Raises:
            KindError: it cannot be read or trained.
            FeatureError: there is no such layer.
        """
        super().check_kind(segmenter)
        if self.moved == "last":
            last_map(segmenter)

    def moves(self, segmenter: Segmenter) -> Iterable[nn.Parameter]:
        """Return all parameters, or those of the last layer."""
        return segmenter.parameters() if self.moved == "all" else last_parameters(segmenter)

    def begin(self, name: str) -> None:
        """Start with no energies."""
        super().begin(name)
        self.bank.clear()

    def update(self, segmentation: Segmentation, batch: Batch, name: str) -> None:
        """Take the energies of a batch's inlier pixels."""
        del name
        energy = free_energy(segmentation)
        self.bank.add(energy[is_inlier(labels_at(batch.label, segmentation))][:, None])

    def finish(self, name: str) -> None:
        """Set the margins to the quantiles.

        Raises:
            DataError: the frames show no inlier pixel.
        """
        del name
        if not len(self.bank):
            msg = (
                f"{called(self)}: no pixel of the training frames is labelled as an inlier, "
                "and the margins are quantiles of their energies; give labelled frames, or "
                "`margins`."
            )
            raise DataError(msg)
        energies = self.bank.rows.flatten().double().sort().values
        places = [round(one * (len(energies) - 1)) for one in self.quantiles]
        self.bounds.copy_(torch.stack([energies[place] for place in places]))
        self.bank.clear()

    def hinge(self, segmentation: Segmentation, label: Tensor) -> dict[str, Tensor]:
        """Return both sides of the hinge, weighted.

        Args:
            segmentation: with gradients.
            label: `(B, h, w)` on the logits' grid.
        """
        low, high = self.bounds
        return hinge_terms(free_energy(segmentation), label, low, high, self.weight)

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the free energy over the known classes, `(B, H, W)`."""
        return segmentation.to_image(self.native(segmentation, image))

    def native(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the same on the logits' grid, `(B, h, w)`."""
        del image
        self.require()
        return free_energy(segmentation)


def free_energy(segmentation: Segmentation) -> Tensor:
    """Return `-ln sum_k exp s_k` on the logits' grid, `(B, h, w)`, float32 or finer."""
    return -at_least_single(segmentation.logits).logsumexp(1)


def check_margins(part: str, margins: Sequence[float] | None) -> None:
    """Refuse margins that are not two energies, the lower first; None is taken.

    Raises:
        OptionError: says so, in the name of `part`.
    """
    if margins is not None and (len(margins) != 2 or margins[0] > margins[1]):
        msg = f"{part}: `margins` are two energies, the lower first, not {list(margins)}."
        raise OptionError(msg)


def hinge_terms(
    energy: Tensor, label: Tensor, low: Tensor | float, high: Tensor | float, weight: float
) -> dict[str, Tensor]:
    """Return both sides of the hinge: how far inliers lie above `low`, negatives below `high`.

    Each is half of `weight` times the mean square.

    Args:
        energy: `(B, h, w)` nats.
        label: `(B, h, w)` on the same grid.
        low: energy that inliers are to stay below.
        high: energy that negatives are to stay above.
        weight: of both sides.
    """
    above = (energy - low).relu().square()
    below = (high - energy).relu().square()
    return {
        "energy_inliers": weight / 2 * masked_mean(above, is_inlier(label)),
        "energy_negatives": weight / 2 * masked_mean(below, label == NEGATIVE),
    }
