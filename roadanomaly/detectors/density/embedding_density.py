"""Embedding density: how unlikely a pixel's features are, by a flow per layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.density.feature_sample import FeatureSample, draw_pixels
from roadanomaly.detectors.density.frame_standard import standardise_frame
from roadanomaly.detectors.density.layer_density import LayerDensity, VectorDensity, WindowDensity
from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.refiners.smoothing import check_window, window_mean
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import NEGATIVE, Batch, Segmentation, is_inlier

Aggregate = Literal["min", "mean", "logistic"]
AGGREGATES: tuple[str, ...] = ("min", "mean", "logistic")
HELD_OUT = 0.1
"""Share of the vectors that the flows do not learn from; the normalisation is theirs."""

LEAST = 64
"""Vectors without which nothing can be fitted."""


class EmbeddingDensity(Detector):
    """Negative log-likelihood of the features at each location, normalised per layer.

    Frozen features of each layer are centred, projected on their principal components and
    whitened; a Real NVP learns their density, location by location (1x1 windows), or a flow of
    maps that of larger windows. The negative log-likelihood is standardised by mean and deviation
    on inlier vectors that the flow did not learn from. Over layers, `min` takes the smallest
    normalised likelihood, that is the largest normalised negative log-likelihood; `mean` their
    mean; `logistic` a logistic regression, for which the fitting data must hold labelled anomalies
    (label `NEGATIVE`), and which is marked as having used them.

    Args:
        features: maps; one is a single layer. None takes the segmenter's default.
        dimensions: greatest number of principal components, 2 to 64.
        aggregate: over layers: `min`, `mean` or `logistic`.
        couplings: of each flow.
        hidden: width of the couplings' networks.
        window: side of the windows whose density is learned, in cells of the map: 1 for vectors,
            as published; from 2 on a flow of maps in the manner of FastFlow.
        vectors: greatest number of vectors to learn from; a window counts for its cells.
        per_frame: vectors drawn from a frame.
        balanced: draw equally many vectors of each class of a frame, so that rare classes do not
            count as anomalies.
        epochs: passes over the vectors.
        noise: deviation of the noise that is added to the whitened vectors in training.
        smooth: side of the square window, in cells of each map, over which the negative
            log-likelihood is averaged: that of the window, if its cells were independent.
        standardise: bring each channel of each frame to mean 0 and deviation 1 first, which takes
            out what another camera or light does to all of a frame.

    Raises:
        OptionError: a value out of range.

    Source: Blum et al., 2021, The Fishyscapes Benchmark, section 4 (learned embedding density).
    Differs: at most 64 principal components instead of all channels; `smooth`; `standardise`.
    """

    kind = "fit"
    paper = "Blum et al., The Fishyscapes Benchmark, IJCV 2021 (learned embedding density)"

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    bias: Tensor
    densities: nn.ModuleDict

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
        epochs: int = 20,
        noise: float = 0.05,
        smooth: int = 1,
        standardise: bool = False,
    ) -> None:
        super().__init__()
        if aggregate not in AGGREGATES:
            msg = f"embedding_density: `aggregate` {aggregate!r}; {nearest(aggregate, AGGREGATES)}"
            raise OptionError(msg)
        if not 2 <= dimensions <= 64:
            msg = f"embedding_density: `dimensions` must lie in 2..64, not {dimensions}."
            raise OptionError(msg)
        if min(vectors, per_frame, epochs, couplings, hidden, window) < 1 or noise < 0:
            msg = (
                "embedding_density: `vectors`, `per_frame`, `epochs`, `couplings`, `hidden` and "
                "`window` must be at least 1 and `noise` must not be negative."
            )
            raise OptionError(msg)
        check_window("embedding_density", "smooth", smooth)
        self.features = tuple(features) if features else ()
        self.dimensions, self.aggregate = dimensions, aggregate
        self.couplings, self.hidden, self.window = couplings, hidden, window
        self.vectors, self.per_frame, self.balanced = vectors, per_frame, balanced
        self.epochs, self.noise = epochs, noise
        self.smooth, self.standardise = smooth, standardise
        if aggregate == "logistic":
            self.supervision = "anomalies"  # type: ignore[misc]
        self._forget()

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "features": list(self.features),
            "dimensions": self.dimensions,
            "aggregate": self.aggregate,
            "couplings": self.couplings,
            "hidden": self.hidden,
            "window": self.window,
            "vectors": self.vectors,
            "per_frame": self.per_frame,
            "balanced": self.balanced,
            "epochs": self.epochs,
            "noise": self.noise,
            "smooth": self.smooth,
            "standardise": self.standardise,
        }

    def attach(self, segmenter: Segmenter) -> None:
        """Build the density of each map."""
        self.features = self.features or (segmenter.default_feature,)
        self.densities = nn.ModuleDict(
            {name: self._density(segmenter.feature(name).channels) for name in self.features}
        )
        count = len(self.features)
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("deviation", torch.ones(count))
        self.register_buffer("weight", torch.full((count,), 1 / count))
        self.register_buffer("bias", torch.zeros(()))

    @property
    def needs(self) -> tuple[str, ...]:
        """The maps whose density is learned."""
        return self.features

    def update(self, segmentation: Segmentation, batch: Batch) -> None:
        """Draw vectors of known pixels, and of labelled anomalies where there are any."""
        maps = {name: self._map(segmentation, name) for name in self.features}
        for index, label in enumerate(batch.label.cpu().long()):
            known = label.masked_fill(~is_inlier(label), -1)
            count = max(1, self.per_frame // self.window**2)
            places = draw_pixels(known, count, balanced=self.balanced)
            self.inliers.add(self._vectors(maps, segmentation.padded, index, places))
            strange = torch.where(label == NEGATIVE, 0, -1)
            places = draw_pixels(strange, count, balanced=False)
            if self.aggregate == "logistic" and len(places):
                self.anomalies.add(self._vectors(maps, segmentation.padded, index, places))

    def finish(self) -> None:
        """Train the flows on the vectors that were drawn."""
        with torch.inference_mode(False), torch.enable_grad():
            rows = {name: value.clone() for name, value in self.inliers.rows().items()}
            strange = {name: value.clone() for name, value in self.anomalies.rows().items()}
            self._fit(rows, strange)
        self._forget()

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the aggregated normalised negative log-likelihood, `(B, H, W)`."""
        self.require()
        maps = []
        for name in self.features:
            cost = self._layer(name).cost(self._map(segmentation, name))
            maps.append(segmentation.to_image(window_mean(cost, self.smooth)))
        return self._aggregated(self._normalised(torch.stack(maps, -1)))

    def _fit(self, rows: dict[str, Tensor], strange: dict[str, Tensor]) -> None:
        count = len(next(iter(rows.values()))) if rows else 0
        if count * self.window**2 < LEAST or count < 2:
            what = "vectors" if self.window == 1 else "windows"
            msg = (
                f"embedding_density: {count} labelled {what} are too few, "
                f"{max(2, -(-LEAST // self.window**2))} are needed; fit on more labelled frames."
            )
            raise DataError(msg)
        if self.aggregate == "logistic" and not strange:
            msg = (
                "embedding_density: `aggregate: logistic` needs labelled anomalies in the data "
                "that it is fitted on. Give such a set, put some in with "
                "`--negatives.name paste`, or take `min`."
            )
            raise DataError(msg)
        held_out = max(1, round(HELD_OUT * count))
        device = self.mean.device
        costs = []
        for name in self.features:
            layer = self._layer(name)
            layer.fit(rows[name][held_out:].to(device), self.epochs, self.noise)
            with torch.no_grad():
                costs.append(layer.row_cost(rows[name][:held_out].to(device)))
        stacked = torch.stack(costs, -1)
        self.mean.copy_(stacked.mean(0))
        self.deviation.copy_(stacked.std(0, correction=0).clamp_min(1e-3))
        if self.aggregate == "logistic":
            self._regress(stacked, strange)
        self.ready = True

    def _regress(self, inliers: Tensor, strange: dict[str, Tensor]) -> None:
        """Fit weights to tell anomalies from inliers, both sides counting alike."""
        with torch.no_grad():
            costs = [
                self._layer(name).row_cost(strange[name].to(inliers)) for name in self.features
            ]
            x = self._normalised(torch.cat([inliers, torch.stack(costs, -1)]))
        target = torch.zeros(len(x), device=x.device)
        target[len(inliers) :] = 1
        balance = torch.where(target > 0, 0.5 / target.sum(), 0.5 / (1 - target).sum())
        weight = self.weight.clone().requires_grad_()
        bias = self.bias.clone().requires_grad_()
        optimiser = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

        def closure() -> float:
            optimiser.zero_grad()
            loss = functional.binary_cross_entropy_with_logits(
                x @ weight + bias, target, balance, reduction="sum"
            )
            loss = loss + 1e-4 * weight.square().sum()
            loss.backward()
            return loss.item()

        optimiser.step(closure)
        self.weight.copy_(weight.detach())
        self.bias.copy_(bias.detach())

    def _map(self, segmentation: Segmentation, name: str) -> Tensor:
        """Return a layer's features `(B, C, h, w)`, standardised if that is asked for."""
        if not self.standardise:
            return segmentation.features[name]
        (height, width), (tall, wide) = segmentation.size, segmentation.padded
        return standardise_frame(segmentation.features[name], (height / tall, width / wide))

    def _vectors(
        self, maps: dict[str, Tensor], padded: tuple[int, int], index: int, places: Tensor
    ) -> dict[str, Tensor]:
        """Return the vector or window of each layer at the cell that holds each place."""
        found = {}
        for name, layer in maps.items():
            one = layer[index]
            scale = torch.tensor(one.shape[-2:]) / torch.tensor(padded)
            cells = (places * scale).long().to(one.device)
            found[name] = self._layer(name).take(one, cells)
        return found

    def _density(self, width: int) -> LayerDensity:
        size = min(self.dimensions, width)
        if self.window == 1:
            return VectorDensity(width, size, self.couplings, self.hidden)
        return WindowDensity(width, size, self.couplings, self.hidden, self.window)

    def _layer(self, name: str) -> LayerDensity:
        layer = self.densities[name]
        assert isinstance(layer, LayerDensity)
        return layer

    def _forget(self) -> None:
        size = max(1, self.vectors // self.window**2)
        self.inliers, self.anomalies = FeatureSample(size), FeatureSample(size)

    def _normalised(self, costs: Tensor) -> Tensor:
        return (costs - self.mean) / self.deviation

    def _aggregated(self, costs: Tensor) -> Tensor:
        return costs.amax(-1) if self.aggregate == "min" else costs @ self.weight + self.bias
