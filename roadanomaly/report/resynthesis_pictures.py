"""Sheets of label maps with the images they came from and those that were generated from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from roadanomaly.report.class_colours import class_picture
from roadanomaly.report.pictures import caption, column, row

TITLES = ("labels", "image", "resynthesis")


def resynthesis_sheet(
    frames: Sequence[tuple[np.ndarray, Tensor, Tensor]], names: Sequence[str]
) -> np.ndarray:
    """Show label map, image and resynthesis of each frame, a row each.

    Args:
        frames: labels `(H, W)` uint8, image and resynthesis `(3, H, W)` uint8.
        names: of the classes that the labels index.

    Returns:
        `(H', W', 3)` uint8.
    """
    rows: list[np.ndarray] = []
    for labels, image, drawn in frames:
        pictures = [class_picture(labels, names), *(_array(one) for one in (image, drawn))]
        if not rows:
            pictures = [caption(one, title) for one, title in zip(pictures, TITLES, strict=True)]
        rows.append(row(pictures))
    return column(rows)


def _array(image: Tensor) -> np.ndarray:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())
