"""A learned correction of a score: what the network's features say of its errors on a road."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.errors import OptionError
from roadanomaly.refiners.base import Refiner
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Segmentation

LOGITS = "logits"
"""Stands among the maps for what the segmenter says of its classes."""

FLATTEST = 1e-6
"""Least variance of a channel that is divided by it; a flatter one says nothing."""


class Correction(Refiner):
    """Adds to the score what a small network reads from the segmenter's features and logits.

    Each map is brought to mean 0 and deviation 1 a channel, projected at its own stride, and the
    results are added at the grid of the score; a ReLU and one more 1x1 convolution give the
    correction. It begins as 0, so the score is that of the detector until something was learned:
    `roadanomaly adapt` does it, on a person's own roads.

    Args:
        features: maps beside the logits; None takes the segmenter's default.
        hidden: width of the projections.
        learned_from: what it learned from beside ordinary roads, as `Detector.supervision`.

    Raises:
        OptionError: a width below 1.
    """

    grid = "native"
    reads_segmentation = True

    def __init__(
        self,
        features: Sequence[str] | None = None,
        hidden: int = 32,
        learned_from: str = "none",
    ) -> None:
        super().__init__()
        if hidden < 1:
            msg = f"correction: `hidden` must be at least 1, not {hidden}."
            raise OptionError(msg)
        self.features = tuple(features) if features is not None else None
        self.hidden = hidden
        self.learned_from = learned_from

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        features = None if self.features is None else list(self.features)
        return {
            "features": features,
            "hidden": self.hidden,
            "learned_from": self.learned_from,
        }

    def attach(self, segmenter: Segmenter) -> None:
        """Build a projection for each map; the last layer is 0."""
        if self.features is None:
            self.features = (segmenter.default_feature,)
        widths = {LOGITS: len(segmenter.classes)}
        widths |= {name: segmenter.feature(name).channels for name in self.features}
        self.scales = nn.ModuleDict(
            {name: nn.BatchNorm2d(width, affine=False) for name, width in widths.items()}
        )
        self.projections = nn.ModuleDict(
            {name: nn.Conv2d(width, self.hidden, 1) for name, width in widths.items()}
        )
        for scale in self.scales.values():
            scale.requires_grad_(False).eval()
        self.last = nn.Conv2d(self.hidden, 1, 1)
        for one in self.last.parameters():
            nn.init.zeros_(one)

    @property
    def needs(self) -> tuple[str, ...]:
        """The maps beside the logits."""
        return self.features or ()

    def train(self, mode: bool = True) -> Correction:
        """Set the mode; the scales stay what `standardise` has measured."""
        super().train(mode)
        for scale in self.scales.values():
            scale.eval()
        return self

    @torch.no_grad()
    def standardise(self, seen: Iterable[Segmentation]) -> None:
        """Measure mean and variance of each map's channels.

        Args:
            seen: what the segmenter said of some images, at least one.
        """
        sums: dict[str, list[Tensor]] = {name: [] for name in self.scales}
        for segmentation in seen:
            for name, kept in sums.items():
                values = self._map(segmentation, name).double()
                moments = values.mean((0, 2, 3)), values.square().mean((0, 2, 3))
                kept.append(torch.stack(moments))
        for name, kept in sums.items():
            mean, square = torch.stack(kept).mean(0)
            scale = self.scales[name]
            assert isinstance(scale, nn.BatchNorm2d)
            scale.get_buffer("running_mean").copy_(mean)
            variance = (square - mean.square()).clamp_min(FLATTEST)
            scale.get_buffer("running_var").copy_(variance)

    def forward(self, score: Tensor, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the score with its correction, `(B, h, w)`."""
        del image
        return score + self.correction(segmentation, (score.shape[-2], score.shape[-1]))

    def correction(self, segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
        """Return what is added, `(B, h, w)`.

        Args:
            segmentation: with the maps that are needed.
            size: height and width of the score's grid: that of the images, or one that covers their
                padding too, as maps do.
        """
        total: Tensor | None = None
        for name, projection in self.projections.items():
            part = projection(self.scales[name](self._map(segmentation, name)))
            part = _brought(part, segmentation, size)
            total = part if total is None else total + part
        assert total is not None
        return self.last(total.relu())[:, 0].float()

    def _map(self, segmentation: Segmentation, name: str) -> Tensor:
        if name == LOGITS:
            return segmentation.class_logits(segmentation.logits)
        return segmentation.features[name].float()


def _brought(part: Tensor, segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
    """Bring `(B, C, h, w)`, which covers the images' padding, to the images or to another grid."""
    if size == segmentation.size:
        return segmentation.to_image(part)
    if part.shape[-2:] == size:
        return part
    return functional.interpolate(
        part, size=size, mode="bilinear", align_corners=segmentation.align_corners
    )
