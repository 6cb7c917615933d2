"""PaDiM: a Gaussian of the joined features, shared by all places of a road scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from roadanomaly.detectors.density.fitted_density import FittedDensity, check_share
from roadanomaly.detectors.density.grouping import Condition, Grouping
from roadanomaly.detectors.density.moments import Moments, shrunk
from roadanomaly.errors import OptionError

LEAST = 64
"""Vectors that a group needs for a Gaussian of its own."""


class Padim(FittedDensity):
    """Mahalanobis distance of the joined features to their mean, some channels drawn at random.

    Maps of several levels are brought to the finest one's size and put together; `dimensions` of
    their channels are drawn once and kept. Mean and covariance are streamed in float64 over the
    inlier cells of all frames.

    Args:
        features: the segmenter's maps, the finest first; None takes its default.
        encoder: catalogue `name` of an encoder and its options, in place of the segmenter's maps.
        dimensions: greatest number of channels that are drawn.
        shrinkage: in 0..1; the covariance is `(1 - shrinkage) C + shrinkage tr(C)/d I`.
        condition: which cells share a Gaussian: `none`, all; `rows`, those of a band of rows;
            `classes`, those of a predicted class. A group with too few vectors takes that of all.
        bands: of rows.

    Raises:
        OptionError: a value out of range.

    Source: Defard et al., 2021, PaDiM, section 3. Differs: no Gaussian a position, since nothing
    has its place in a road scene; shrinkage relative to the mean variance in place of 0.01 I, so
    that features of any scale will do.
    """

    paper = "Defard et al., PaDiM: a Patch Distribution Modeling Framework, ICPR 2021"

    chosen: Tensor
    mean: Tensor
    precision: Tensor
    moments: Moments

    def __init__(
        self,
        features: Sequence[str] | None = None,
        encoder: Mapping[str, Any] | None = None,
        dimensions: int = 100,
        shrinkage: float = 0.01,
        condition: Condition = "none",
        bands: int = 8,
    ) -> None:
        if dimensions < 1:
            msg = f"padim: `dimensions` must be at least 1, not {dimensions}."
            raise OptionError(msg)
        check_share("padim", "shrinkage", shrinkage)
        super().__init__(features, encoder, Grouping("padim", condition, bands))
        self.dimensions, self.shrinkage = dimensions, shrinkage

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        own = {"dimensions": self.dimensions, "shrinkage": self.shrinkage}
        return {**super().options(), **own}

    def build(self, width: int, groups: int) -> None:
        """Draw the channels and size the Gaussians."""
        count = min(self.dimensions, width)
        self.register_buffer("chosen", torch.randperm(width)[:count].sort().values)
        self.register_buffer("mean", torch.zeros(groups, count))
        self.register_buffer("precision", torch.zeros(groups, count, count))
        self.moments = Moments(groups, count)

    def clear(self) -> None:
        """Forget the sums."""
        self.moments.clear()

    def add(self, vectors: Tensor, group: Tensor) -> None:
        """Take the drawn channels into the sums."""
        self.moments.add(vectors[:, self.chosen], group)

    def finish(self, name: str) -> None:
        """Turn the sums into means and inverse covariances."""
        del name
        means, covariances = self.moments.summed_up("padim", LEAST)
        self.mean.copy_(means)
        inverse = torch.linalg.pinv(shrunk(covariances, self.shrinkage), hermitian=True)
        self.precision.copy_(inverse)
        self.ready = True

    def cost(self, vectors: Tensor, group: Tensor) -> Tensor:
        """Return `sqrt((f - m_g)^T P_g (f - m_g))`."""
        vectors = vectors[..., self.chosen]
        found = torch.zeros_like(vectors[..., 0])
        for number, (mean, precision) in enumerate(zip(self.mean, self.precision, strict=True)):
            offset = vectors - mean
            square = ((offset @ precision) * offset).sum(-1)
            found = torch.where(group == number, square, found)
        return found.clamp_min(0).sqrt()
