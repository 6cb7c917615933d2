"""Cells that share statistics: all of them, those of a band of rows, or of a predicted class."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.detectors.position import places_in_frame
from roadanomaly.errors import OptionError, nearest
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Segmentation

Condition = Literal["none", "rows", "classes"]
CONDITIONS: tuple[str, ...] = ("none", "rows", "classes")

EDGE = 1e-4
"""Of a band: a cell whose middle lies on the edge of two is of the lower one, as rounded."""


class Grouping:
    """Says to which group a cell of a map belongs.

    Args:
        detector: catalogue name, for messages.
        condition: `none`: one group; `rows`: bands of the frame of equal height, in which a crop
            has its place; `classes`: the class that the segmenter predicts.
        bands: how many bands.

    Raises:
        OptionError: an unknown condition, or no band.
    """

    def __init__(self, detector: str, condition: str, bands: int) -> None:
        if condition not in CONDITIONS:
            msg = f"{detector}: `condition` {condition!r}; {nearest(condition, CONDITIONS)}"
            raise OptionError(msg)
        if bands < 1:
            msg = f"{detector}: `bands` must be at least 1, not {bands}."
            raise OptionError(msg)
        self.condition, self.bands = condition, bands

    def count(self, segmenter: Segmenter) -> int:
        """Return how many groups there are on a segmenter."""
        return {"none": 1, "rows": self.bands, "classes": len(segmenter.classes)}[self.condition]

    def of(self, segmentation: Segmentation, cells: Tensor, *, aligned: bool) -> Tensor:
        """Return the group of each cell, `(B, h, w)` int64.

        Args:
            segmentation: of the images.
            cells: `(B, C, h, w)`, a map of them that covers their padding too.
            aligned: whether the map's corner cells lie on corner pixels, not half a cell inside.
        """
        batch, _, height, width = cells.shape
        if self.condition == "classes":
            return _logits_at(segmentation, (height, width), aligned=aligned).argmax(1)
        if self.condition == "none":
            return torch.zeros(batch, height, width, dtype=torch.long, device=cells.device)
        rows, _ = places_in_frame(segmentation, cells, aligned=aligned)
        band = (rows * self.bands + EDGE).long().clamp(0, self.bands - 1)
        return band[:, :, None].expand(batch, height, width)


def _logits_at(segmentation: Segmentation, size: tuple[int, int], *, aligned: bool) -> Tensor:
    """Bring logits to the cells of a map; by way of the pixels, where the two lie otherwise."""
    logits, corners = segmentation.logits.float(), segmentation.align_corners
    if aligned != corners:
        logits = functional.interpolate(
            logits, segmentation.padded, mode="bilinear", align_corners=corners
        )
    return functional.interpolate(logits, size, mode="bilinear", align_corners=aligned)
