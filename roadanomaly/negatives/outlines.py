"""Outlines of random shapes, and their anti-aliased masks."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

SUBPIXEL_BITS = 4
"""Binary digits after the point that OpenCV draws corners with."""


def polygon(rng: np.random.Generator) -> np.ndarray:
    """Return a star-convex polygon of 3 to 8 corners."""
    corners = int(rng.integers(3, 9))
    angles = 2 * np.pi * (np.arange(corners) + rng.uniform(-0.35, 0.35, corners)) / corners
    return _around(angles, rng.uniform(0.45, 1, corners))


def rectangle(rng: np.random.Generator) -> np.ndarray:
    """Return a square; squeezing and turning make it any rectangle."""
    del rng
    return np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])


def ellipse(rng: np.random.Generator) -> np.ndarray:
    """Return a circle; squeezing makes it an ellipse."""
    del rng
    return _around(np.linspace(0, 2 * np.pi, 72, endpoint=False), np.ones(72))


def star(rng: np.random.Generator) -> np.ndarray:
    """Return a star of 4 to 9 points."""
    points = int(rng.integers(4, 10))
    radii = np.where(np.arange(2 * points) % 2, rng.uniform(0.3, 0.7), 1.0)
    return _around(np.linspace(0, 2 * np.pi, 2 * points, endpoint=False), radii)


def blob(rng: np.random.Generator) -> np.ndarray:
    """Return a smooth outline: a circle whose radius is a sum of slow waves."""
    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    waves = np.arange(2, 8)
    heights, phases = rng.uniform(0, 0.9, 6) / waves, rng.uniform(0, 2 * np.pi, 6)
    radii = 1 + (heights[:, None] * np.cos(waves[:, None] * angles + phases[:, None])).sum(0)
    return _around(angles, np.maximum(radii, 0.15))


def hull(rng: np.random.Generator) -> np.ndarray:
    """Return the convex hull of ten random points of a square."""
    points = rng.uniform(-1, 1, (10, 2)).astype(np.float32)
    return cv2.convexHull(points)[:, 0].astype(np.float64)


KINDS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "polygon": polygon,
    "rectangle": rectangle,
    "ellipse": ellipse,
    "star": star,
    "blob": blob,
}
"""Outlines by name; each returns `(N, 2)` corners about the origin."""


def random_mask(kind: str, side: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a shape, squeezed and turned at random, that fills its box.

    Args:
        kind: a key of `KINDS`.
        side: the box's longest side in pixels.
        rng: draws the shape.

    Returns:
        `(h, w)` float32 in 0..1, soft at the edge, `max(h, w) == side`.
    """
    corners = KINDS[kind](rng) * (1, rng.uniform(0.35, 1))
    angle = rng.uniform(0, 2 * np.pi)
    cosine, sine = np.cos(angle), np.sin(angle)
    return fill(corners @ np.array([[cosine, sine], [-sine, cosine]]), side)


def fill(corners: np.ndarray, side: int) -> np.ndarray:
    """Draw an outline so that it fills its box.

    Args:
        corners: `(N, 2)`, x and y at any scale.
        side: the box's longest side in pixels.

    Returns:
        `(h, w)` float32 in 0..1, soft at the edge, `max(h, w) == side`.
    """
    corners = corners - corners.min(0)
    corners *= (side - 1) / corners.max()
    width, height = np.ceil(corners.max(0) - 1e-6).astype(int) + 1
    mask = np.zeros((height, width), np.uint8)
    fixed = np.round(corners * 2**SUBPIXEL_BITS).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, SUBPIXEL_BITS)
    return mask.astype(np.float32) / 255


def _around(angles: np.ndarray, radii: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]
