"""Shadows on the ground: cast by the sun, and where things touch the road."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from roadanomaly.streets.camera import Camera
from roadanomaly.streets.canvas import SHIFT, Canvas, fixed, radial, triple
from roadanomaly.streets.light import Light

LONGEST = 22.0
"""Metres to which a shadow of the low sun is cut."""


@dataclass(frozen=True)
class Caster:
    """A block or a ball that keeps light from the ground.

    Args:
        x: `(2,)` extent across the road, metres.
        s: `(2,)` extent along it.
        low: where it begins above the ground; a tree's crown begins at 2 m.
        high: where it ends.
        round: whether its shadow is round rather than square.
    """

    x: tuple[float, float]
    s: tuple[float, float]
    low: float
    high: float
    round: bool = False


def draw_shadows(canvas: Canvas, camera: Camera, light: Light, casters: list[Caster]) -> None:
    """Darken the ground where the sun is hidden and close to every foot."""
    if light.direct > 0.1:
        _sun_shadows(canvas, camera, light, casters)
    for caster in casters:
        if caster.low < 1.0 and caster.high > 0.3 and caster.s[1] > camera.s + 2:
            _contact(canvas, camera, caster, 0.62)


def _sun_shadows(canvas: Canvas, camera: Camera, light: Light, casters: list[Caster]) -> None:
    top = int(np.clip(np.floor(camera.horizon) + 1, 0, canvas.height))
    mask = np.zeros((canvas.height - top, canvas.width), np.uint8)
    if mask.size == 0:
        return
    outlines = [_in_front(_outline(caster, light), camera.s + 1.2) for caster in casters]
    outlines = [outline for outline in outlines if len(outline) > 2]
    if not outlines:
        return
    flat = np.concatenate(outlines)
    points = np.zeros((len(flat), 3))
    points[:, [0, 2]] = flat
    pixels = fixed(camera.project(points)[0] - (0, top))
    for polygon in np.split(pixels, np.cumsum([len(outline) for outline in outlines])[:-1]):
        cv2.fillConvexPoly(mask, polygon, 255, cv2.LINE_AA, SHIFT)
    soft = cv2.GaussianBlur(mask, (0, 0), 1.1)
    dim = light.ambient / light.ground
    factor = 1 - triple(soft * np.float32(1 / 255)) * (1 - dim.astype(np.float32))
    canvas.image[top:] *= factor


def _outline(caster: Caster, light: Light) -> np.ndarray:
    """Shadow on the ground plane, `(N, 2)` of x and s."""
    slope = -light.sun[[0, 2]] / light.sun[1]
    limit = LONGEST / max(float(np.hypot(*slope)) * caster.high, 1e-6)
    slope = slope * min(1.0, limit)
    if caster.round:
        angle = np.linspace(0, 2 * np.pi, 10, endpoint=False)
        middle = np.array([np.mean(caster.x), np.mean(caster.s)])
        reach = np.array([np.ptp(caster.x) / 2, np.ptp(caster.s) / 2])
        wobble = 1 + 0.12 * np.sin(5 * angle + middle[0])
        base = middle + reach * np.stack([np.cos(angle), np.sin(angle)], -1) * wobble[:, None]
    else:
        (a, b), (c, d) = caster.x, caster.s
        base = np.array([(a, c), (b, c), (b, d), (a, d)])
    both = np.concatenate([base + slope * caster.low, base + slope * caster.high])
    return cv2.convexHull(both.astype(np.float32))[:, 0]


def _in_front(outline: np.ndarray, near: float) -> np.ndarray:
    """Cut a polygon to the part beyond `near`."""
    if outline[:, 1].min() >= near:
        return outline
    kept = []
    for start, end in zip(outline, np.roll(outline, -1, 0), strict=True):
        if start[1] >= near:
            kept.append(start)
        if (start[1] >= near) != (end[1] >= near):
            share = (near - start[1]) / (end[1] - start[1])
            kept.append(start + share * (end - start))
    return np.array(kept).reshape(-1, 2)


def _contact(canvas: Canvas, camera: Camera, caster: Caster, strength: float) -> None:
    """Soft dark spot under a thing."""
    x = float(np.mean(caster.x))
    s = max(float(np.mean(caster.s)), camera.s + 1.5)
    column, row, scale = camera.foot(x, s)
    wide = max(float(np.ptp(caster.x)), 0.15) * scale * 0.85
    deep = max(float(np.ptp(caster.s)), 0.15) * camera.elevation * scale**2 / camera.focal * 0.85
    deep = min(max(deep, 0.12 * wide), wide)
    left, right = int(column - wide), int(np.ceil(column + wide))
    top, bottom = int(row - deep), int(np.ceil(row + deep)) + 1
    h, w = bottom - top, right - left
    if h < 2 or w < 2 or h > 4 * canvas.height or w > 4 * canvas.width:
        return
    a, b = max(left, 0), min(right, canvas.width)
    c, d = max(top, int(np.floor(camera.horizon)) + 1, 0), min(bottom, canvas.height)
    if a >= b or c >= d:
        return
    spot = cv2.resize(radial(64), (w, h), interpolation=cv2.INTER_LINEAR)
    dark = spot[c - top : d - top, a - left : b - left]
    canvas.image[c:d, a:b] *= triple(1 - np.float32(strength) * dark)
