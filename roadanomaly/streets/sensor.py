"""The camera's own marks: exposure, blur, vignetting, noise and compression."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from roadanomaly.streets.canvas import triple

SPREAD = 30
"""Deviation of the stored noise, whose middle is 128."""


@lru_cache(maxsize=1)
def _noise() -> np.ndarray:
    field = np.random.default_rng(91).standard_normal((1024, 1024, 3), dtype=np.float32)
    return np.clip(field * SPREAD + 128, 0, 255).astype(np.uint8)


@lru_cache(maxsize=4)
def _vignette(height: int, width: int) -> np.ndarray:
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None]
    return (rows**2 + columns**2) / 2


def expose(image: np.ndarray, style: np.random.Generator, noise: np.random.Generator) -> np.ndarray:
    """Turn light into what a camera would save.

    Args:
        image: `(H, W, 3)` float32, about 0..1; changed in place.
        style: decides what stays through a sequence: tint, contrast, sharpness, quality.
        noise: decides what changes with each frame.

    Returns:
        `(H, W, 3)` uint8.
    """
    height, width = image.shape[:2]
    tint = 1 + style.normal(0, 0.02, 3)
    gain, contrast = style.uniform(0.98, 1.1), style.uniform(0.0, 0.5)
    shade, blur = style.uniform(0.02, 0.3), style.uniform(0.15, 0.62)
    grain, quality = style.uniform(0.003, 0.016), int(style.integers(75, 97))
    gain *= min(max(0.46 / float(image[::4, ::4].mean()), 0.9), 1.6) ** 0.75
    image *= triple(255 - np.float32(255 * shade) * _vignette(height, width))
    saved = cv2.LUT(np.clip(image, 0, 255).astype(np.uint8), _curve(tint * gain, contrast))
    if blur > 0.35:
        saved = cv2.GaussianBlur(saved, (0, 0), blur)
    strength = float(grain) * 255 / SPREAD
    field = _frame_noise(height, width, noise)
    saved = cv2.addWeighted(saved, 1.0, field, strength, -128 * strength)
    good, code = cv2.imencode(".jpg", saved, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR)) if good else saved


def _curve(gain: np.ndarray, contrast: float) -> np.ndarray:
    """Table from light to saved value, `(1, 256, 3)` uint8: gain, then an S."""
    light = np.clip(np.arange(256)[:, None] / 255 * gain, 0, 1)
    light = light + contrast * light * (1 - light) * (light - 0.4) * 2
    return (np.clip(light, 0, 1) * 255 + 0.5).astype(np.uint8)[None]


def _frame_noise(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    field = _noise()
    top, left = rng.integers(0, len(field) // 2, 2)
    if top + height > len(field) or left + width > len(field):
        high, wide = (top + height) // len(field) + 1, (left + width) // len(field) + 1
        field = np.tile(field, (high, wide, 1))
    return field[top : top + height, left : left + width]
