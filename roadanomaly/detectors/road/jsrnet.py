"""JSRNet: what a decoder that knows roads alone cannot rebuild, coupled with the logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.detectors.road.ground_labels import (
    ANOMALY,
    NORMAL,
    reconstruction_loss,
    two_way_loss,
)
from roadanomaly.detectors.road.road_detector import RoadDetector, RoadOptions
from roadanomaly.detectors.ssim import reconstruction_error
from roadanomaly.errors import OptionError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Batch, Segmentation

WEIGHT = 0.5
"""Of the reconstruction's term."""


class JSRNet(RoadDetector):
    """Reconstructs the road from a narrow bottleneck; elsewhere it learns to fail.

    With the image x and its reconstruction y, the error is `e = 1 - mean_c min(|SSIM_c(x, y)|, 1)`.
    A small network reads the segmenter's logits and e, and says at each pixel whether it is road.
    The loss is its cross-entropy and `0.5 (mean_road relu(e - 0.001) + mean_anomaly relu(0.999 -
    e))`. Road and sidewalk are normal; void, building and sky count for nothing; every other class
    and every negative is an anomaly.

    Args:
        feature: the segmenter's map that is squeezed; None takes the widest of stride 16, or of
            the stride nearest to it.
        bottleneck: channels that the reconstruction has to pass.
        width: of each branch of the atrous pyramid before it.
        widths: of the decoder's blocks, from stride 8 to stride 1.
        hidden: channels of the coupling.
        last_relu: clip the two outputs at 0 after the last BatchNorm, as published; then a pixel
            where both are clipped is undecided.
        normal: classes of the ground, by name or index; None takes road, sidewalk and pavement.
        ignored: classes that count for nothing; None takes building, sky and guard rail.

    Raises:
        OptionError: a value out of range, a class that there is not, or a network without road.

    Source: Vojir, Sipka, Aljundi, Chumerin, Reino, Matas, 2021, Road Anomaly Detection by Partial
    Image Reconstruction with Segmentation Coupling, equations 1 to 4. Differs: any segmenter with a
    feature map in place of DeepLabV3 on ResNet-101; void is never an anomaly; the score is the
    difference of the two outputs, which orders pixels as the published softmax does and keeps its
    digits near 1; the reconstruction passes a sigmoid; SSIM repeats the pixels of the border.
    """

    paper = (
        "Vojir et al., Road Anomaly Detection by Partial Image Reconstruction with "
        "Segmentation Coupling, ICCV 2021"
    )

    coupling: nn.Sequential

    def __init__(
        self,
        feature: str | None = None,
        bottleneck: int = 4,
        width: int = 256,
        widths: Sequence[int] = (128, 64, 32, 16),
        hidden: int = 8,
        last_relu: bool = True,
        normal: Sequence[str | int] | None = None,
        ignored: Sequence[str | int] | None = None,
    ) -> None:
        super().__init__(RoadOptions(feature, bottleneck, width, widths, normal, ignored))
        if min(self.plan.least, hidden) < 1:
            msg = (
                "jsrnet: `bottleneck`, `width`, `hidden` and `widths` must be at least 1, not "
                f"{bottleneck}, {width}, {hidden} and {list(widths)}."
            )
            raise OptionError(msg)
        self.hidden = hidden
        self.last_relu = last_relu

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {**super().options(), "hidden": self.hidden, "last_relu": self.last_relu}

    def attach(self, segmenter: Segmenter) -> None:
        """Build reconstruction and coupling."""
        super().attach(segmenter)
        self.coupling = nn.Sequential(
            nn.Conv2d(len(segmenter.classes) + 1, self.hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(self.hidden),
            nn.ReLU(),
            nn.Conv2d(self.hidden, 2, 1, bias=False),
            nn.BatchNorm2d(2),
            nn.ReLU() if self.last_relu else nn.Identity(),
        )

    def couple(self, segmentation: Segmentation, error: Tensor) -> Tensor:
        """Return the outputs of anomaly and ground, `(B, 2, H, W)`.

        Args:
            segmentation: of the image.
            error: of its reconstruction, `(B, H, W)`.
        """
        logits = segmentation.class_logits(segmentation.image_logits())
        return self.coupling(torch.cat([logits, error[:, None]], 1))

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the cross-entropy of the coupling and the two-sided reconstruction term."""
        self.ready = True
        error = reconstruction_error(batch.image, self.reconstruct(segmentation))
        target = self.labels.targets(batch.label)
        return {
            "coupling": two_way_loss(self.couple(segmentation, error), target),
            "reconstruction": WEIGHT * reconstruction_loss(error, target),
        }

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the output of anomaly less that of ground, `(B, H, W)`."""
        self.require()
        error = reconstruction_error(image, self.reconstruct(segmentation))
        outputs = self.couple(segmentation, error).float()
        return outputs[:, ANOMALY] - outputs[:, NORMAL]

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the reconstruction, `(B, 3, H, W)` in 0..1, and its error, `(B, H, W)` in 0..1."""
        self.require()
        reconstruction = self.reconstruct(segmentation)
        error = reconstruction_error(image, reconstruction)
        return {"reconstruction": reconstruction, "reconstruction error": error}
