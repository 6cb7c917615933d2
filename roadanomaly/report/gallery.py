"""The pictures to show around: a few frames before and after, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roadanomaly.report.pictures import caption, column, heat, overlay, rgb, row
from roadanomaly.types import Component, Frame


@dataclass(frozen=True)
class Exhibit:
    """One frame with what two models say of it.

    Args:
        frame: the image and its label.
        before: `(H, W)` score of the model before training.
        after: `(H, W)` score after.
        mask: `(H, W)` bool, the trained model's calibrated mask.
        components: its objects.
    """

    frame: Frame
    before: np.ndarray
    after: np.ndarray
    mask: np.ndarray
    components: Sequence[Component]


def draw_gallery(
    exhibits: Sequence[Exhibit], titles: tuple[str, str, str, str], height: int = 200
) -> np.ndarray:
    """Draw a row a frame: image, score before, score after, found objects.

    Args:
        exhibits: at least one.
        titles: of the four columns.
        height: of a row, pixels.

    Returns:
        `(H, W, 3)` uint8 RGB.
    """
    scales = [_range([e.before for e in exhibits]), _range([e.after for e in exhibits])]
    rows = []
    for exhibit in exhibits:
        image = rgb(exhibit.frame)
        pictures = [
            image,
            heat(exhibit.before, *scales[0]),
            heat(exhibit.after, *scales[1]),
            overlay(image, exhibit.mask, exhibit.components),
        ]
        rows.append(row(pictures, height))
    width = rows[0].shape[1] // 4
    bars = [caption(np.full((1, width, 3), 255, np.uint8), title) for title in titles]
    return column([np.concatenate(bars, axis=1), *rows])


def _range(scores: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return one colour range for a column, so that its rows can be compared."""
    values = np.concatenate([score.ravel()[::8] for score in scores])
    low, high = np.percentile(values, (5, 99.7))
    return float(low), float(high)
