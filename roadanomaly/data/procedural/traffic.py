"""Vehicles on the road: parked, ahead of us, or coming towards us."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from roadanomaly.data.procedural import vehicles
from roadanomaly.data.procedural.camera import Camera
from roadanomaly.data.procedural.canvas import Canvas
from roadanomaly.data.procedural.light import Light
from roadanomaly.data.procedural.mesh import Part, draw_mesh
from roadanomaly.data.procedural.palette import paint
from roadanomaly.data.procedural.shadows import Caster
from roadanomaly.data.procedural.thing import Thing

KINDS = {
    "car": (13, vehicles.car, 4.4),
    "truck": (14, vehicles.truck, 8.0),
    "bus": (15, vehicles.bus, 10.5),
    "tram": (16, vehicles.tram, 20.0),
}


@lru_cache(maxsize=64)
def _build(kind: str, key: int, lamps: float) -> list[Part]:
    rng = np.random.default_rng([23, key])
    return KINDS[kind][1](rng, paint(rng), lamps)[0]


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
    def half(self) -> tuple[float, float]:
        """Half extents, roughly: those of its kind."""
        across = 0.95 if self.kind == "car" else 1.3
        along = KINDS[self.kind][2] / 2
        return (across, along) if abs(np.cos(self.heading)) > 0.7 else (along, across)

    def draw(self, canvas: Canvas, camera: Camera, light: Light) -> None:
        """Paint it."""
        if not camera.sees(self.x, self.s, self.half):
            return
        parts = _build(self.kind, self.key, light.lamps if self.speed else 0.0)
        place = (self.x, self.s, self.heading)
        draw_mesh(canvas, camera, light, parts, place, KINDS[self.kind][0], 0.025)

    def casters(self) -> list[Caster]:
        """Return its block."""
        x, s = self.half
        height = 1.35 if self.kind == "car" else 3.0
        return [Caster((self.x - x, self.x + x), (self.s - s, self.s + s), 0.0, height)]
