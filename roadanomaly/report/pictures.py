"""Draw what a detector sees: heat maps, overlays, boxes, sheets of frames."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from roadanomaly.files import readable
from roadanomaly.types import Component, Frame

GAP = 4
ANOMALY = (255, 64, 32)
TRUTH = (0, 230, 255)
VOID = (90, 90, 90)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def heat(score: np.ndarray, low: float | None = None, high: float | None = None) -> np.ndarray:
    """Colour a score map, dark to bright.

    Args:
        score: `(H, W)` float.
        low: shown darkest; None takes the 2nd percentile of this map.
        high: shown brightest; None takes the 99.5th percentile.

    Returns:
        `(H, W, 3)` uint8 RGB.
    """
    low = float(np.percentile(score, 2)) if low is None else low
    high = float(np.percentile(score, 99.5)) if high is None else high
    scaled = np.clip((score - low) / max(high - low, 1e-6), 0, 1)
    grey = np.nan_to_num(scaled * 255).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)


def overlay(
    image: np.ndarray,
    mask: np.ndarray,
    components: Sequence[Component] = (),
    colour: tuple[int, int, int] = ANOMALY,
) -> np.ndarray:
    """Tint a mask on an image, outline it, and box its components.

    Args:
        image: `(H, W, 3)` uint8 RGB.
        mask: `(H, W)` bool.
        components: boxes to draw with their mean scores.
        colour: RGB.

    Returns:
        `(H, W, 3)` uint8, a new array.
    """
    drawn = image.copy()
    tint = 0.55 * image[mask] + 0.45 * np.array(colour)
    drawn[mask] = tint.astype(np.uint8)
    thickness = max(1, round(image.shape[0] / 360))
    outline, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(drawn, outline, -1, colour, thickness, cv2.LINE_AA)
    for component in components:
        x, y, width, height = component.box
        cv2.rectangle(drawn, (x, y), (x + width, y + height), (255, 255, 255), thickness)
        text = f"{component.mean_score:.1f}"
        place = (x, max(12, y - 4))
        size = 0.4 * max(1.0, image.shape[0] / 480)
        for shade, line in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(drawn, text, place, FONT, size, shade, line, cv2.LINE_AA)
    return drawn


def truth_picture(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Show the label on a darkened image: anomalies bright, ignored pixels grey."""
    drawn = (0.45 * image).astype(np.uint8)
    drawn[truth == 255] = VOID
    return overlay(drawn, truth == 1, colour=TRUTH)


def row(pictures: Sequence[np.ndarray], height: int | None = None) -> np.ndarray:
    """Put pictures side by side, scaled to one height."""
    height = height or pictures[0].shape[0]
    gap = np.full((height, GAP, 3), 255, np.uint8)
    parts: list[np.ndarray] = []
    for picture in pictures:
        width = max(1, round(picture.shape[1] * height / picture.shape[0]))
        scaled = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        parts += [scaled, gap]
    return np.concatenate(parts[:-1], axis=1)


def column(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Put rows of one width below each other; narrower rows are filled with white."""
    width = max(one.shape[1] for one in rows)
    parts: list[np.ndarray] = []
    for one in rows:
        fill = np.full((one.shape[0], width - one.shape[1], 3), 255, np.uint8)
        parts += [np.concatenate([one, fill], axis=1), np.full((GAP, width, 3), 255, np.uint8)]
    return np.concatenate(parts[:-1], axis=0)


def caption(picture: np.ndarray, text: str) -> np.ndarray:
    """Put a line of text above a picture; OpenCV ends the program where text is no UTF-8."""
    bar = np.full((22, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(bar, readable(text), (4, 16), FONT, 0.45, (20, 20, 20), 1, cv2.LINE_AA)
    return np.concatenate([bar, picture], axis=0)


def rgb(frame: Frame) -> np.ndarray:
    """Return a frame's image as `(H, W, 3)` uint8."""
    return np.ascontiguousarray(frame.image.permute(1, 2, 0).numpy())


def score_sheet(frames: Sequence[tuple[Frame, np.ndarray]], height: int = 200) -> np.ndarray:
    """Show image, score map and label of several frames, a row each; one scale for all maps."""
    scores = np.concatenate([score.ravel()[::16] for _, score in frames])
    low, high = np.percentile(scores, (2, 99.5))
    rows = []
    for frame, score in frames:
        image = rgb(frame)
        pictures = [image, heat(score, float(low), float(high))]
        if frame.truth is not None:
            pictures.append(truth_picture(image, frame.truth.numpy()))
        rows.append(row(pictures, height))
    return column(rows)
