"""Vehicles on the road: parked, ahead of us, or coming towards us."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from roadanomaly.streets import vehicles
from roadanomaly.streets.camera import Camera
from roadanomaly.streets.canvas import Canvas
from roadanomaly.streets.light import Light
from roadanomaly.streets.mesh import Body, draw_mesh
from roadanomaly.streets.palette import paint
from roadanomaly.streets.shadows import Caster
from roadanomaly.streets.thing import Thing

KINDS = {
    "car": (13, vehicles.car),
    "truck": (14, vehicles.truck),
    "bus": (15, vehicles.bus),
    "tram": (16, vehicles.tram),
}
"""Kind: its class and how to build it."""
SHAPES = 16
"""Different shapes of each kind."""


@dataclass(frozen=True)
class _Shape:
    """One shape of a kind.

    Args:
        bodies: without paint.
        takes: how much of the paint each face takes, `(F, 3)` a body.
        size: width, height and length, metres.
    """

    bodies: list[Body]
    takes: list[np.ndarray]
    size: tuple[float, float, float]


@lru_cache(maxsize=256)
def _shape(kind: str, variant: int, lamps: float) -> _Shape:
    """Build a shape twice, black and white: colours are linear in the paint."""
    build = KINDS[kind][1]
    black, size = build(np.random.default_rng([23, variant]), np.zeros(3), lamps)
    white, _ = build(np.random.default_rng([23, variant]), np.ones(3), lamps)
    bodies = [Body.of(part) for part in black]
    takes = [Body.of(part).colours - body.colours for part, body in zip(white, bodies, strict=True)]
    width, height, length = size.tolist()
    return _Shape(bodies, takes, (width, height, length))


@dataclass(frozen=True)
class Vehicle(Thing):
    """A car, truck, bus or tram.

    Args:
        kind: one of `KINDS`.
        heading: radians; 0 runs with us, pi against us.
    """

    kind: str = "car"
    heading: float = 0.0

    @property
    def size(self) -> tuple[float, float, float]:
        """Width, height and length, metres."""
        return _shape(self.kind, self.key % SHAPES, 0.0).size

    @property
    def half(self) -> tuple[float, float]:
        """Half extents."""
        width, _, length = self.size
        across, along = width / 2, length / 2
        return (across, along) if abs(np.cos(self.heading)) > 0.7 else (along, across)

    def draw(self, canvas: Canvas, camera: Camera, light: Light) -> None:
        """Paint it."""
        if not camera.sees(self.x, self.s, self.half):
            return
        shape = _shape(self.kind, self.key % SHAPES, light.lamps if self.speed else 0.0)
        tone = paint(np.random.default_rng([23, self.key]))
        bodies = [
            replace(body, colours=body.colours + share * tone)
            for body, share in zip(shape.bodies, shape.takes, strict=True)
        ]
        place = (self.x, self.s, self.heading)
        draw_mesh(canvas, camera, light, bodies, place, KINDS[self.kind][0], 0.025)

    def casters(self) -> list[Caster]:
        """Return its block."""
        x, s = self.half
        box = (self.x - x, self.x + x), (self.s - s, self.s + s)
        return [Caster(*box, 0.0, 0.93 * self.size[1])]
