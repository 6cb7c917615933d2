"""A score's place among those of inliers: permutation p-values, a predicted class at a time."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from roadanomaly.errors import DataError, OptionError
from roadanomaly.refiners.base import Refiner
from roadanomaly.reservoir import Reservoir, evenly
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Batch, Segmentation, is_inlier

Sides = Literal["upper", "both"]

LEAST = 100
"""Scores of a class below which it takes those of all classes."""


class PValue(Refiner):
    """`1 - p`, with p the permutation p-value of a score among those of inlier pixels.

    `p = (1 + #{s_i >= s}) / (n + 1)`: if a pixel is exchangeable with the n that were seen, p is at
    most a with probability a or less. Both sides: `min(1, 2 min(p, q))` in place of p, q with
    `s_i <= s`: a density may be too high as well as too low, as that of a blank wall is. Behind any
    detector the score then means the same.

    Fit it by `roadanomaly fit --refiners` on frames that the detector has not learned from. Pixels
    of a frame are not independent, and those of another road are not exchangeable with them.

    Args:
        sides: `upper`, for scores that are too high; or `both`.
        per_class: rank among the pixels of the class that the segmenter predicts, which is then
            run for this behind a detector that reads the image alone. A class of which fewer than
            100 pixels were kept takes the pixels of all.
        kept: scores that are kept of all classes together, and of each.
        per_frame: inlier pixels that a frame gives at most, evenly spread.

    Raises:
        OptionError: a value out of range.

    Source: Song et al., 2018, PixelDefend, equation 3, where a likelihood of a whole image is
    ranked among those of the training set.
    """

    grid = "image"
    learns = True
    exports = False

    scores: Tensor
    counts: Tensor

    def __init__(
        self,
        sides: Sides = "upper",
        per_class: bool = False,
        kept: int = 10_000,
        per_frame: int = 1000,
    ) -> None:
        super().__init__()
        if kept < LEAST or per_frame < 1:
            msg = (
                f"p_value: `kept` must be at least {LEAST} and `per_frame` at least 1, not {kept} "
                f"and {per_frame}."
            )
            raise OptionError(msg)
        self.sides, self.per_class, self.kept, self.per_frame = sides, per_class, kept, per_frame
        self.reads_segmentation = per_class  # type: ignore[misc]
        self._seen: list[Reservoir] = []

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "sides": self.sides,
            "per_class": self.per_class,
            "kept": self.kept,
            "per_frame": self.per_frame,
        }

    def attach(self, segmenter: Segmenter) -> None:
        """Make room for the scores of all pixels, and of each class."""
        groups = 1 + len(segmenter.classes) * self.per_class
        self.register_buffer("scores", torch.zeros(groups, self.kept))
        self.register_buffer("counts", torch.zeros(groups, dtype=torch.int64))
        self.begin()

    def begin(self) -> None:
        """Start with no scores."""
        super().begin()
        self._seen = [Reservoir(self.kept, seed=group) for group in range(len(self.scores))]

    def update(self, score: Tensor, segmentation: Segmentation, batch: Batch) -> None:
        """Take the scores of inlier pixels, those of each class apart."""
        groups = self._groups(score, segmentation)
        for values, group, label in zip(score, groups, batch.label, strict=True):
            inlier = is_inlier(label)
            found, where = values[inlier].cpu(), group[inlier].cpu()
            found, where = (evenly(one, self.per_frame) for one in (found, where))
            self._seen[0].add(found.numpy())
            for number in where.unique().tolist():
                if number:
                    self._seen[number].add(found[where == number].numpy())

    def finish(self) -> None:
        """Sort what was seen.

        Raises:
            DataError: too few inlier pixels.
        """
        pooled = self._seen[0].values()
        if len(pooled) < LEAST:
            msg = (
                f"p_value: the frames show {len(pooled)} inlier pixels, and {LEAST} are needed; "
                "fit on more labelled frames."
            )
            raise DataError(msg)
        for group, reservoir in enumerate(self._seen):
            values = reservoir.values()
            values = pooled if len(values) < LEAST else values
            rising = torch.from_numpy(values).sort().values.to(self.scores)
            self.scores[group] = rising[-1]
            self.scores[group, : len(rising)] = rising
            self.counts[group] = len(rising)
        self.begin()
        self.ready = True

    def forward(self, score: Tensor, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `1 - p`, `(B, H, W)` in 0..1; NaN where the score is no number."""
        del image
        groups = self._groups(score, segmentation)
        found = torch.ones_like(score)
        for group in range(len(self.scores)):
            rising = self.scores[group, : int(self.counts[group])]
            p = p_values(rising, score, self.sides)
            found = torch.where(groups == group, p, found)
        return 1 - found

    def _groups(self, score: Tensor, segmentation: Segmentation) -> Tensor:
        """Return the number of each pixel's group, `(B, H, W)`: 0 for all, else 1 + its class."""
        if not self.per_class:
            return torch.zeros(score.shape, dtype=torch.int64, device=score.device)
        return 1 + segmentation.classes()


def p_values(rising: Tensor, score: Tensor, sides: str = "upper") -> Tensor:
    """Return the permutation p-value of scores, same shape, in (0, 1]; that of NaN is NaN.

    Args:
        rising: `(n,)`, scores of inliers, sorted.
        score: to be ranked.
        sides: `upper`: `(1 + #{s_i >= s}) / (n + 1)`; `both`: twice the smaller of this and of
            `(1 + #{s_i <= s}) / (n + 1)`, at most 1.
    """
    count = len(rising)
    entering = score.contiguous().to(rising.dtype)
    above = count - torch.searchsorted(rising, entering)
    upper = (1 + above).to(score.dtype) / (count + 1)
    upper = upper.masked_fill(score.isnan(), torch.nan)
    if sides == "upper":
        return upper
    below = torch.searchsorted(rising, entering, right=True)
    lower = (1 + below).to(score.dtype) / (count + 1)
    return (2 * torch.minimum(upper, lower)).clamp_max(1)
