"""Sheets of label maps with the images they came from and those that were generated from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from roadanomaly.report.pictures import VOID, caption, class_picture, column, row
from roadanomaly.types import IGNORE

TITLES = ("labels", "image", "resynthesis")


def layout_picture(labels: np.ndarray) -> np.ndarray:
    """Colour a label map `(H, W)`, void grey; returns `(H, W, 3)` uint8."""
    drawn = class_picture(labels)
    drawn[labels == IGNORE] = VOID
    return drawn


def resynthesis_sheet(frames: Sequence[tuple[np.ndarray, Tensor, Tensor]]) -> np.ndarray:
    """Show label map, image and resynthesis of each frame, a row each.

    Args:
        frames: labels `(H, W)` uint8, image and resynthesis `(3, H, W)` uint8.

    Returns:
        `(H', W', 3)` uint8.
    """
    rows = []
    for labels, image, drawn in frames:
        pictures = [layout_picture(labels), *(_array(one) for one in (image, drawn))]
        if not rows:
            pictures = [caption(one, title) for one, title in zip(pictures, TITLES, strict=True)]
        rows.append(row(pictures))
    return column(rows)


def _array(image: Tensor) -> np.ndarray:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())
