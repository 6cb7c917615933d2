"""Reverse distillation: a student that rebuilds a teacher's features from a narrow code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.feature_source import FeatureSource
from roadanomaly.detectors.losses import masked_mean
from roadanomaly.errors import OptionError
from roadanomaly.refiners.blur import check_sigma, gaussian_mean
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Batch, Segmentation, is_inlier


class ReverseDistillation(Detector):
    """`sum_l 1 - cos(t_l, s_l)` of a teacher's features and a student's, brought to image size.

    The teacher's levels, which stay as they are, are put together at the coarsest one's size and
    squeezed into a code; from it the student rebuilds each level. It learns on inliers alone, so
    that it rebuilds nothing else.

    Args:
        features: the segmenter's maps, the finest first; None takes its default.
        encoder: catalogue `name` of an encoder and its options, the teacher in place of the
            segmenter.
        bottleneck: channels of the code.
        width: channels of the student at each level.
        sigma: deviation of the Gaussian that the score is blurred by, in pixels; 0 for none.

    Raises:
        OptionError: a value out of range.

    Source: Deng and Li, 2022, Anomaly Detection via Reverse Distillation from One-Class Embedding,
    section 3. Differs: any teacher; a student of two convolutions a level in place of a mirrored
    residual network; the code is the coarsest level's size and not half of it.
    """

    kind = "train"
    accepts = ("logits", "evidence")
    paper = "Deng and Li, Anomaly Detection via Reverse Distillation, CVPR 2022"

    code: nn.Sequential
    levels: nn.ModuleList
    answers: nn.ModuleList

    def __init__(
        self,
        features: Sequence[str] | None = None,
        encoder: Mapping[str, Any] | None = None,
        bottleneck: int = 32,
        width: int = 64,
        sigma: float = 4.0,
    ) -> None:
        super().__init__()
        if min(bottleneck, width) < 1:
            msg = (
                "reverse_distillation: `bottleneck` and `width` must be at least 1, not "
                f"{bottleneck} and {width}."
            )
            raise OptionError(msg)
        if sigma:
            check_sigma("reverse_distillation", sigma)
        self.source = FeatureSource(features, encoder)
        self.bottleneck, self.width, self.sigma = bottleneck, width, sigma

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        own = {"bottleneck": self.bottleneck, "width": self.width, "sigma": self.sigma}
        return {**self.source.options(), **own}

    def attach(self, segmenter: Segmenter) -> None:
        """Build the student for the teacher's levels."""
        self.source.attach(segmenter)
        channels, width = self.source.channels, self.width
        self.code = nn.Sequential(
            nn.Conv2d(sum(channels), width, 1), nn.ReLU(), nn.Conv2d(width, self.bottleneck, 1)
        )
        entering = [self.bottleneck, *[width] * (len(channels) - 1)]
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(one, width, 3, padding=1), nn.ReLU()) for one in entering
        )
        self.answers = nn.ModuleList(nn.Conv2d(width, one, 1) for one in reversed(channels))

    @property
    def needs(self) -> tuple[str, ...]:
        """The teacher's maps, where it is the segmenter."""
        return self.source.needs

    def differences(self, segmentation: Segmentation, image: Tensor) -> list[Tensor]:
        """Return `1 - cos` at each place of each level, `(B, h, w)` float32 in 0..2."""
        taught = [one.detach() for one in self.source.maps(segmentation, image).values()]
        coarse = list(reversed(taught))
        # half a cell inside for every network: what students were trained with stays theirs
        x = self.code(self.source.joined(replace(segmentation, align_corners=False), coarse))
        found = []
        for level, answer, teacher in zip(self.levels, self.answers, coarse, strict=True):
            size = (teacher.shape[-2], teacher.shape[-1])
            if tuple(x.shape[-2:]) != size:
                x = functional.interpolate(x, size=size, mode="bilinear")
            x = level(x)
            found.append(1 - _cosine(answer(x), teacher))
        return found

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the mean difference at inliers of each level, coarse levels first."""
        self.ready = True
        terms = {}
        found = self.differences(segmentation, batch.image)
        for name, difference in zip(reversed(self.source.names), found, strict=True):
            label = self.source.labels(segmentation, batch.label, difference[:, None])
            terms[f"cosine_{name}"] = masked_mean(difference, is_inlier(label))
        return terms

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the sum over levels, `(B, H, W)`."""
        self.require()
        found = self.differences(segmentation, image)
        grown = [self.source.to_image(segmentation, one) for one in found]
        score = torch.stack(grown).sum(0)
        if not self.sigma:
            return score
        with torch.autocast(score.device.type, enabled=False):
            return gaussian_mean(score, 2 * round(3 * self.sigma) + 1, self.sigma)

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return each level's difference, `(B, H, W)`, coarse levels first."""
        self.require()
        found = zip(reversed(self.source.names), self.differences(segmentation, image), strict=True)
        return {f"1 - cosine, {key}": self.source.to_image(segmentation, one) for key, one in found}


def _cosine(one: Tensor, other: Tensor) -> Tensor:
    """Return the cosine of vectors over the channels, `(B, h, w)` float32."""
    with torch.autocast(one.device.type, enabled=False):
        return functional.cosine_similarity(one.float(), other.float(), dim=1, eps=1e-6)
