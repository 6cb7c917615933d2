"""Vectors drawn from a feature map at cells of inliers."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from roadanomaly.detectors.density.draw_pixels import draw_pixels
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.types import Segmentation, is_inlier


def draw_cells(
    values: Tensor, segmentation: Segmentation, label: Tensor, count: int, *, balanced: bool
) -> tuple[Tensor, Tensor]:
    """Draw cells whose label is that of an inlier; the torch seed decides.

    Args:
        values: `(B, C, h', w')`, a map of the segmentation.
        segmentation: of the images.
        label: `(B, H, W)` uint8 at image size.
        count: of cells that are drawn from an image, at most.
        balanced: equally many of each label, as far as there are.

    Returns:
        `(N, C)` float32 and their labels `(N,)` int64, on the device of the values.
    """
    at_cells = labels_at(label, replace(segmentation, logits=values))
    wanted = at_cells.masked_fill(~is_inlier(at_cells), -1).cpu()
    rows, labels = [], []
    for one, known in zip(values, wanted, strict=True):
        row, column = draw_pixels(known, count, balanced=balanced).unbind(1)
        labels.append(known[row, column])
        rows.append(one[:, row.to(one.device), column.to(one.device)].T)
    return torch.cat(rows).float(), torch.cat(labels).to(values.device)
