"""Embedding density: how unlikely a pixel's features are, by a flow per layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from roadanomaly.detectors.base import Detector, Pass
from roadanomaly.detectors.density.draw_pixels import draw_pixels
from roadanomaly.detectors.density.frame_standard import standardise_frame
from roadanomaly.detectors.density.layer_density import LayerDensity, VectorDensity, WindowDensity
from roadanomaly.detectors.feature_bank import FeatureBank
from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.logistic import regress
from roadanomaly.refiners.smoothing import check_window, window_mean
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import NEGATIVE, Batch, Segmentation, is_inlier

Aggregate = Literal["min", "mean", "logistic"]
AGGREGATES: tuple[str, ...] = ("min", "mean", "logistic")
LEAST = 64
"""Vectors without which nothing can be learned."""


class EmbeddingDensity(Detector):
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

    Raises:
        OptionError: a value out of range.

    Source: Blum et al., 2021, The Fishyscapes Benchmark, section 4 (learned embedding density).
    Differs: at most 64 principal components instead of all channels; `smooth`; `standardise`.
    """

    kind = "train"
    fit_passes = (Pass("prepare"), Pass("hold_out", held_out=True))
    paper = "Blum et al., The Fishyscapes Benchmark, IJCV 2021 (learned embedding density)"

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    bias: Tensor
    densities: nn.ModuleDict
    banks: nn.ModuleDict

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
    ) -> None:
        super().__init__()
        if aggregate not in AGGREGATES:
            msg = f"embedding_density: `aggregate` {aggregate!r}; {nearest(aggregate, AGGREGATES)}"
            raise OptionError(msg)
        if not 2 <= dimensions <= 64:
            msg = f"embedding_density: `dimensions` must lie in 2..64, not {dimensions}."
            raise OptionError(msg)
        if min(vectors, per_frame, couplings, hidden, window) < 1 or noise < 0:
            msg = (
                "embedding_density: `vectors`, `per_frame`, `couplings`, `hidden` and `window` "
                "must be at least 1 and `noise` must not be negative."
            )
            raise OptionError(msg)
        check_window("embedding_density", "smooth", smooth)
        self.features = tuple(features) if features else ()
        self.dimensions, self.aggregate = dimensions, aggregate
        self.couplings, self.hidden, self.window = couplings, hidden, window
        self.vectors, self.per_frame, self.balanced = vectors, per_frame, balanced
        self.noise, self.smooth, self.standardise = noise, smooth, standardise
        if aggregate == "logistic":
            self.supervision = "anomalies"  # type: ignore[misc]
        self.strange_seen = False
        self.costs, self.strange = (FeatureBank(vectors, saved=False) for _ in range(2))

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
        size = max(1, self.vectors // self.window**2)
        self.banks = nn.ModuleDict({name: FeatureBank(size, saved=False) for name in self.features})
        count = len(self.features)
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("deviation", torch.ones(count))
        self.register_buffer("weight", torch.full((count,), 1 / count))
        self.register_buffer("bias", torch.zeros(()))

    @property
    def needs(self) -> tuple[str, ...]:
        """The maps whose density is learned."""
        return self.features

    def update(self, segmentation: Segmentation, batch: Batch, name: str) -> None:
        """Draw vectors, for the whitening before training, for the costs after it."""
        inliers = self._drawn(segmentation, batch)
        if name == "prepare":
            self.strange_seen |= bool((batch.label == NEGATIVE).any())
            for key, rows in inliers.items():
                self._bank(key).add(rows)
            return
        self.costs.add(self._costs(inliers))
        if self.aggregate == "logistic":
            self.strange.add(self._costs(self._drawn(segmentation, batch, anomalies=True)))

    def finish(self, name: str) -> None:
        """Set projection and whitening, or the normalisation and what weighs the layers."""
        if name == "prepare":
            self._prepare()
        else:
            self._normalise()

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the negative log-likelihood of drawn vectors, in nats a location, by layer."""
        drawn = self._drawn(segmentation, batch)
        return {
            f"nll_{key}": self._layer(key).loss(rows, self.noise) for key, rows in drawn.items()
        }

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the aggregated normalised negative log-likelihood, `(B, H, W)`."""
        self.require()
        maps = []
        for name in self.features:
            cost = self._layer(name).cost(self._map(segmentation, name))
            maps.append(segmentation.to_image(window_mean(cost, self.smooth)))
        return self._aggregated(self._normalised(torch.stack(maps, -1)))

    def _prepare(self) -> None:
        count = len(self._bank(self.features[0]))
        if count * self.window**2 < LEAST or count < 2:
            what = "vectors" if self.window == 1 else "windows"
            msg = (
                f"embedding_density: {count} labelled {what} are too few, "
                f"{max(2, -(-LEAST // self.window**2))} are needed; train on more labelled frames."
            )
            raise DataError(msg)
        self._require_anomalies(self.strange_seen)
        for key in self.features:
            self._layer(key).prepare(self._bank(key).rows)
            self._bank(key).clear()

    def _require_anomalies(self, found: bool) -> None:
        if self.aggregate == "logistic" and not found:
            msg = (
                "embedding_density: `aggregate: logistic` needs labelled anomalies in the frames. "
                "Train on a set that has them, put some in with `negatives: {name: paste, ...}`, "
                "or take `min`."
            )
            raise DataError(msg)

    def _normalise(self) -> None:
        costs, strange = self.costs.rows, self.strange.rows
        if len(costs) < 2:
            msg = (
                f"embedding_density: the held-out frames show {len(costs)} labelled vectors, and "
                "the normalisation is theirs; hold out a larger share, with `held_out`."
            )
            raise DataError(msg)
        self._require_anomalies(len(strange) > 0)
        self.mean.copy_(costs.mean(0))
        self.deviation.copy_(costs.std(0, correction=0).clamp_min(1e-3))
        if self.aggregate == "logistic":
            weight, bias = regress(self._normalised(costs), self._normalised(strange))
            self.weight.copy_(weight)
            self.bias.copy_(bias)
        self.costs.clear()
        self.strange.clear()
        self.ready = True

    def _map(self, segmentation: Segmentation, name: str) -> Tensor:
        """Return a layer's features `(B, C, h, w)`, standardised if that is asked for."""
        if not self.standardise:
            return segmentation.features[name]
        (height, width), (tall, wide) = segmentation.size, segmentation.padded
        return standardise_frame(segmentation.features[name], (height / tall, width / wide))

    def _drawn(
        self, segmentation: Segmentation, batch: Batch, *, anomalies: bool = False
    ) -> dict[str, Tensor]:
        """Draw the vectors or windows of each layer, all layers at the same places.

        Args:
            segmentation: of the batch; no gradient passes into it.
            batch: with labels.
            anomalies: draw labelled anomalies instead of inliers.
        """
        maps = {key: self._map(segmentation, key).detach() for key in self.features}
        found: dict[str, list[Tensor]] = {key: [] for key in self.features}
        for index, label in enumerate(batch.label.cpu().long()):
            if anomalies:
                wanted = torch.where(label == NEGATIVE, 0, -1)
            else:
                wanted = label.masked_fill(~is_inlier(label), -1)
            count = max(1, self.per_frame // self.window**2)
            places = draw_pixels(wanted, count, balanced=self.balanced)
            for key, layer in maps.items():
                scale = torch.tensor(layer.shape[-2:]) / torch.tensor(segmentation.padded)
                cells = (places * scale).long().to(layer.device)
                found[key].append(self._layer(key).take(layer[index], cells))
        return {key: torch.cat(rows) for key, rows in found.items()}

    def _costs(self, drawn: dict[str, Tensor]) -> Tensor:
        """Return what each layer says of drawn places, `(N, L)` nats."""
        layers = [self._layer(key).row_cost(rows) for key, rows in drawn.items() if len(rows)]
        return torch.stack(layers, -1) if layers else self.mean.new_zeros(0, len(drawn))

    def _density(self, width: int) -> LayerDensity:
        size = min(self.dimensions, width)
        if self.window == 1:
            return VectorDensity(width, size, self.couplings, self.hidden)
        return WindowDensity(width, size, self.couplings, self.hidden, self.window)

    def _layer(self, name: str) -> LayerDensity:
        layer = self.densities[name]
        assert isinstance(layer, LayerDensity)
        return layer

    def _bank(self, name: str) -> FeatureBank:
        bank = self.banks[name]
        assert isinstance(bank, FeatureBank)
        return bank

    def _normalised(self, costs: Tensor) -> Tensor:
        return (costs - self.mean) / self.deviation

    def _aggregated(self, costs: Tensor) -> Tensor:
        if self.aggregate == "min":
            return costs.amax(-1)
        with torch.autocast(costs.device.type, enabled=False):
            return costs @ self.weight + self.bias
