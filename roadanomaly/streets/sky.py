"""Sky with clouds, and the far skyline that closes the view."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from roadanomaly.streets.camera import Camera
from roadanomaly.streets.canvas import Canvas
from roadanomaly.streets.light import Light
from roadanomaly.streets.noise import lookup, smoothstep, spectral

SKY, BUILDING, VEGETATION = 10, 2, 8


@lru_cache(maxsize=1)
def _cloud_field() -> np.ndarray:
    rng = np.random.default_rng(71)
    coarse = spectral(512, 512, rng, slope=1.75)
    return coarse + 0.12 * spectral(512, 512, rng, slope=0.9)


@lru_cache(maxsize=1)
def _profiles() -> np.ndarray:
    """Outlines of the far layers, `(3, 1024)`, 0..1: two of hills, one of houses."""
    rng = np.random.default_rng(72)
    hills = spectral(2, 1024, rng, slope=1.9)[:1] * 0.16 + 0.4
    trees = hills * 0.5 + 0.25 + 0.05 * spectral(2, 1024, rng, slope=0.9)[:1]
    houses = np.zeros((1, 1024), np.float32)
    start = 0
    while start < 1024:
        wide = int(rng.integers(10, 42))
        houses[0, start : start + wide] = rng.uniform(0.1, 0.5) * rng.choice([1, 1, 1, 1.9])
        start += wide
    return np.clip(np.concatenate([hills, trees, houses]), 0.02, 1.0)


def draw_sky(canvas: Canvas, camera: Camera, light: Light, drift: np.ndarray) -> None:
    """Paint gradient, sun glow and clouds over the rows above the horizon.

    Args:
        canvas: painted in place.
        camera: its horizon.
        light: colours and cloud cover.
        drift: `(2,)` where in the cloud field to look, 0..1.
    """
    rows = int(np.clip(np.ceil(camera.horizon) + 1, 1, canvas.height))
    small = np.arange(0, rows + 1, 2, dtype=np.float32)[:, None]
    columns = np.arange(0, canvas.width, 2, dtype=np.float32)[None] - np.float32(camera.centre)
    above = np.maximum(np.float32(camera.horizon) - small, 0) / camera.focal
    across = columns / np.float32(camera.focal)
    fade = np.exp(-above * 3.2)[..., None]
    sky = light.zenith + (light.skyline - light.zenith) * fade
    sky = np.repeat(sky, columns.shape[1], 1).astype(np.float32)
    sky += _glow(above, across, light)[..., None] * light.sun_colour.astype(np.float32)
    _add_clouds(sky, above, across, light, drift)
    full = cv2.resize(sky, (canvas.width, 2 * sky.shape[0]), interpolation=cv2.INTER_LINEAR)
    canvas.image[:rows] = full[:rows]
    canvas.label[:rows] = SKY


def _glow(above: np.ndarray, across: np.ndarray, light: Light) -> np.ndarray:
    """Brightness around the sun where it stands ahead."""
    length = np.sqrt(1 + above**2 + across**2)
    cosine = (across * light.sun[0] + above * light.sun[1] + light.sun[2]) / length
    near = np.clip(cosine, 0, 1)
    strength = (0.25 + light.direct) * (1 - 0.8 * light.clouds)
    glow = strength * (0.25 * near**8 + 0.35 * near**80 + 1.5 * near**2500)
    return glow.astype(np.float32)


def _add_clouds(
    sky: np.ndarray, above: np.ndarray, across: np.ndarray, light: Light, drift: np.ndarray
) -> None:
    depth = (1 / (above + 0.07)).astype(np.float32)
    x = depth * across * 38 + np.float32(drift[0] * 512)
    y = np.broadcast_to(depth * 46, x.shape) + np.float32(drift[1] * 512)
    field = _cloud_field()
    density = lookup(field, x, y)
    towards = np.float32(9 * np.sign(light.side) or 9)
    shadow = lookup(field, x + towards, y + 7)
    start = 1.7 - 3.0 * light.clouds
    cover = smoothstep(start, start + 0.9, density)
    cover *= 1 - np.exp(-above * (14 if light.haze < 0.015 else 3))
    bright = np.clip(0.93 + 0.2 * (density - shadow) - 0.07 * np.maximum(density, 0), 0.62, 1.15)
    base = 0.62 * light.skyline + 0.28 * light.ambient + 0.3 * light.direct * light.sun_colour
    cloud = bright[..., None] * np.minimum(base, 1.0).astype(np.float32)
    sky += (cloud - sky) * (0.92 * cover)[..., None]


def draw_skyline(canvas: Canvas, camera: Camera, light: Light, rng: np.random.Generator) -> None:
    """Paint hazy layers along the horizon: hills, woods, roofs."""
    order = [layer for layer in (0, 2, 1) if rng.random() < 0.75] or [1]
    for layer in order:
        shift = int(rng.integers(1024))
        peak = camera.height * rng.uniform((0.1, 0.05, 0.08)[layer], (0.3, 0.13, 0.22)[layer])
        tint = np.array(((0.30, 0.36, 0.34), (0.20, 0.27, 0.16), (0.50, 0.46, 0.44))[layer])
        tint = tint * rng.uniform(0.8, 1.2) * light.shade(np.array([0.0, 0.3, -0.95]))
        fade = np.exp(-light.haze * (420, 110, 190)[layer])
        colour = light.skyline + (tint - light.skyline) * fade
        _draw_layer(canvas, camera, layer, shift, peak, colour)


def _draw_layer(
    canvas: Canvas, camera: Camera, layer: int, shift: int, peak: float, colour: np.ndarray
) -> None:
    columns = np.arange(canvas.width) - camera.centre
    reach = columns / camera.focal * 500 + shift
    outline = np.interp(np.mod(reach, 1023), np.arange(1024), _profiles()[layer])
    top = np.float32(camera.horizon) - np.float32(peak) * outline.astype(np.float32)
    first = max(0, int(top.min()) - 1)
    last = min(canvas.height, int(np.ceil(camera.horizon)) + 1)
    if last <= first:
        return
    rows = np.arange(first, last, dtype=np.float32)[:, None] + 0.5
    alpha = np.clip(rows - top[None] + 0.5, 0, 1)
    down = np.arange(last - first)[:, None] % 512
    grain = _grain()[down, (np.arange(canvas.width) + shift) % 512]
    paint = np.asarray(colour, np.float32) * (1 + 0.025 * grain)[..., None]
    label = BUILDING if layer == 2 else VEGETATION
    rgb = paint * alpha[..., None]
    canvas.blend(slice(first, last), slice(None), rgb, alpha, label)


@lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    return spectral(512, 512, np.random.default_rng(73), slope=0.8)
