"""What densities that learn by gradient share: layers, whitening, drawn places, one flow each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from roadanomaly.detectors.base import Detector, Pass
from roadanomaly.detectors.density.draw_pixels import draw_pixels
from roadanomaly.detectors.density.frame_standard import standardise_frame
from roadanomaly.detectors.density.layer_density import LayerDensity
from roadanomaly.detectors.feature_bank import FeatureBank
from roadanomaly.detectors.feature_source import FeatureSource
from roadanomaly.errors import DataError, OptionError
from roadanomaly.refiners.smoothing import check_window, window_mean
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import NEGATIVE, Answer, Batch, Segmentation, is_inlier

LEAST = 64
"""Vectors without which nothing can be learned."""


@dataclass(frozen=True)
class LayerOptions:
    """The options that all these densities share.

    Args:
        features: the segmenter's maps; None takes its default.
        encoder: of the maps, in place of the segmenter.
        dimensions: greatest number of principal components, 2 to 64.
        couplings: of each flow.
        hidden: width of the couplings' networks.
        window: side of the windows whose density is learned, in cells.
        vectors: greatest number of vectors that statistics are taken from.
        per_frame: vectors drawn from a frame.
        balanced: draw equally many vectors of each class of a frame.
        noise: deviation of the noise that is added to whitened vectors in training.
        smooth: side of the window over which the cost is averaged.
        standardise: bring each channel of each frame to mean 0 and deviation 1 first.
    """

    features: Sequence[str] | None = None
    encoder: Mapping[str, Any] | None = None
    dimensions: int = 64
    couplings: int = 4
    hidden: int = 64
    window: int = 1
    vectors: int = 100_000
    per_frame: int = 300
    balanced: bool = False
    noise: float = 0.05
    smooth: int = 1
    standardise: bool = False

    def check(self, detector: str) -> None:
        """Refuse values that cannot work.

        Raises:
            OptionError: says what is allowed.
        """
        if not 2 <= self.dimensions <= 64:
            msg = f"{detector}: `dimensions` must lie in 2..64, not {self.dimensions}."
            raise OptionError(msg)
        counts = (self.vectors, self.per_frame, self.couplings, self.hidden, self.window)
        if min(counts) < 1 or self.noise < 0:
            msg = (
                f"{detector}: `vectors`, `per_frame`, `couplings`, `hidden` and `window` "
                "must be at least 1 and `noise` must not be negative."
            )
            raise OptionError(msg)
        check_window(detector, "smooth", self.smooth)


class LayeredDensity(Detector):
    """A flow on whitened vectors or windows of each layer, drawn at inliers of each batch.

    Args:
        name: in the catalogue.
        plan: options, checked here.

    Class facts:
        term: what each layer's loss is called in logs, before the layer's name.
    """

    kind = "train"
    term: ClassVar[str] = "nll"
    fit_passes: ClassVar[tuple[Pass, ...]] = (Pass("prepare"),)
    accepts: ClassVar[tuple[Answer, ...]] = ("logits", "evidence")

    densities: nn.ModuleDict
    banks: nn.ModuleDict

    def __init__(self, name: str, plan: LayerOptions) -> None:
        super().__init__()
        plan.check(name)
        self.name, self.plan = name, plan
        self.source = FeatureSource(plan.features, plan.encoder)

    @abstractmethod
    def density(self, width: int) -> LayerDensity:
        """Return the density of a layer of a width."""

    @abstractmethod
    def aggregated(self, costs: Tensor) -> Tensor:
        """Return the score `(...)` of the layers' costs `(..., L)`."""

    def shared_options(self, *names: str) -> dict[str, Any]:
        """Return where the maps come from, and these of the shared options."""
        return {**self.source.options(), **{name: getattr(self.plan, name) for name in names}}

    def attach(self, segmenter: Segmenter) -> None:
        """Build the density of each map."""
        self.source.attach(segmenter)
        widths = self.widths(segmenter)
        self.densities = nn.ModuleDict({key: self.density(one) for key, one in widths.items()})
        size = max(1, self.plan.vectors // self.plan.window**2)
        self.banks = nn.ModuleDict({key: FeatureBank(size, saved=False) for key in widths})

    def widths(self, segmenter: Segmenter) -> dict[str, int]:
        """Return the channels of each layer, by its name."""
        del segmenter
        return dict(zip(self.source.names, self.source.channels, strict=True))

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the layers."""
        return self.source.names or self.source.features

    @property
    def needs(self) -> tuple[str, ...]:
        """The segmenter's maps that are read."""
        return self.source.needs

    def layers(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return what the densities are of, `(B, C, h, w)` each; see `FeatureSource.maps`."""
        maps = self.source.maps(segmentation, image)
        if not self.plan.standardise:
            return maps
        (height, width), (tall, wide) = segmentation.size, segmentation.padded
        covered = (height / tall, width / wide)
        return {key: standardise_frame(one, covered) for key, one in maps.items()}

    def begin(self, name: str) -> None:
        """Start with empty banks."""
        super().begin(name)
        for key in self.banks:
            self._bank(key).clear()

    def update(self, segmentation: Segmentation, batch: Batch, name: str) -> None:
        """Draw vectors for the whitening."""
        del name
        for key, rows in self.drawn(segmentation, batch).items():
            self._bank(key).add(rows)

    def finish(self, name: str) -> None:
        """Set projection and whitening."""
        del name
        key = next(iter(self.banks))
        count, cells = len(self._bank(key)), self.plan.window**2
        if count * cells < LEAST or count < 2:
            what = "vectors" if cells == 1 else "windows"
            msg = (
                f"{self.name}: {count} labelled {what} are too few, "
                f"{max(2, -(-LEAST // cells))} are needed; train on more labelled frames."
            )
            raise DataError(msg)
        for key in self.banks:
            self._layer(key).prepare(self._bank(key).rows)
            self._bank(key).clear()

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return what drawn vectors cost, by layer: `-ln p` in nats a location, but for `term`."""
        self.ready = self.ready or all(one.name == "prepare" for one in self.fit_passes)
        drawn = self.drawn(segmentation, batch)
        noise = self.plan.noise
        return {
            f"{self.term}_{key}": self._layer(key).loss(rows, noise) for key, rows in drawn.items()
        }

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the aggregated cost of the layers, `(B, H, W)`."""
        self.require()
        return self.aggregated(self.cost_maps(segmentation, image))

    def cost_maps(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the smoothed cost of each layer at image size, `(B, H, W, L)`."""
        maps = []
        for key, layer in self.layers(segmentation, image).items():
            cost = window_mean(self._layer(key).cost(layer), self.plan.smooth)
            maps.append(self.source.to_image(segmentation, cost))
        return torch.stack(maps, -1)

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the cost of each level, `(B, H, W)` each, as the score takes it."""
        self.require()
        costs = self.standard(self.cost_maps(segmentation, image)).unbind(-1)
        return dict(zip(self.titles, costs, strict=True))

    @property
    def titles(self) -> tuple[str, ...]:
        """What the columns of `cost_maps` are called in pictures."""
        return tuple(f"cost of {key}" for key in self.densities)

    def standard(self, costs: Tensor) -> Tensor:
        """Return costs `(..., L)` as they are compared with each other; here as they are."""
        return costs

    def drawn(
        self, segmentation: Segmentation, batch: Batch, *, anomalies: bool = False
    ) -> dict[str, Tensor]:
        """Draw the vectors or windows of each layer, all layers at the same places.

        Args:
            segmentation: of the batch; no gradient passes into it.
            batch: with labels.
            anomalies: draw labelled anomalies instead of inliers.
        """
        found = self.layers(segmentation, batch.image)
        maps = {key: one.detach() for key, one in found.items()}
        rows: dict[str, list[Tensor]] = {key: [] for key in maps}
        for index, label in enumerate(batch.label.cpu().long()):
            if anomalies:
                wanted = torch.where(label == NEGATIVE, 0, -1)
            else:
                wanted = label.masked_fill(~is_inlier(label), -1)
            count = max(1, self.plan.per_frame // self.plan.window**2)
            places = draw_pixels(wanted, count, balanced=self.plan.balanced)
            for key, layer in maps.items():
                scale = torch.tensor(layer.shape[-2:]) / torch.tensor(segmentation.padded)
                cells = (places * scale).long().to(layer.device)
                rows[key].append(self._layer(key).take(layer[index], cells))
        return {key: torch.cat(some) for key, some in rows.items()}

    def _layer(self, name: str) -> LayerDensity:
        layer = self.densities[name]
        assert isinstance(layer, LayerDensity)
        return layer

    def _bank(self, name: str) -> FeatureBank:
        bank = self.banks[name]
        assert isinstance(bank, FeatureBank)
        return bank


class HeldOutDensity(LayeredDensity):
    """The same, each layer's cost standardised by its mean and deviation on held-out frames."""

    fit_passes = (Pass("prepare"), Pass("hold_out", held_out=True))

    mean: Tensor
    deviation: Tensor

    def __init__(self, name: str, plan: LayerOptions) -> None:
        super().__init__(name, plan)
        self.costs = FeatureBank(plan.vectors, saved=False)

    def attach(self, segmenter: Segmenter) -> None:
        """Build the densities."""
        super().attach(segmenter)
        self.register_buffer("mean", torch.zeros(len(self.densities)))
        self.register_buffer("deviation", torch.ones(len(self.densities)))

    def begin(self, name: str) -> None:
        """Start with no vectors and no costs."""
        super().begin(name)
        self.costs.clear()

    def update(self, segmentation: Segmentation, batch: Batch, name: str) -> None:
        """Draw vectors, for the whitening before training, for the costs after it."""
        if name == "prepare":
            super().update(segmentation, batch, name)
        else:
            self.costs.add(self.row_costs(self.drawn(segmentation, batch)))

    def finish(self, name: str) -> None:
        """Set projection and whitening, or the normalisation."""
        if name == "prepare":
            super().finish(name)
            return
        costs = self.costs.rows
        if len(costs) < 2:
            msg = (
                f"{self.name}: the held-out frames show {len(costs)} labelled vectors, and "
                "the normalisation is theirs; hold out a larger share, with `held_out`."
            )
            raise DataError(msg)
        self.mean.copy_(costs.mean(0))
        self.deviation.copy_(costs.std(0, correction=0).clamp_min(1e-3))
        self.normalised(costs)
        self.costs.clear()
        self.ready = True

    def normalised(self, costs: Tensor) -> None:
        """Hear the held-out costs `(N, L)` after the normalisation was set; here nothing."""

    def standard(self, costs: Tensor) -> Tensor:
        """Return costs `(..., L)` at mean 0 and deviation 1 over held-out inliers."""
        return (costs - self.mean) / self.deviation

    def row_costs(self, drawn: dict[str, Tensor]) -> Tensor:
        """Return what each layer says of drawn places, `(N, L)` nats."""
        layers = [self._layer(key).row_cost(rows) for key, rows in drawn.items() if len(rows)]
        return torch.stack(layers, -1) if layers else self.mean.new_zeros(0, len(drawn))
