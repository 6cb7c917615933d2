"""PCA: how far a feature lies from the subspace in which inlier features vary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from roadanomaly.detectors.density.fitted_density import FittedDensity
from roadanomaly.detectors.density.grouping import Condition, Grouping
from roadanomaly.detectors.density.moments import Moments
from roadanomaly.errors import OptionError

LEAST = 64
"""Vectors that a group needs for a subspace of its own."""

CUT = 4.685
"""Residuals beyond so many deviations pull no projection: Tukey's constant, which is 95 %
efficient where all residuals are normal."""

NORMAL = 1.4826
"""Of a normal variable, its deviation over the median of its magnitude."""


class Pca(FittedDensity):
    """Norm of what the leading principal components of inlier features leave of a feature.

    With `robust` the projection of each vector is found again, round by round, with weights:
    channels that deviate much lose theirs (Tukey's biweight, scaled by the median magnitude of the
    vector's residuals), so that an anomaly that changes a part of the channels cannot pull the
    projection towards itself, and its residual stays large there.

    Args:
        features: the segmenter's maps, the finest first; None takes its default.
        encoder: catalogue `name` of an encoder and its options, in place of the segmenter's maps.
        variance: share of the variance that the subspace holds, above 0 and below 1; it has one
            dimension at least, and one fewer than there are channels at most.
        robust: rounds of reweighting; 0 for the orthogonal projection.
        condition: which cells share a subspace: `none`, all; `rows`, those of a band of rows;
            `classes`, those of a predicted class. A group with too few vectors takes that of all.
        bands: of rows.

    Raises:
        OptionError: a value out of range.

    Source: Jackson and Mudholkar, 1979, Control Procedures for Residuals Associated with Principal
    Component Analysis (the Q statistic; here its root); the robust projection as in Black and
    Jepson, 1998, EigenTracking, section 3. Differs: Tukey's function, and its scale is estimated
    for each vector instead of being lowered from step to step.
    """

    paper = "Jackson and Mudholkar, Control Procedures for PCA Residuals, Technometrics 1979"

    mean: Tensor
    basis: Tensor
    moments: Moments

    def __init__(
        self,
        features: Sequence[str] | None = None,
        encoder: Mapping[str, Any] | None = None,
        variance: float = 0.95,
        robust: int = 0,
        condition: Condition = "none",
        bands: int = 8,
    ) -> None:
        if not 0 < variance < 1:
            msg = f"pca: `variance` must lie between 0 and 1, not {variance}."
            raise OptionError(msg)
        if robust < 0:
            msg = f"pca: `robust` is a number of rounds, 0 for none, not {robust}."
            raise OptionError(msg)
        super().__init__(features, encoder, Grouping("pca", condition, bands))
        self.variance, self.robust = variance, robust

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {**super().options(), "variance": self.variance, "robust": self.robust}

    def build(self, width: int, groups: int) -> None:
        """Size the subspaces; columns beyond a subspace's dimension stay 0."""
        self.register_buffer("mean", torch.zeros(groups, width))
        self.register_buffer("basis", torch.zeros(groups, width, width))
        self.moments = Moments(groups, width)

    def clear(self) -> None:
        """Forget the sums."""
        self.moments.clear()

    def add(self, vectors: Tensor, group: Tensor) -> None:
        """Take vectors into the sums."""
        self.moments.add(vectors, group)

    def finish(self, name: str) -> None:
        """Turn the sums into means and leading eigenvectors."""
        del name
        means, covariances = self.moments.summed_up("pca", LEAST)
        self.mean.copy_(means)
        values, columns = torch.linalg.eigh(covariances)
        values, columns = values.flip(-1).clamp_min(0), columns.flip(-1)
        held = values.cumsum(-1) / values.sum(-1, keepdim=True).clamp_min(1e-12)
        width = values.shape[-1]
        counts = ((held < self.variance).sum(-1) + 1).clamp(1, max(1, width - 1))
        kept = torch.arange(width, device=values.device) < counts[:, None]
        self.basis.copy_(columns * kept[:, None])
        self.ready = True

    def cost(self, vectors: Tensor, group: Tensor) -> Tensor:
        """Return `|f - m - W c|`, c the plain or the robust projection."""
        found = torch.zeros_like(vectors[..., 0])
        for number, (mean, basis) in enumerate(zip(self.mean, self.basis, strict=True)):
            offset = vectors - mean
            residual = offset - (offset @ basis) @ basis.T
            for _ in range(self.robust):
                residual = _reprojected(residual, basis)
            found = torch.where(group == number, residual.norm(dim=-1), found)
        return found


def _reprojected(residual: Tensor, basis: Tensor) -> Tensor:
    """Return the residuals `(..., C)` after a step of weighted projection, `c += W^T (v r)`.

    With weights v in 0..1 it lowers the weighted error `sum v r^2` and needs no inverse: it is a
    step along half its gradient, and half its curvature is at most 1.
    """
    size = residual.abs()
    middle = size.sort(-1).values[..., (size.shape[-1] - 1) // 2]
    scale = NORMAL * middle.clamp_min(1e-12)[..., None]
    weight = (1 - (size / (CUT * scale)).square()).clamp_min(0).square()
    return residual - (((weight * residual) @ basis) @ basis.T)
