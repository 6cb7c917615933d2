"""Buildings, walls, fences and hedges along the road."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roadanomaly.streets import facades
from roadanomaly.streets.camera import NEAR, Camera
from roadanomaly.streets.canvas import Canvas, Texture
from roadanomaly.streets.light import Light
from roadanomaly.streets.shadows import Caster
from roadanomaly.streets.thing import Thing

BUILDING, WALL, FENCE, VEGETATION = 2, 3, 4, 8


def upright(
    canvas: Canvas,
    camera: Camera,
    texture: Texture,
    ends: tuple[tuple[float, float], tuple[float, float]],
    heights: tuple[float, float],
    shade: np.ndarray,
    class_id: int,
    repeat: float = 1.0,
) -> None:
    """Draw an upright rectangle.

    Args:
        canvas: painted in place.
        camera: where we are; what lies behind it is cut off.
        texture: shown on it.
        ends: `(x, s)` of the end that the camera sees on the left, and of the other.
        heights: of its foot and its top.
        shade: `(3,)` factor on the texture.
        class_id: label.
        repeat: how often the texture runs from end to end.
    """
    a, b = np.array(ends[0], float), np.array(ends[1], float)
    near = camera.s + NEAR
    if max(a[1], b[1]) <= near:
        return
    cut_a = np.clip((near - a[1]) / (b[1] - a[1]), 0, 1) if a[1] < near else 0.0
    cut_b = np.clip((near - b[1]) / (a[1] - b[1]), 0, 1) if b[1] < near else 0.0
    a, b = a + cut_a * (b - a), b + cut_b * (a - b)
    low, high = heights
    points = np.array(
        [[a[0], high, a[1]], [b[0], high, b[1]], [b[0], low, b[1]], [a[0], low, a[1]]]
    )
    pixels, depths = camera.project(points)
    if pixels[0, 0] >= pixels[1, 0]:
        return
    span = (repeat * cut_a, repeat * (1 - cut_b))
    canvas.quad(texture, pixels, depths, shade, class_id, span)


@dataclass(frozen=True)
class Building(Thing):
    """A house or a block.

    Args:
        length: along the road, metres.
        depth: across.
        height: of the walls.
        variant: of its elevation.
        house: with a pitched roof.
        tint: `(3,)` factor on its walls.
        joined: whether the nearer neighbour hides its end.
    """

    length: float = 12.0
    depth: float = 10.0
    height: float = 12.0
    variant: int = 0
    house: bool = False
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    joined: bool = False

    @property
    def half(self) -> tuple[float, float]:
        """Half extents."""
        return self.depth / 2, self.length / 2

    def draw(self, canvas: Canvas, camera: Camera, light: Light) -> None:
        """Paint the end that faces us, the front and the roof."""
        lit = light.lamps > 0.7
        texture = facades.facade(self.variant, lit, self.house)
        gain = np.array(self.tint) / (facades.DARK if lit else 1.0)
        side = np.sign(self.x)
        front, back = self.x - side * self.depth / 2, self.x + side * self.depth / 2
        near, far = self.s - self.length / 2, self.s + self.length / 2
        heights = (-0.05, self.height)
        end = gain * light.shade(np.array([0.0, 0.0, -1.0])) * 0.94
        face = gain * light.shade(np.array([-side, 0.0, 0.0]))
        ends = ((front, near), (back, near)) if side > 0 else ((back, near), (front, near))
        if near > camera.s + NEAR and not self.joined:
            upright(canvas, camera, texture, ends, heights, end, BUILDING)
        run = ((front, near), (front, far)) if side < 0 else ((front, far), (front, near))
        upright(canvas, camera, texture, run, heights, face, BUILDING)
        if self.house:
            self._draw_roof(canvas, camera, light, (front, back, near, far))

    def _draw_roof(
        self,
        canvas: Canvas,
        camera: Camera,
        light: Light,
        box: tuple[float, float, float, float],
    ) -> None:
        front, back, near, far = box
        near = max(near, camera.s + NEAR)
        if far <= near:
            return
        side = np.sign(self.x)
        middle, top = (front + back) / 2, self.height + 0.32 * self.depth
        eave = front - side * 0.5
        low = self.height - 0.25
        slope = np.array([-side * 0.55, 0.83, 0.0])
        corners = [[middle, top, near], [middle, top, far], [eave, low, far], [eave, low, near]]
        if side > 0:
            corners = [corners[1], corners[0], corners[3], corners[2]]
        pixels, depths = camera.project(np.array(corners))
        roof = facades.roof(self.variant % 8)
        shade = light.shade(slope) * (1.05 if light.lamps < 0.7 else 0.9)
        canvas.quad(roof, pixels, depths, shade, BUILDING, (0.0, self.length / 14))
        gable = np.array([[front, low, near], [middle, top, near], [back, low, near]])
        pixels, depths = camera.project(gable)
        tone = np.array(self.tint) * 0.62 * light.shade(np.array([0.0, 0.0, -1.0]))
        if near > camera.s + NEAR:
            canvas.polygon(pixels, tone, BUILDING, float(depths[0]))

    def casters(self) -> list[Caster]:
        """Return its block."""
        x, s = self.half
        return [Caster((self.x - x, self.x + x), (self.s - s, self.s + s), 0, self.height)]


@dataclass(frozen=True)
class Barrier(Thing):
    """A wall, fence or hedge along the road.

    Args:
        kind: `"wall"`, `"fence"` or `"hedge"`.
        length: metres.
        height: metres.
        variant: of its texture.
    """

    kind: str = "wall"
    length: float = 6.0
    height: float = 1.4
    variant: int = 0

    @property
    def half(self) -> tuple[float, float]:
        """Half extents."""
        return 0.2, self.length / 2

    def draw(self, canvas: Canvas, camera: Camera, light: Light) -> None:
        """Paint its face."""
        makers = {"wall": (facades.wall, WALL, 12), "fence": (facades.fence, FENCE, 6)}
        maker, class_id, count = makers.get(self.kind, (facades.hedge, VEGETATION, 4))
        near, far = self.s - self.length / 2, self.s + self.length / 2
        run = ((self.x, near), (self.x, far)) if self.x < 0 else ((self.x, far), (self.x, near))
        shade = light.shade(np.array([-np.sign(self.x), 0.15, -0.2]))
        texture = maker(self.variant % count)
        repeat = self.length / (self.height * 3.2)
        upright(canvas, camera, texture, run, (0.0, self.height), shade, class_id, repeat)

    def casters(self) -> list[Caster]:
        """Return its block."""
        s = self.length / 2
        return [Caster((self.x - 0.1, self.x + 0.1), (self.s - s, self.s + s), 0, self.height)]
