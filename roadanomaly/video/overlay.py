"""Draw what was found on a frame: tinted mask, boxes with ids and scores, a line of figures."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from roadanomaly.report.pictures import ANOMALY, FONT, heat
from roadanomaly.video.frames import Judged, Sighting

CANDIDATE = (255, 200, 60)
"""RGB of what has not persisted yet."""

RAREST = 6.0
"""Rarity that is drawn brightest: one inlier pixel in a million."""


def draw(judged: Judged, line: str = "", opacity: float = 0.45) -> np.ndarray:
    """Draw a frame's result.

    Args:
        judged: the result.
        line: shown at the top.
        opacity: of the tint, 0 to 1.

    Returns:
        `(H, W, 3)` uint8 RGB, a new array.
    """
    drawn = judged.frame.image.copy()
    tint(drawn, judged.mask, opacity)
    scale = drawn.shape[0] / 360
    for sighting in judged.sightings:
        _box(drawn, sighting, scale)
    if line:
        _text(drawn, line, (round(6 * scale), round(16 * scale)), scale)
    return drawn


def tint(drawn: np.ndarray, mask: np.ndarray, opacity: float) -> None:
    """Tint a mask and outline it, in place; only its bounding box is touched."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return
    window = np.s_[y : y + height, x : x + width]
    part, inside = drawn[window], np.ascontiguousarray(mask[window].view(np.uint8))
    colour = np.array(ANOMALY, np.float64)
    layer = np.full_like(part, ANOMALY)
    mixed = cv2.addWeighted(part, 1 - opacity, layer, opacity, 0)
    cv2.copyTo(mixed, inside, part)
    outline, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    thickness = max(1, round(drawn.shape[0] / 480))
    cv2.drawContours(drawn, outline, -1, colour.tolist(), thickness, offset=(x, y))


def heat_picture(rarity: np.ndarray) -> np.ndarray:
    """Colour a map of rarities, dark for ordinary and bright for what no inlier pixel reaches."""
    return heat(rarity, 0.0, RAREST)


def _box(drawn: np.ndarray, sighting: Sighting, scale: float) -> None:
    x0, y0, x1, y1 = sighting.box
    colour = ANOMALY if sighting.alarm else CANDIDATE
    cv2.rectangle(drawn, (x0, y0), (x1 - 1, y1 - 1), colour, max(1, round(1.5 * scale)))
    name = f"#{sighting.id} " if sighting.alarm else ""
    place = (x0, y0 - round(4 * scale) if y0 > 16 * scale else y1 + round(13 * scale))
    _text(drawn, f"{name}{sighting.max_score:.1f}", place, scale)


def _text(drawn: np.ndarray, text: str, place: Sequence[int], scale: float) -> None:
    size = 0.42 * max(1.0, scale)
    for shade, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        line = max(1, round(thickness * scale * 0.8))
        cv2.putText(drawn, text, (place[0], place[1]), FONT, size, shade, line, cv2.LINE_AA)
