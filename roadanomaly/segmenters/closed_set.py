"""The closed-set loss of a segmenter, and labels brought to the grid that its logits lie on."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.types import IGNORE, Segmentation, is_known


def labels_at(label: Tensor, segmentation: Segmentation) -> Tensor:
    """Bring labels to the logits' grid; padding becomes `IGNORE`.

    A cell takes the label of the pixel that it lies on where `Segmentation.to_image` brings the
    grid to image size: the first and last cells of an align-corners network lie on the corner
    pixels, those of any other half a cell inside.

    Args:
        label: `(B, H, W)` uint8 at image size.
        segmentation: whose logits the labels are to be compared with.

    Returns:
        `(B, h, w)` int64.
    """
    rows, columns = _cells(segmentation)
    return padded_labels(label, segmentation)[:, rows, columns].long()


def values_at(values: Tensor, segmentation: Segmentation) -> Tensor:
    """Bring values of an image's pixels to the logits' grid, as `labels_at` does labels.

    Args:
        values: `(B, C, H, W)` at image size; padding takes those of the border.
        segmentation: whose logits they are to be compared with.

    Returns:
        `(B, C, h, w)`.
    """
    rows, columns = _cells(segmentation)
    height, width = values.shape[-2:]
    return values[:, :, rows.clamp_max(height - 1), columns.clamp_max(width - 1)]


def _cells(segmentation: Segmentation) -> tuple[Tensor, Tensor]:
    """Return the padded image's row, `(h, 1)`, and column, `(w,)`, under each cell of the grid."""
    rows, columns = (
        _pixels_under(
            cells, pixels, segmentation.logits.device, align_corners=segmentation.align_corners
        )
        for cells, pixels in zip(segmentation.logits.shape[-2:], segmentation.padded, strict=True)
    )
    return rows[:, None], columns


def _pixels_under(cells: int, pixels: int, device: torch.device, *, align_corners: bool) -> Tensor:
    """Return the pixel nearest to each cell of a line, the later of two that are as near."""
    cell = torch.arange(cells, device=device)
    if align_corners and cells > 1:
        return (2 * cell * (pixels - 1) + cells - 1) // (2 * (cells - 1))
    return (2 * cell + 1) * pixels // (2 * cells)


def padded_labels(label: Tensor, segmentation: Segmentation) -> Tensor:
    """Grow labels `(B, H, W)` to what the segmenter's maps cover, by `IGNORE`."""
    bottom = segmentation.padded[0] - label.shape[-2]
    right = segmentation.padded[1] - label.shape[-1]
    return functional.pad(label, (0, right, 0, bottom), value=IGNORE)


def closed_set_cross_entropy(segmentation: Segmentation, label: Tensor) -> Tensor:
    """Mean cross-entropy over pixels of a known class, in nats; 0 where there are none.

    The evidence of a mask network counts as the probabilities `E_k / sum_j E_j`.

    Args:
        segmentation: of the images that the labels belong to.
        label: `(B, H, W)` uint8 at image size: class index; other labels count for nothing.
    """
    at_logits = labels_at(label, segmentation)
    known = is_known(at_logits)
    target = at_logits.masked_fill(~known, -100)
    total = functional.cross_entropy(
        segmentation.class_logits(segmentation.logits),
        target,
        ignore_index=-100,
        reduction="sum",
    )
    return total / known.sum().clamp_min(1)
