"""A frame as a model saw it before it was adapted, and after."""

from __future__ import annotations

import numpy as np

from roadanomaly.objects import find_components
from roadanomaly.report.pictures import caption, overlay, rgb, row
from roadanomaly.types import Frame

HEIGHT = 260
"""Rows of each picture."""


def before_and_after(
    frame: Frame,
    scores: tuple[np.ndarray, np.ndarray],
    thresholds: tuple[float, float],
    least: int,
) -> np.ndarray:
    """Draw the objects of two models on one frame, side by side.

    Args:
        frame: an ordinary one.
        scores: before and after, `(H, W)` each.
        thresholds: before and after.
        least: pixels of the smallest object that is drawn.

    Returns:
        `(H', W', 3)` uint8 RGB.
    """
    image = rgb(frame)
    pictures = []
    for title, score, threshold in zip(("before", "after"), scores, thresholds, strict=True):
        mask, components = find_components(score, threshold, least)
        drawn = row([overlay(image, mask, components)], HEIGHT)
        pictures.append(caption(drawn, f"{title}: {len(components)} false objects"))
    shown = row([image], HEIGHT)
    return row([caption(shown, frame.id[-40:]), *pictures])
