"""Random fields that tile: the raw material of every texture."""

from __future__ import annotations

import cv2
import numpy as np

Pair = tuple[float, float]


def spectral(
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    slope: float = 1.5,
    stretch: Pair = (1.0, 1.0),
    angle: float = 0.0,
) -> np.ndarray:
    """Fractal noise by spectral synthesis; it tiles.

    Args:
        height: rows.
        width: columns.
        rng: source of the phases.
        slope: amplitude falls as frequency to the power of minus this; 0 is white, 2 cloud-like.
        stretch: lengths of the grain along its own two axes, relative.
        angle: turns the grain, radians.

    Returns:
        `(height, width)` float32, mean 0, standard deviation 1.
    """
    radius = _frequencies(height, width, stretch, angle)
    spectrum = np.fft.rfft2(rng.standard_normal((height, width), dtype=np.float32))
    return _normalised(np.fft.irfft2(spectrum * radius**-slope, s=(height, width)))


def band(
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    period: float,
    sharpness: float = 4.0,
    stretch: Pair = (1.0, 1.0),
    angle: float = 0.0,
) -> np.ndarray:
    """Noise of one dominant period: spots when isotropic, stripes when stretched; it tiles.

    Args:
        height: rows.
        width: columns.
        rng: source of the phases.
        period: dominant length, pixels.
        sharpness: how narrow the band is; larger is more regular.
        stretch: lengths of the grain along its own two axes, relative.
        angle: turns the grain, radians.

    Returns:
        `(height, width)` float32, mean 0, standard deviation 1.
    """
    radius = _frequencies(height, width, stretch, angle) * period
    gain = np.exp(-sharpness * np.log(radius) ** 2)
    spectrum = np.fft.rfft2(rng.standard_normal((height, width), dtype=np.float32))
    return _normalised(np.fft.irfft2(spectrum * gain, s=(height, width)))


def _frequencies(height: int, width: int, stretch: Pair, angle: float) -> np.ndarray:
    rows = np.fft.fftfreq(height)[:, None].astype(np.float32)
    columns = np.fft.rfftfreq(width)[None].astype(np.float32)
    along = np.cos(angle) * columns + np.sin(angle) * rows
    across = np.cos(angle) * rows - np.sin(angle) * columns
    radius = np.hypot(along * stretch[0], across * stretch[1])
    radius[0, 0] = radius.flat[1:].max()
    return np.maximum(radius, 1e-6)


def _normalised(field: np.ndarray) -> np.ndarray:
    field = field - field.mean()
    return (field / max(float(field.std()), 1e-6)).astype(np.float32)


def smoothstep(low: float, high: float, values: np.ndarray) -> np.ndarray:
    """Rise smoothly from 0 at `low` to 1 at `high`."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def lookup(field: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Read a tiling field `(h, w)` or `(h, w, C)` between its pixels, at positions of any size."""
    height, width = field.shape[:2]
    x = np.mod(columns, np.float32(width)).astype(np.float32, copy=False)
    y = np.mod(rows, np.float32(height)).astype(np.float32, copy=False)
    return np.asarray(cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP))
