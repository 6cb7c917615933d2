"""Outlier exposure by energy: low where a known class is, high where a negative is."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from roadanomaly.detectors.hybrid.energy_hinge import EnergyHinge, Moves
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.types import Batch, Segmentation


class EnergyOE(EnergyHinge):
    """The free energy of a network that was fine-tuned by an energy hinge beside its own loss.

    The plain baseline of outlier exposure: no head, no class, no second term.

    Args:
        margins: energies in nats that inliers are to stay below and negatives above. None:
            `quantiles` of the inliers' own energies before training.
        quantiles: that the margins are then.
        weight: of the hinge beside the cross-entropy.
        moves: `all` of the segmenter's parameters, or those of its `last` layer.

    Source: Liu et al., 2020, equations 7 and 8, on pixels, with the authors' weight 0.1 (halved
    here for the two sides). Differs: the margins, which the authors search for each network, are
    by default the network's own.
    """

    paper = "Liu et al., Energy-based Out-of-distribution Detection, NeurIPS 2020 (fine-tuned)"

    def __init__(
        self,
        margins: Sequence[float] | None = None,
        quantiles: Sequence[float] = (0.5, 0.99),
        weight: float = 0.2,
        moves: Moves = "all",
    ) -> None:
        super().__init__(margins, quantiles, weight, moves)

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return both sides of the hinge; the segmenter's own loss comes beside."""
        self.ready = True
        return self.hinge(segmentation, labels_at(batch.label, segmentation))
