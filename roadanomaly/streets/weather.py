"""What rain does to a picture: mirrors on the wet road, and streaks."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from roadanomaly.streets.camera import Camera
from roadanomaly.streets.canvas import Canvas, triple
from roadanomaly.streets.light import Light
from roadanomaly.streets.noise import lookup, smoothstep, spectral


@lru_cache(maxsize=1)
def _puddles() -> np.ndarray:
    return spectral(256, 256, np.random.default_rng(81), slope=1.6)


def apply_wet(canvas: Canvas, camera: Camera, light: Light) -> None:
    """Mirror what stands above the horizon in the wet road."""
    if light.wet < 0.05:
        return
    first, distance, x = camera.ground()
    wet = (canvas.label[first:] <= 1).astype(np.float32) * np.float32(0.25 * light.wet)
    canvas.image[first:] *= triple(1 - wet)
    count = min(canvas.height - first, first)
    if count < 4:
        return
    mirrored = cv2.blur(canvas.image[first - count : first][::-1], (3, 19))
    s = distance[:count, None] + np.float32(camera.s)
    columns = x[:count] * 14
    field = lookup(_puddles(), columns, np.broadcast_to(s * 14, columns.shape))
    puddle = smoothstep(-0.4, 0.9, field)
    grazing = np.clip(distance[:count] / 25, 0.25, 1)[:, None]
    paved = (canvas.label[first : first + count] <= 1).astype(np.float32)
    weight = np.float32(light.wet) * grazing * (0.3 + 0.5 * puddle) * paved
    weight *= np.clip((count - np.arange(count, dtype=np.float32)) / (0.35 * count), 0, 1)[:, None]
    region = canvas.image[first : first + count]
    region += (mirrored - region) * triple(weight)


def apply_rain(image: np.ndarray, light: Light, rng: np.random.Generator) -> None:
    """Draw falling drops as short bright streaks."""
    if light.rain <= 0:
        return
    h, w = image.shape[:2]
    layer = np.zeros((h, w), np.uint8)
    slant = rng.normal(0, 0.12)
    count = int(light.rain * 260 * h * w / 131072)
    starts = rng.uniform(0, 1, (count, 2)) * (w, h)
    lengths = rng.uniform(0.02, 0.08, count) * h
    for (x, y), length in zip(starts, lengths, strict=True):
        end = (int((x + slant * length) * 16), int((y + length) * 16))
        cv2.line(
            layer, (int(x * 16), int(y * 16)), end, int(40 + 50 * light.rain), 1, cv2.LINE_AA, 4
        )
    veil = (layer * np.float32(1 / 255))[..., None]
    image += (light.skyline.astype(np.float32) * 1.05 - image) * veil
