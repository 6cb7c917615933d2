"""One frame of an evaluation on a sheet: image, label, and for each detector heat map and mask."""

from __future__ import annotations

import numpy as np

from roadanomaly.report.pictures import caption, column, heat, overlay, rgb, row, truth_picture
from roadanomaly.types import Frame

ROW_HEIGHT = 300


def frame_sheet(frame: Frame, scores: dict[str, np.ndarray]) -> np.ndarray:
    """Draw image and label, then a heat map and a mask for each detector.

    The mask shows the pixels above the score that best separates this frame's own label where it
    holds an anomaly, and above the frame's top percent where not: a picture, not a measurement.

    Args:
        frame: with its truth.
        scores: detector to `(H, W)` float.

    Returns:
        `(H', W', 3)` uint8 RGB.
    """
    image = rgb(frame)
    assert frame.truth is not None
    truth = frame.truth.numpy()
    rows = [_pair((image, frame.id), (truth_picture(image, truth), "label"))]
    for name, score in scores.items():
        mask = overlay(image, score > frame_threshold(score, truth))
        rows.append(_pair((heat(score), name), (mask, f"{name}: best mask of this frame")))
    return column(rows)


def _pair(*titled: tuple[np.ndarray, str]) -> np.ndarray:
    """Put two pictures side by side, `ROW_HEIGHT` high, each below its title."""
    scaled = [(row([picture], ROW_HEIGHT), title) for picture, title in titled]
    return row([caption(picture, title) for picture, title in scaled])


def frame_threshold(score: np.ndarray, truth: np.ndarray) -> float:
    """Return the threshold of the highest pixel F1 on one frame, or its 99th percentile."""
    counted = truth != 255
    values, wanted = score[counted], truth[counted] == 1
    if not wanted.any():
        return float(np.percentile(score, 99))
    order = np.argsort(-values, kind="stable")
    hits = np.cumsum(wanted[order])
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
    return float(np.nextafter(values[order][f1.argmax()], -np.inf, dtype=values.dtype))
