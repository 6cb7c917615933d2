"""GMMSeg: a mixture of Gaussians a class, by EM, in place of the classifier."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.detectors.base import Detector, Pass
from roadanomaly.detectors.density.draw_cells import draw_cells
from roadanomaly.detectors.density.projection import Whitening
from roadanomaly.detectors.feature_bank import FeatureBank
from roadanomaly.detectors.mixture import (
    Mixture,
    drawn_start,
    expectation_maximisation,
    log_densities,
)
from roadanomaly.errors import DataError, OptionError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Batch, Segmentation

FLOOR = 1e-3
"""Added to variances, where those of all vectors together are 1."""

ABSENT = -1e30
"""Log density of a class without a mixture."""


class GMMSeg(Detector):
    """Low density under the mixtures of all known classes; the likeliest mixture is the class.

    Frozen features are brought to their principal components and whitened. Each class has a mixture
    of diagonal Gaussians there, found by EM on vectors drawn from the held-in frames, alike from
    all classes. Their log densities take the place of the network's logits, so that class maps and
    mIoU are those of the mixtures; the score is `-max_k ln p(x | k)`.

    Args:
        feature: map that the densities are of; None takes the segmenter's default.
        components: of each mixture.
        dimensions: greatest number of principal components.
        vectors: of each class, at most.
        per_frame: vectors drawn from a frame, alike from its classes.
        iterations: of EM.
        min_vectors: that a class needs to have a mixture.

    Raises:
        OptionError: a value out of range.

    Source: Liang et al., 2022: 5 components, equal priors of classes. Differs: the features stay
    as the network has them, where the authors train features and a projection by the cross-entropy
    of the densities beside an online EM with Sinkhorn balancing and a memory; principal components
    take the place of that projection.
    """

    kind = "fit"
    fit_passes = (Pass("vectors"),)
    accepts = ("logits", "evidence")
    reads_classes = True
    asks = ("answer",)
    paper = "Liang et al., GMMSeg: Gaussian Mixture based Generative Semantic Segmentation " + (
        "Models, NeurIPS 2022"
    )

    whitening: Whitening
    banks: nn.ModuleList
    log_weights: Tensor
    means: Tensor
    log_variances: Tensor
    present: Tensor

    def __init__(
        self,
        feature: str | None = None,
        components: int = 5,
        dimensions: int = 64,
        vectors: int = 5000,
        per_frame: int = 500,
        iterations: int = 50,
        min_vectors: int = 50,
    ) -> None:
        super().__init__()
        if min(components, dimensions, vectors, per_frame, iterations, min_vectors) < 1:
            msg = (
                "gmmseg: `components`, `dimensions`, `vectors`, `per_frame`, `iterations` and "
                "`min_vectors` must be at least 1."
            )
            raise OptionError(msg)
        self.feature, self.components, self.dimensions = feature, components, dimensions
        self.vectors, self.per_frame = vectors, per_frame
        self.iterations, self.min_vectors = iterations, min_vectors

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "feature": self.feature,
            "components": self.components,
            "dimensions": self.dimensions,
            "vectors": self.vectors,
            "per_frame": self.per_frame,
            "iterations": self.iterations,
            "min_vectors": self.min_vectors,
        }

    def attach(self, segmenter: Segmenter) -> None:
        """Size the mixtures by the classes and the feature's width."""
        self.feature = self.feature or segmenter.default_feature
        width, classes = segmenter.feature(self.feature).channels, len(segmenter.classes)
        size = min(width, self.dimensions)
        self.whitening = Whitening(width, size)
        banks = (FeatureBank(self.vectors, saved=False) for _ in range(classes))
        self.banks = nn.ModuleList(banks)
        self.register_buffer("log_weights", torch.zeros(classes, self.components))
        self.register_buffer("means", torch.zeros(classes, self.components, size))
        self.register_buffer("log_variances", torch.zeros(classes, self.components, size))
        self.register_buffer("present", torch.zeros(classes, dtype=torch.bool))

    @property
    def needs(self) -> tuple[str, ...]:
        """The map that the densities are of."""
        return (self.feature,) if self.feature else ()

    def look(self, segmenter: Segmenter, image: Tensor) -> Segmentation:
        """Segment; once fitted, the log densities are the logits."""
        found = segmenter(image, self.needs)
        if not self.ready:
            return found
        densities = self.densities(found.features[self.needs[0]])
        return replace(found, logits=densities, kind="logits", masks=None, extra=None)

    def densities(self, feature: Tensor) -> Tensor:
        """Return the log density of each class, `(B, C, h, w)` to `(B, K, h, w)` float32."""
        mixture = Mixture(self.log_weights, self.means, self.log_variances)
        found = log_densities(self.whitening(feature.movedim(1, -1)), mixture)
        return found.masked_fill(~self.present, ABSENT).movedim(-1, 1)

    def begin(self, name: str) -> None:
        """Start with empty banks."""
        super().begin(name)
        for bank in self._banks():
            bank.clear()

    def update(self, segmentation: Segmentation, batch: Batch, name: str) -> None:
        """Draw vectors of each class."""
        del name
        feature = segmentation.features[self.needs[0]]
        vectors, label = draw_cells(
            feature, segmentation, batch.label, self.per_frame, balanced=True
        )
        for number, bank in enumerate(self._banks()):
            bank.add(vectors[label == number])

    def finish(self, name: str) -> None:
        """Whiten, and fit a mixture to each class that has enough vectors.

        Raises:
            DataError: no class has.
        """
        del name
        banks = self._banks()
        enough = [len(bank) >= self.min_vectors for bank in banks]
        if not any(enough):
            msg = (
                f"gmmseg: no class has {self.min_vectors} labelled cells; fit on more labelled "
                "frames, or lower `min_vectors`."
            )
            raise DataError(msg)
        self.whitening.fit(torch.cat([bank.rows for bank in banks if len(bank)]))
        for number, bank in enumerate(banks):
            self.present[number] = enough[number]
            if enough[number]:
                self._fit(number, self.whitening(bank.rows))
            bank.clear()
        self.ready = True

    def _fit(self, number: int, vectors: Tensor) -> None:
        start = drawn_start(vectors, self.components, FLOOR)
        found = expectation_maximisation(vectors, start, self.iterations, FLOOR)
        self.log_weights[number] = found.log_weights
        self.means[number] = found.means
        self.log_variances[number] = found.log_variances

    def _banks(self) -> list[FeatureBank]:
        return [bank for bank in self.banks if isinstance(bank, FeatureBank)]

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `-max_k ln p(x | k)`, `(B, H, W)`."""
        return segmentation.to_image(self.native(segmentation, image))

    def native(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the same on the feature's grid, `(B, h, w)`."""
        del image
        self.require()
        return -segmentation.logits.float().amax(1)
