"""One sheet of what a score rests on: image, labels, the detector's own maps, the score."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from roadanomaly.detectors.explanation import Explanation
from roadanomaly.report.class_colours import class_picture
from roadanomaly.report.pictures import caption, column, heat, row

WIDEST = 4
"""Pictures in a row at most."""

WIDTH = 400
"""Of a picture, in pixels."""


def explanation_sheet(
    image: np.ndarray, found: Explanation, score: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    """Draw image, labels, each map of the explanation and the score, in rows as equal as
    may be.

    Maps whose values lie in 0..1 are coloured on that range, so that sheets can be compared; others
    on their own range.

    Args:
        image: `(H, W, 3)` uint8 RGB.
        found: of that image.
        score: `(H, W)` float.
        names: of the classes.

    Returns:
        `(H', W', 3)` uint8 RGB.
    """
    height = max(1, round(WIDTH * image.shape[0] / image.shape[1]))
    pictures = {
        "image": image,
        "labels": class_picture(found.classes, names),
        **{title: _picture(values) for title, values in found.maps.items()},
        "score": heat(score),
    }
    scaled = [
        caption(cv2.resize(picture, (WIDTH, height), interpolation=_way(title)), title)
        for title, picture in pictures.items()
    ]
    columns = math.ceil(len(scaled) / math.ceil(len(scaled) / WIDEST))
    rows = [scaled[first : first + columns] for first in range(0, len(scaled), columns)]
    return column([row(pictures_of_row) for pictures_of_row in rows])


def _picture(values: np.ndarray) -> np.ndarray:
    if values.ndim == 3:
        return values
    return heat(values, 0, 1) if values.min() >= 0 and values.max() <= 1 else heat(values)


def _way(title: str) -> int:
    """Class colours must not mix."""
    return cv2.INTER_NEAREST if title == "labels" else cv2.INTER_AREA
