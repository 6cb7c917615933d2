"""DenseHybrid: unlikely under the classifier's joint density, and looks like the negatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.grid import at_logits
from roadanomaly.detectors.hybrid.energy_hinge import check_margins, free_energy, hinge_terms
from roadanomaly.detectors.losses import masked_mean
from roadanomaly.errors import OptionError, nearest
from roadanomaly.segmenters.base import FeatureInfo, Segmenter
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.types import NEGATIVE, Batch, Segmentation, is_inlier

Score = Literal["hybrid", "density", "posterior"]
SCORES: tuple[str, ...] = ("hybrid", "density", "posterior")


class DenseHybrid(Detector):
    """Adds a generative cue, low `ln sum_k exp s_k`, to a discriminative one, high `ln P(out|x)`.

    Args:
        features: maps that the dataset posterior reads; None takes the segmenter's default.
        beta: weight of the negatives' density term. The posterior's weight is `10 beta`.
        hidden: width of a 3x3 convolution before the posterior's last layer, on maps of stride 8
            and above; 0 leaves it out, as in the paper.
        score_by: `"hybrid"`, or one of its halves `"density"`, `"posterior"`, to compare.
        weight: of the posterior's half in the sum; 1 in the paper.
        odds: take `ln P(out|x) - ln P(in|x)` as that half. The paper's `ln P(out|x)` ends at 0, so
            that the density alone ranks what surely is negative.
        margins: energies in nats that inliers are to stay below and negatives above. With them the
            density is learned by the hinge of `energy_oe`, to which ordinary frames of unknown
            classes count too; None takes the paper's term, of negatives alone.
        hinge: weight of that hinge.

    Source: Grcic et al., 2022, DenseHybrid, equations 8 to 13. Differs from the public code:
    void pixels do not train the dataset posterior; a batch without negatives costs nothing
    instead of NaN; `log_softmax` and float32 throughout; the detached moving average, which has
    no gradient, is left out; the head may read several maps: each is projected at its own stride
    and the results are added, which equals one 1x1 convolution of the maps upsampled and stacked;
    the score is computed at the logits' stride and brought to image size, not the logits, which
    makes it cheap.
    """

    kind = "finetune"
    supervision = "negatives"
    paper = "Grcic et al., DenseHybrid: Hybrid Anomaly Detection for Dense Recognition, ECCV 2022"

    heads: nn.ModuleDict

    def __init__(
        self,
        features: Sequence[str] | None = None,
        beta: float = 0.03,
        hidden: int = 0,
        score_by: Score = "hybrid",
        weight: float = 1.0,
        odds: bool = False,
        margins: Sequence[float] | None = None,
        hinge: float = 0.2,
    ) -> None:
        super().__init__()
        if beta < 0:
            msg = f"densehybrid: `beta` must not be negative, got {beta}."
            raise OptionError(msg)
        if score_by not in SCORES:
            msg = f"densehybrid: `score_by` {score_by!r} is unknown; {nearest(score_by, SCORES)}"
            raise OptionError(msg)
        if weight <= 0:
            msg = f"densehybrid: `weight` must be positive, not {weight:g}."
            raise OptionError(msg)
        check_margins("densehybrid", margins)
        if hinge <= 0:
            msg = f"densehybrid: `hinge` must be positive, not {hinge:g}."
            raise OptionError(msg)
        self.features = tuple(features) if features else ()
        self.beta = beta
        self.hidden = hidden
        self.score_by = score_by
        self.weight = weight
        self.odds = odds
        self.margins = None if margins is None else (margins[0], margins[1])
        self.hinge = hinge

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "features": list(self.features),
            "beta": self.beta,
            "hidden": self.hidden,
            "score_by": self.score_by,
            "weight": self.weight,
            "odds": self.odds,
            "margins": None if self.margins is None else list(self.margins),
            "hinge": self.hinge,
        }

    def attach(self, segmenter: Segmenter) -> None:
        """Build one projection for each feature map."""
        self.features = self.features or (segmenter.default_feature,)
        self.heads = nn.ModuleDict(
            {name: self._head(segmenter.feature(name)) for name in self.features}
        )

    def _head(self, info: FeatureInfo) -> nn.Module:
        if not self.hidden or info.stride < 8:
            return nn.Sequential(
                nn.BatchNorm2d(info.channels), nn.ReLU(), nn.Conv2d(info.channels, 2, 1)
            )
        return nn.Sequential(
            nn.Conv2d(info.channels, self.hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(self.hidden),
            nn.ReLU(),
            nn.Conv2d(self.hidden, 2, 1),
        )

    @property
    def needs(self) -> tuple[str, ...]:
        """The maps that the dataset posterior reads."""
        return self.features

    def log_posterior(self, segmentation: Segmentation) -> Tensor:
        """Return `ln P(d|x)`, `(B, 2, h, w)` at the logits' grid; index 1 is "out"."""
        maps = [head(segmentation.features[name]) for name, head in self.heads.items()]
        grown = [at_logits(one, segmentation) for one in maps]
        return torch.stack(grown).sum(0).float().log_softmax(1)

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the negatives' density term and the posterior's cross-entropy."""
        self.ready = True
        label = labels_at(batch.label, segmentation)
        negative = label == NEGATIVE
        outlier = negative.long().masked_fill(~(is_inlier(label) | negative), -100)
        posterior = functional.nll_loss(
            self.log_posterior(segmentation), outlier, ignore_index=-100, reduction="sum"
        )
        return {
            **self.density_terms(segmentation, label),
            "posterior": 10 * self.beta * posterior / (outlier >= 0).sum().clamp_min(1),
        }

    def density_terms(self, segmentation: Segmentation, label: Tensor) -> dict[str, Tensor]:
        """Return what teaches the energy, by the paper's term or by the hinge.

        Args:
            segmentation: with gradients.
            label: `(B, h, w)` on the logits' grid.
        """
        energy = free_energy(segmentation)
        if self.margins is not None:
            return hinge_terms(energy, label, *self.margins, self.hinge)
        return {"density": self.beta * masked_mean(-energy, label == NEGATIVE)}

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `-ln sum_k exp s_k + weight ln P(out|x)`, `(B, H, W)`, or one of the two."""
        return segmentation.to_image(self.native(segmentation, image))

    def native(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the same on the logits' grid, `(B, h, w)`."""
        self.require()
        if self.score_by == "posterior":
            return self.discriminative(segmentation)
        density = free_energy(segmentation)
        if self.score_by == "density":
            return density
        return density + self.weight * self.discriminative(segmentation)

    def discriminative(self, segmentation: Segmentation) -> Tensor:
        """Return `ln P(out|x)`, or the log odds, on the logits' grid, `(B, h, w)`."""
        inside, outside = self.log_posterior(segmentation).unbind(1)
        return outside - inside if self.odds else outside
