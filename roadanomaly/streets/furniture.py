"""Poles with what they carry: lamps, traffic lights and signs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roadanomaly.streets.camera import Camera
from roadanomaly.streets.canvas import Canvas
from roadanomaly.streets.light import Light
from roadanomaly.streets.shadows import Caster
from roadanomaly.streets.thing import Thing

POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN = 5, 6, 7
STEEL = np.array([0.42, 0.44, 0.46])
GREEN_STEEL = np.array([0.20, 0.27, 0.25])
WOOD = np.array([0.36, 0.28, 0.21])
BLACK = np.array([0.07, 0.08, 0.08])
LAMPS = ((0.95, 0.15, 0.10), (0.98, 0.72, 0.15), (0.20, 0.92, 0.45))


class _Easel:
    """Draws upright flat parts at one distance, in metres from the foot."""

    def __init__(
        self, canvas: Canvas, camera: Camera, light: Light, foot: tuple[float, float]
    ) -> None:
        self.canvas, self.light = canvas, light
        self.column, self.row, self.scale = camera.foot(*foot)
        self.distance = foot[1] - camera.s

    def polygon(
        self, points: np.ndarray, colour: np.ndarray, class_id: int, glow: float = 0.0
    ) -> None:
        """Fill a convex polygon `(N, 2)`."""
        pixels = np.stack(
            [self.column + points[:, 0] * self.scale, self.row - points[:, 1] * self.scale], -1
        )
        shade = self.light.sprite * (1 - glow) + glow
        self.canvas.polygon(pixels, colour * shade, class_id, self.distance)

    def bar(
        self, a: tuple[float, float], b: tuple[float, float], width: float, colour: np.ndarray
    ) -> None:
        """Draw a tube from a to b, at least a pixel wide, lit on one side."""
        width = max(width, 1.05 / self.scale)
        along = np.array(b) - np.array(a)
        across = np.array([along[1], -along[0]]) / max(float(np.linalg.norm(along)), 1e-6)
        across = across * width / 2
        corners = np.array([a - across, a + across, b + across, b - across])
        self.polygon(corners, colour * 0.78, POLE)
        if width * self.scale > 2.5:
            lit = np.sign(self.light.side) or 1.0
            inner = corners * 0.45 + 0.55 * np.array([a, a, b, b]) + lit * across * 0.35
            self.polygon(inner, colour * 1.15, POLE)

    def disc(
        self,
        middle: tuple[float, float],
        radius: float,
        colour: np.ndarray,
        class_id: int,
        corners: int = 16,
        glow: float = 0.0,
    ) -> None:
        """Fill a regular polygon that stands on a corner."""
        angle = np.linspace(0, 2 * np.pi, corners, endpoint=False) + np.pi / 2
        points = np.array(middle) + radius * np.stack([np.cos(angle), np.sin(angle)], -1)
        self.polygon(points, colour, class_id, glow)

    def rectangle(
        self,
        middle: tuple[float, float],
        size: tuple[float, float],
        colour: np.ndarray,
        class_id: int,
    ) -> None:
        """Fill an upright rectangle."""
        w, h = size[0] / 2, size[1] / 2
        corners = np.array([(-w, -h), (w, -h), (w, h), (-w, h)]) + middle
        self.polygon(corners, colour, class_id)


@dataclass(frozen=True)
class Post(Thing):
    """A pole and what it carries.

    Args:
        kind: `"lamp"`, `"light"`, `"sign"` or `"bollard"`.
    """

    kind: str = "lamp"

    @property
    def half(self) -> tuple[float, float]:
        """Half extents."""
        return 0.12, 0.12

    @property
    def reach(self) -> float:
        """Length of an arm, where it may have one."""
        return {"lamp": 2.6, "light": 4.8, "sign": 0.7, "bollard": 0.12}[self.kind]

    def draw(self, canvas: Canvas, camera: Camera, light: Light) -> None:
        """Paint it."""
        if self.s - camera.s < 1.5:
            return
        rng = np.random.default_rng([47, self.key])
        easel = _Easel(canvas, camera, light, (self.x, self.s))
        drawers = {"lamp": _lamp, "light": _traffic_light, "sign": _sign, "bollard": _bollard}
        drawers[self.kind](easel, rng, -float(np.sign(self.x)), light)

    def casters(self) -> list[Caster]:
        """Return the pole."""
        high = {"lamp": 6.5, "light": 3.2, "sign": 2.6, "bollard": 0.9}[self.kind]
        return [Caster((self.x - 0.06, self.x + 0.06), (self.s - 0.06, self.s + 0.06), 0, high)]


def _lamp(easel: _Easel, rng: np.random.Generator, inward: float, light: Light) -> None:
    colour = (STEEL, GREEN_STEEL, WOOD)[rng.integers(3)]
    high, reach = rng.uniform(5.0, 8.0), rng.uniform(0.8, 2.0)
    easel.bar((0, 0), (0, high), 0.15, colour)
    if colour is WOOD:
        for level in (high - 0.3, high - 0.9):
            easel.bar((-0.9, level), (0.9, level), 0.09, colour)
        return
    easel.bar((0, 0), (0, 0.9), 0.24, colour)
    easel.bar((0, high), (inward * reach, high + 0.25), 0.09, colour)
    tip = (inward * (reach + 0.2), high + 0.22)
    easel.rectangle(tip, (0.6, 0.13), colour, POLE)
    if light.lamps > 0.4:
        easel.disc((tip[0], tip[1] - 0.08), 0.16, np.array([1.0, 0.88, 0.62]), POLE, 10, 1.0)


def _traffic_light(easel: _Easel, rng: np.random.Generator, inward: float, light: Light) -> None:
    lit = int(rng.integers(3))
    colour = (STEEL, GREEN_STEEL)[rng.integers(2)]
    heads = [(0.0, 2.75)]
    if rng.random() < 0.45:
        reach = rng.uniform(2.5, 4.5)
        easel.bar((0, 0), (0, 5.6), 0.17, colour)
        easel.bar((0, 5.5), (inward * reach, 5.7), 0.11, colour)
        heads.append((inward * reach, 5.3))
    else:
        easel.bar((0, 0), (0, 3.3), 0.13, colour)
    for x, y in heads:
        easel.rectangle((x, y), (0.52, 1.12), BLACK * 1.6, TRAFFIC_LIGHT)
        easel.rectangle((x, y), (0.36, 0.98), BLACK, TRAFFIC_LIGHT)
        for index in range(3):
            on = index == lit
            tone = np.array(LAMPS[index]) * (1.0 if on else 0.22)
            middle = (x, y + 0.32 - 0.32 * index)
            easel.disc(middle, 0.13, tone, TRAFFIC_LIGHT, 12, 0.9 if on else 0.0)


def _sign(easel: _Easel, rng: np.random.Generator, inward: float, light: Light) -> None:
    high = rng.uniform(2.2, 2.8)
    easel.bar((0, 0), (0, high), 0.08, STEEL)
    red, blue = np.array([0.76, 0.10, 0.10]), np.array([0.10, 0.28, 0.62])
    white, yellow = np.array([0.92, 0.92, 0.90]), np.array([0.90, 0.72, 0.12])
    middle = (0.0, high)
    kind = rng.integers(6)
    if kind == 0:
        easel.disc(middle, 0.36, red, TRAFFIC_SIGN)
        easel.disc(middle, 0.27, white, TRAFFIC_SIGN)
        easel.rectangle((0.0, high), (0.2, 0.24), BLACK, TRAFFIC_SIGN)
    elif kind == 1:
        easel.disc(middle, 0.46, red, TRAFFIC_SIGN, 3)
        easel.disc(middle, 0.30, white, TRAFFIC_SIGN, 3)
        easel.rectangle((0.0, high), (0.06, 0.22), BLACK, TRAFFIC_SIGN)
    elif kind == 2:
        easel.disc(middle, 0.36, blue, TRAFFIC_SIGN)
        easel.rectangle((0.0, high), (0.09, 0.4), white, TRAFFIC_SIGN)
    elif kind == 3:
        easel.rectangle(middle, (0.62, 0.62), blue, TRAFFIC_SIGN)
        easel.disc(middle, 0.24, white, TRAFFIC_SIGN, 3)
    elif kind == 4:
        easel.disc(middle, 0.46, white, TRAFFIC_SIGN, 4)
        easel.disc(middle, 0.37, yellow, TRAFFIC_SIGN, 4)
    else:
        easel.rectangle(
            (0.0, high), (1.3, 0.6), (blue, white, yellow)[rng.integers(3)], TRAFFIC_SIGN
        )
        for level in (0.14, -0.12):
            easel.rectangle((-0.1, high + level), (0.85, 0.1), white * 0.85, TRAFFIC_SIGN)


def _bollard(easel: _Easel, rng: np.random.Generator, inward: float, light: Light) -> None:
    tone = (BLACK * 2, STEEL, np.array([0.85, 0.85, 0.82]))[rng.integers(3)]
    easel.bar((0, 0), (0, 0.95), 0.13, tone)
    easel.bar((0, 0.72), (0, 0.82), 0.135, np.array([0.8, 0.25, 0.15]))
