"""Things that have no business on a road, standing on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from roadanomaly.streets import goods, shapes
from roadanomaly.streets.camera import Camera
from roadanomaly.streets.canvas import Canvas
from roadanomaly.streets.light import Light
from roadanomaly.streets.mesh import Body, Part, draw_mesh
from roadanomaly.streets.shadows import Caster
from roadanomaly.streets.sketch import Sketch
from roadanomaly.streets.thing import Thing
from roadanomaly.types import NEGATIVE

Solid = Callable[[np.random.Generator], list[Part]]
Flat = Callable[[Sketch, np.random.Generator, float, float], None]

SOLIDS: dict[str, tuple[Solid, float, float, float]] = {
    "box": (goods.box, 0.3, 0.4, 0.35),
    "crates": (goods.crates, 0.6, 0.5, 0.9),
    "mattress": (goods.mattress, 1.0, 0.7, 0.3),
    "sofa": (goods.sofa, 1.0, 0.5, 0.8),
    "fridge": (goods.fridge, 0.35, 0.35, 1.7),
    "chair": (goods.chair, 0.3, 0.3, 0.9),
    "pallet": (goods.pallet, 0.6, 0.5, 0.3),
    "barrel": (goods.barrel, 0.32, 0.32, 0.9),
    "log": (goods.log, 1.1, 0.25, 0.4),
    "suitcase": (goods.suitcase, 0.28, 0.18, 0.7),
}
"""Kind: how to build it, and half its width, half its depth, and its height in metres."""

FLATS: dict[str, tuple[Flat, float, float]] = {
    "dog": (shapes.quadruped, 0.55, 0.6),
    "deer": (shapes.quadruped, 0.85, 1.5),
    "cow": (shapes.quadruped, 1.15, 1.5),
    "bird": (shapes.bird, 0.3, 0.5),
    "tyre": (shapes.tyre, 0.34, 0.66),
    "rock": (shapes.rock, 0.5, 0.55),
    "rubble": (shapes.rubble, 0.9, 0.5),
    "bag": (shapes.bag, 0.35, 0.6),
    "blob": (shapes.blob, 0.6, 0.8),
    "tarp": (shapes.tarp, 0.9, 0.6),
    "ball": (shapes.ball, 0.25, 0.5),
    "branch": (shapes.branch, 0.9, 0.7),
    "wreckage": (shapes.wreckage, 0.8, 0.8),
}
"""Kind: how to draw it, and half its width and its height in metres."""

KINDS: tuple[str, ...] = (*SOLIDS, *FLATS)

OUTLIER_KINDS: tuple[str, ...] = KINDS[1::2]
"""Kinds that a detector may learn from."""

TEST_KINDS: tuple[str, ...] = KINDS[::2]
"""Kinds that it meets in tests alone."""


@dataclass(frozen=True)
class Anomaly(Thing):
    """A strange object.

    Args:
        kind: one of `KINDS`.
        size: factor on its usual size.
        heading: turns a solid one, radians.
    """

    kind: str = "box"
    size: float = 1.0
    heading: float = 0.0

    @property
    def half(self) -> tuple[float, float]:
        """Half extents on the ground."""
        if self.kind in FLATS:
            wide = FLATS[self.kind][1] * self.size
            return wide, min(wide, 0.35)
        _, x, z, _ = SOLIDS[self.kind]
        c, s = abs(np.cos(self.heading)), abs(np.sin(self.heading))
        return self.size * (x * c + z * s), self.size * (x * s + z * c)

    @property
    def height(self) -> float:
        """Metres."""
        table = FLATS[self.kind] if self.kind in FLATS else SOLIDS[self.kind]
        return float(table[-1]) * self.size

    @property
    def reach(self) -> float:
        """Half the width of what is drawn."""
        return 1.5 * self.half[0]

    def draw(self, canvas: Canvas, camera: Camera, light: Light) -> None:
        """Paint it with the label `NEGATIVE`."""
        if self.s - self.half[1] < camera.s + 1.5:
            return
        rng = np.random.default_rng([53, self.key])
        if self.kind in SOLIDS:
            bodies = [Body.of(part) for part in SOLIDS[self.kind][0](rng)]
            bodies = [replace(body, points=body.points * self.size) for body in bodies]
            place = (self.x, self.s, self.heading)
            draw_mesh(canvas, camera, light, bodies, place, NEGATIVE, 0.09)
            return
        draw, half, height = FLATS[self.kind]
        half, height = half * self.size, height * self.size
        foot = camera.foot(self.x, self.s)
        reach = (half * 1.5, half * 1.5, height * 1.5)
        sketch = Sketch(canvas, foot, reach, light.sprite, light.side)
        if sketch.empty:
            return
        draw(sketch, rng, half, height)
        patch = sketch.patch(rng.uniform(0.06, 0.16), self.key % 251, 0.5)
        canvas.paste(patch, NEGATIVE, self.s - camera.s)

    def casters(self) -> list[Caster]:
        """Return a block of its size."""
        x, s = self.half
        box = (self.x - x, self.x + x), (self.s - s, self.s + s)
        return [Caster(*box, 0.0, self.height * 0.9, round=self.kind in FLATS)]


def random_anomaly(
    rng: np.random.Generator,
    kinds: tuple[str, ...],
    key: int,
    x: float,
    s: float,
    size: float | None = None,
) -> Anomaly:
    """Draw an object of one of some kinds, tiny to large, for a place on the ground."""
    kind = kinds[int(rng.integers(len(kinds)))]
    factor = float(np.exp(rng.normal(0.1, 0.35))) if size is None else size
    heading = float(rng.uniform(-np.pi, np.pi))
    return Anomaly(key, x, s, kind=kind, size=float(np.clip(factor, 0.45, 2.4)), heading=heading)
