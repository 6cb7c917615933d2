"""Embedding density: how unlikely a pixel's features are, by a flow per layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from roadanomaly.detectors.density.layer_density import LayerDensity, VectorDensity, WindowDensity
from roadanomaly.detectors.density.layered import HeldOutDensity, LayerOptions
from roadanomaly.detectors.feature_bank import FeatureBank
from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.flows.map_flow import MapFlow
from roadanomaly.logistic import regress
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import NEGATIVE, Batch, Segmentation

Aggregate = Literal["min", "mean", "logistic"]
AGGREGATES: tuple[str, ...] = ("min", "mean", "logistic")


class EmbeddingDensity(HeldOutDensity):
    """Negative log-likelihood of the features at each location, normalised per layer.

    Frozen features of each layer are centred, projected on their principal components and
    whitened, by statistics of the held-in frames that are taken before the first step; a Real NVP
    learns their density, location by location (1x1 windows), or a flow of maps that of larger
    windows, from vectors drawn in each batch. The negative log-likelihood is standardised by its
    mean and deviation on inlier vectors of the held-out frames. Over layers, `min` takes the
    smallest normalised likelihood, that is the largest normalised negative log-likelihood; `mean`
    their mean; `logistic` a logistic regression on the held-out frames, for which these must hold
    labelled anomalies (label `NEGATIVE`), and which is marked as having used them.

    Args:
        features: maps; one is a single layer. None takes the segmenter's default.
        dimensions: greatest number of principal components, 2 to 64.
        aggregate: over layers: `min`, `mean` or `logistic`.
        couplings: of each flow.
        hidden: width of the couplings' networks.
        window: side of the windows whose density is learned, in cells of the map: 1 for vectors,
            as published; from 2 on a flow of maps in the manner of FastFlow.
        vectors: greatest number of vectors that statistics are taken from; a window counts for its
            cells.
        per_frame: vectors drawn from a frame, or from a crop in a training step.
        balanced: draw equally many vectors of each class of a frame, so that rare classes do not
            count as anomalies.
        noise: deviation of the noise that is added to the whitened vectors in training.
        smooth: side of the square window, in cells of each map, over which the negative
            log-likelihood is averaged: that of the window, if its cells were independent.
        standardise: bring each channel of each frame to mean 0 and deviation 1 first, which takes
            out what another camera or light does to all of a frame.
        encoder: catalogue `name` of an encoder and its options; its maps are taken in place of the
            segmenter's.

    Raises:
        OptionError: a value out of range.

    Source: Blum et al., 2021, The Fishyscapes Benchmark, section 4 (learned embedding density).
    Differs: at most 64 principal components instead of all channels; `smooth`; `standardise`.
    """

    accepts = ("logits",)
    paper = "Blum et al., The Fishyscapes Benchmark, IJCV 2021 (learned embedding density)"

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        features: Sequence[str] | None = None,
        dimensions: int = 64,
        aggregate: Aggregate = "min",
        couplings: int = 4,
        hidden: int = 64,
        window: int = 1,
        vectors: int = 100_000,
        per_frame: int = 300,
        balanced: bool = False,
        noise: float = 0.05,
        smooth: int = 1,
        standardise: bool = False,
        encoder: Mapping[str, Any] | None = None,
    ) -> None:
        if aggregate not in AGGREGATES:
            msg = f"embedding_density: `aggregate` {aggregate!r}; {nearest(aggregate, AGGREGATES)}"
            raise OptionError(msg)
        plan = LayerOptions(
            features,
            encoder,
            dimensions,
            couplings,
            hidden,
            window,
            vectors,
            per_frame,
            balanced,
            noise,
            smooth,
            standardise,
        )
        super().__init__("embedding_density", plan)
        self.aggregate = aggregate
        if aggregate == "logistic":
            self.supervision = "anomalies"  # type: ignore[misc]
        self.strange_seen = False
        self.strange = FeatureBank(vectors, saved=False)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        shared = ("dimensions", "couplings", "hidden", "window", "vectors", "per_frame", "balanced")
        found = self.shared_options(*shared, "noise", "smooth", "standardise")
        return {**found, "aggregate": self.aggregate}

    def attach(self, segmenter: Segmenter) -> None:
        """Build the density of each map."""
        super().attach(segmenter)
        count = len(self.densities)
        self.register_buffer("weight", torch.full((count,), 1 / count))
        self.register_buffer("bias", torch.zeros(()))

    def density(self, width: int) -> LayerDensity:
        """Return the density of vectors, or of windows."""
        plan, size = self.plan, min(self.plan.dimensions, width)
        if plan.window == 1:
            return VectorDensity(width, size, plan.couplings, plan.hidden)
        return WindowDensity(width, MapFlow(size, plan.couplings, plan.hidden), plan.window)

    def begin(self, name: str) -> None:
        """Start with no vectors, no costs, and none of anomalies."""
        super().begin(name)
        self.strange.clear()
        if name == "prepare":
            self.strange_seen = False

    def update(self, segmentation: Segmentation, batch: Batch, name: str) -> None:
        """Draw vectors, for the whitening before training, for the costs after it."""
        super().update(segmentation, batch, name)
        if name == "prepare":
            self.strange_seen |= bool((batch.label == NEGATIVE).any())
        elif self.aggregate == "logistic":
            self.strange.add(self.row_costs(self.drawn(segmentation, batch, anomalies=True)))

    def finish(self, name: str) -> None:
        """Set projection and whitening, or the normalisation and what weighs the layers."""
        super().finish(name)
        if name == "prepare":
            self._require_anomalies(self.strange_seen)

    def normalised(self, costs: Tensor) -> None:
        """Weigh the layers, where a regression does."""
        self._require_anomalies(len(self.strange) > 0)
        if self.aggregate == "logistic":
            weight, bias = regress(self.standard(costs), self.standard(self.strange.rows))
            self.weight.copy_(weight)
            self.bias.copy_(bias)
        self.strange.clear()

    def aggregated(self, costs: Tensor) -> Tensor:
        """Return the largest normalised cost, or the weighted sum."""
        costs = self.standard(costs)
        if self.aggregate == "min":
            return costs.amax(-1)
        with torch.autocast(costs.device.type, enabled=False):
            return costs @ self.weight + self.bias

    def _require_anomalies(self, found: bool) -> None:
        if self.aggregate == "logistic" and not found:
            msg = (
                "embedding_density: `aggregate: logistic` needs labelled anomalies in the frames. "
                "Train on a set that has them, put some in with `negatives: {name: paste, ...}`, "
                "or take `min`."
            )
            raise DataError(msg)
