"""Vehicles on the road: parked, ahead of us, or coming towards us."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from roadanomaly.data.procedural import vehicles
from roadanomaly.data.procedural.camera import Camera
from roadanomaly.data.procedural.canvas import Canvas
from roadanomaly.data.procedural.light import Light
from roadanomaly.data.procedural.mesh import Body, draw_mesh
from roadanomaly.data.procedural.palette import paint
from roadanomaly.data.procedural.shadows import Caster
from roadanomaly.data.procedural.thing import Thing

KINDS = {
    "car": (13, vehicles.car, 4.4),
    "truck": (14, vehicles.truck, 8.0),
    "bus": (15, vehicles.bus, 10.5),
    "tram": (16, vehicles.tram, 20.0),
}


SHAPES = 16
"""Different shapes of each kind."""


@lru_cache(maxsize=256)
def _shape(kind: str, variant: int, lamps: float) -> tuple[list[Body], list[np.ndarray]]:
    """Build one shape: its bodies without paint, and how much paint each face takes, `(F, 3)`."""
    build = KINDS[kind][1]
    bare, painted = (
        [Body.of(part) for part in build(np.random.default_rng([23, variant]), tone, lamps)[0]]
        for tone in (np.zeros(3), np.ones(3))
    )
    takes = [full.colours - body.colours for full, body in zip(painted, bare, strict=True)]
    return bare, takes


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
        rng = np.random.default_rng([23, self.key])
        bare, takes = _shape(
            self.kind, int(rng.integers(SHAPES)), light.lamps if self.speed else 0.0
        )
        tone = paint(rng)
        bodies = [
            replace(body, colours=body.colours + share * tone)
            for body, share in zip(bare, takes, strict=True)
        ]
        place = (self.x, self.s, self.heading)
        draw_mesh(canvas, camera, light, bodies, place, KINDS[self.kind][0], 0.025)

    def casters(self) -> list[Caster]:
        """Return its block."""
        x, s = self.half
        height = 1.35 if self.kind == "car" else 3.0
        return [Caster((self.x - x, self.x + x), (self.s - s, self.s + s), 0.0, height)]
