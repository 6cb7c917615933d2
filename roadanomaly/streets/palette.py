"""Colours that cars, clothes and strange things share, so that colour alone tells nothing."""

from __future__ import annotations

import cv2
import numpy as np

PAINTS = (
    (0.82, 0.82, 0.82), (0.60, 0.62, 0.64), (0.10, 0.10, 0.12), (0.26, 0.27, 0.30),
    (0.55, 0.10, 0.10), (0.12, 0.20, 0.42), (0.34, 0.42, 0.50), (0.20, 0.30, 0.22),
    (0.62, 0.54, 0.42), (0.78, 0.62, 0.20), (0.72, 0.30, 0.12), (0.30, 0.22, 0.18),
)  # fmt: skip


def paint(rng: np.random.Generator) -> np.ndarray:
    """Draw a colour as cars, clothes and goods have, `(3,)` RGB."""
    if rng.random() < 0.7:
        grey = rng.random() < 0.4
        colour = np.array(PAINTS[rng.integers(4 if grey else len(PAINTS))])
        return np.clip(colour * rng.uniform(0.75, 1.2) + rng.normal(0, 0.02, 3), 0.03, 0.95)
    hue, saturation, value = rng.uniform(0, 360), rng.beta(2, 2), rng.uniform(0.15, 0.9)
    hsv = np.array([[[hue, saturation, value]]], np.float32)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float64)


def earth(rng: np.random.Generator) -> np.ndarray:
    """Draw the colour of fur, stone, wood or cardboard, `(3,)` RGB."""
    warm = rng.uniform(0, 0.32)
    value = rng.uniform(0.12, 0.82)
    return value * np.array([1 + 0.35 * warm, 1 - 0.2 * warm, 1 - 1.4 * warm])
