"""Separate objects with confidences from one score map, for the instance benchmark."""

from __future__ import annotations

import cv2
import numpy as np

from roadanomaly.metrics.instance import PredictedInstance
from roadanomaly.objects import find_components

MOST_OBJECTS = 100
"""Of a frame, at most so many objects are kept: the surest."""


def predicted_objects(
    score: np.ndarray, threshold: float, min_area: int
) -> list[PredictedInstance]:
    """Find the objects of a frame, the surest first; there is always one.

    An object is an 8-connected region above the threshold, and its confidence the mean score.
    OoDIS demands an object in every frame: where none is found, the `min_area` highest pixels
    are thresholded instead and the region around the highest is taken, with a confidence of at
    most the threshold.

    Args:
        score: `(H, W)` float.
        threshold: of the score.
        min_area: smaller regions are left out, pixels.
    """
    mask, components = find_components(score, threshold, min_area)
    if not components:
        return [_highest_region(score, threshold, min_area)]
    _, regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    sizes = np.bincount(regions.ravel())
    means = np.bincount(regions.ravel(), score.ravel()) / np.maximum(sizes, 1)
    order = sorted(range(1, sizes.size), key=lambda index: (-means[index], index))
    return [
        PredictedInstance(regions == index, float(means[index])) for index in order[:MOST_OBJECTS]
    ]


def _highest_region(score: np.ndarray, threshold: float, min_area: int) -> PredictedInstance:
    count = min(max(min_area, 1), score.size)
    least = np.partition(score.ravel(), score.size - count)[score.size - count]
    above = (score >= least).astype(np.uint8)
    _, regions = cv2.connectedComponents(above, connectivity=8)
    region = regions == regions.ravel()[score.argmax()]
    return PredictedInstance(region, min(float(score[region].mean()), threshold))
