"""Turn a score map into separate objects: threshold, label, drop the small ones."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from roadanomaly.types import Component


def find_components(
    score: np.ndarray,
    threshold: float,
    min_area: int = 1,
    accept: Callable[[Component, np.ndarray], bool] | None = None,
) -> tuple[np.ndarray, list[Component]]:
    """Find 8-connected regions above a threshold.

    Args:
        score: `(H, W)` float, higher = more anomalous.
        threshold: pixels with a score above it belong to a region.
        min_area: smaller regions are dropped from the mask too, pixels.
        accept: regions that it refuses are dropped too. It is given a region and the mask of all
            pixels above the threshold.

    Returns:
        the mask `(H, W)` bool, and the components, the highest mean score first.
    """
    above = (score > threshold).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    place = np.flatnonzero(above)
    owner = labels.ravel()[place].astype(np.intp)
    values = score.ravel()[place]
    sums = np.bincount(owner, weights=values, minlength=count)
    peaks = np.full(count, -np.inf, score.dtype)
    np.maximum.at(peaks, owner, values)
    keep = areas >= min_area
    keep[0] = False
    found = []
    for i in np.flatnonzero(keep):
        component = Component(
            box=(int(stats[i, 0]), int(stats[i, 1]), int(stats[i, 2]), int(stats[i, 3])),
            area=int(areas[i]),
            mean_score=float(sums[i] / areas[i]),
            max_score=float(peaks[i]),
        )
        keep[i] = accept is None or accept(component, above.view(bool))
        if keep[i]:
            found.append(component)
    found.sort(key=lambda component: -component.mean_score)
    mask = np.zeros(score.shape, bool)
    mask.ravel()[place] = keep[owner]
    return mask, found
