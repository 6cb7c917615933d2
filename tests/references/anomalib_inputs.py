"""What anomalib and roadanomaly are both asked: vectors, maps and images of NumPy's seeds."""

from __future__ import annotations

import numpy as np

CHANNELS = 6
SEED = 3
"""Of torch, before a coreset is picked: both draw the first centre by it."""

LEVELS = ((12, 32, 48), (20, 16, 24))
"""Channels, rows and columns of the maps of a frame of 32x48 pixels."""


def drawn(number: int, *shape: int) -> np.ndarray:
    """Draw normal numbers, float32, other ones for each `number`."""
    return np.random.default_rng(number).standard_normal(shape).astype(np.float32)


def vectors(number: int, count: int) -> np.ndarray:
    """Draw `(count, CHANNELS)` vectors whose channels are correlated and of unlike scales."""
    mixing = drawn(0, CHANNELS, CHANNELS) * np.array([3.0, 1.0, 1.0, 0.5, 0.2, 0.1])
    return (drawn(number, count, CHANNELS) @ mixing + 2.0).astype(np.float32)


def pyramid() -> list[np.ndarray]:
    """Draw maps of two frames at three scales."""
    return [drawn(7 + level, 2, 8, 16 >> level, 24 >> level) for level in range(3)]


def image(number: int) -> np.ndarray:
    """Draw smooth `(1, 3, 32, 48)` images in 0..1."""
    small = np.random.default_rng(number).random((3, 8, 12))
    return np.kron(small, np.ones((4, 4)))[None].astype(np.float32)


def mask() -> np.ndarray:
    """Return `(1, 32, 48)` bool, True where an image was spoilt."""
    found = np.zeros((1, 32, 48), bool)
    found[:, 8:20, 10:30] = True
    return found
