"""People on foot, and riders with what they ride."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roadanomaly.streets.camera import Camera
from roadanomaly.streets.canvas import Canvas
from roadanomaly.streets.light import Light
from roadanomaly.streets.palette import paint
from roadanomaly.streets.shadows import Caster
from roadanomaly.streets.sketch import Sketch
from roadanomaly.streets.thing import Thing

PERSON, RIDER, MOTORCYCLE, BICYCLE = 11, 12, 17, 18
SKINS = ((0.86, 0.66, 0.54), (0.70, 0.50, 0.38), (0.46, 0.31, 0.23), (0.92, 0.76, 0.66))
HAIRS = ((0.12, 0.09, 0.08), (0.32, 0.21, 0.13), (0.62, 0.50, 0.32), (0.55, 0.54, 0.53))
METAL = np.array([0.22, 0.22, 0.24])
RUBBER = np.array([0.07, 0.07, 0.07])


@dataclass(frozen=True)
class Person(Thing):
    """Somebody on foot.

    Args:
        height: metres.
        across: whether they walk across the road, seen from the side.
    """

    height: float = 1.74
    across: bool = False

    @property
    def half(self) -> tuple[float, float]:
        """Half extents."""
        return 0.28, 0.22

    @property
    def reach(self) -> float:
        """Half the width with arms and legs spread."""
        return 0.7

    def draw(self, canvas: Canvas, camera: Camera, light: Light) -> None:
        """Paint them."""
        distance = self.s - camera.s
        if distance < 1.5:
            return
        rng = np.random.default_rng([29, self.key])
        foot = camera.foot(self.x, self.s)
        sketch = Sketch(canvas, foot, (0.7, 0.7, self.height + 0.1), light.sprite, light.side)
        if sketch.empty:
            return
        walks = self.speed != 0 or rng.random() < 0.6
        swing = np.sin(self.time * 0.55 + rng.uniform(0, 6.28)) * (0.24 if walks else 0.06)
        _person(sketch, rng, self.height, swing, self.across)
        canvas.paste(sketch.patch(0.07, self.key % 251, 0.25), PERSON, distance)

    def casters(self) -> list[Caster]:
        """Return a narrow block."""
        box = (self.x - 0.22, self.x + 0.22), (self.s - 0.18, self.s + 0.18)
        return [Caster(*box, 0.0, self.height, round=True)]


def _person(
    sketch: Sketch, rng: np.random.Generator, height: float, swing: float, across: bool
) -> None:
    k = height / 1.74
    top, trousers, shoe = paint(rng), paint(rng) * 0.8, np.array([0.1, 0.1, 0.1])
    skin = np.array(SKINS[rng.integers(4)])
    hair = np.array(HAIRS[rng.integers(4)])
    coat, skirt = rng.random() < 0.3, rng.random() < 0.18
    broad = (0.13 if across else 0.19) * k
    spread = swing if across else swing * 0.35
    for side in (-1, 1):
        hip = (side * (0.03 if across else 0.085) * k, 0.9 * k)
        ankle = (hip[0] + side * spread * k, 0.07 * k + max(0, side * swing) * 0.1)
        knee = ((hip[0] + ankle[0]) / 2 + (0.04 * k if across else 0), 0.5 * k)
        sketch.limb([hip, knee, ankle], 0.15 * k, trousers if not skirt else skin)
        step = (ankle[0] + (0.08 * k if across else 0), ankle[1] - 0.03 * k)
        sketch.limb([ankle, step], 0.1 * k, shoe)
    if skirt:
        sketch.shape(
            [
                (-0.13 * k, 0.98 * k),
                (0.13 * k, 0.98 * k),
                (0.22 * k, 0.55 * k),
                (-0.22 * k, 0.55 * k),
            ],
            trousers,
        )
    hem = (0.62 if coat else 0.9) * k
    torso = [(-broad * 0.85, hem), (broad * 0.85, hem), (broad, 1.42 * k), (-broad, 1.42 * k)]
    far, near = (-1, 1)
    _arm(sketch, far, broad, -spread, k, top * 0.85, skin)
    sketch.shape(torso, top)
    sketch.limb([(-broad * 0.55, 1.4 * k), (broad * 0.55, 1.4 * k)], 0.16 * k, top)
    _arm(sketch, near, broad, spread, k, top, skin)
    sketch.limb([(0, 1.42 * k), (0.01 * k, 1.55 * k)], 0.1 * k, skin)
    sketch.ball((0.01 * k, 1.6 * k), (0.095 * k, 0.125 * k), skin)
    away = rng.random() < 0.5
    sketch.ball((-0.01 * k, 1.655 * k), (0.1 * k, (0.11 if away else 0.075) * k), hair)
    if rng.random() < 0.3:
        bag = (broad * (0.6 if across else 0.0), 1.18 * k)
        sketch.ball(bag, (0.13 * k, 0.2 * k), paint(rng))


def _arm(
    sketch: Sketch,
    side: int,
    broad: float,
    spread: float,
    k: float,
    sleeve: np.ndarray,
    skin: np.ndarray,
) -> None:
    shoulder = (side * broad * 0.95, 1.38 * k)
    hand = (shoulder[0] + side * 0.05 * k + spread * 0.8, 0.86 * k)
    elbow = ((shoulder[0] + hand[0]) / 2 + side * 0.03 * k, 1.1 * k)
    sketch.limb([shoulder, elbow, hand], 0.095 * k, sleeve)
    sketch.ball(hand, (0.05 * k, 0.055 * k), skin)


@dataclass(frozen=True)
class Cycle(Thing):
    """A bicycle or motorcycle, with a rider or parked.

    Args:
        motor: a motorcycle.
        ridden: with a rider on it.
        across: seen from the side, rather than from behind.
    """

    motor: bool = False
    ridden: bool = True
    across: bool = False

    @property
    def half(self) -> tuple[float, float]:
        """Half extents."""
        return (0.85, 0.25) if self.across else (0.3, 0.85)

    @property
    def reach(self) -> float:
        """Half the width of what is drawn."""
        return 1.1 if self.across else 0.5

    def draw(self, canvas: Canvas, camera: Camera, light: Light) -> None:
        """Paint the cycle, then the rider."""
        distance = self.s - camera.s
        if distance < 1.8:
            return
        foot = camera.foot(self.x, self.s)
        for rider in (False, True) if self.ridden else (False,):
            rng = np.random.default_rng([37, self.key, int(rider)])
            sketch = Sketch(canvas, foot, (1.2, 1.2, 1.95), light.sprite, light.side)
            if sketch.empty:
                return
            if self.across:
                (_rider_side if rider else _cycle_side)(sketch, rng, self.motor)
            else:
                (_rider_rear if rider else _cycle_rear)(sketch, rng, self.motor, self.time)
            class_id = RIDER if rider else MOTORCYCLE if self.motor else BICYCLE
            canvas.paste(sketch.patch(0.06, self.key % 251, 0.2), class_id, distance)

    def casters(self) -> list[Caster]:
        """Return a block."""
        x, s = self.half
        height = 1.6 if self.ridden else 1.0
        box = (self.x - x * 0.7, self.x + x * 0.7), (self.s - s * 0.7, self.s + s * 0.7)
        return [Caster(*box, 0.0, height, round=True)]


def _cycle_side(sketch: Sketch, rng: np.random.Generator, motor: bool) -> None:
    colour = paint(rng)
    radius, base = (0.31, 0.68) if motor else (0.34, 0.53)
    for side in (-1, 1):
        middle = (side * base, radius)
        if motor:
            sketch.ball(middle, (radius, radius), RUBBER, soft=False)
            sketch.ball(middle, (radius * 0.55, radius * 0.55), METAL * 2)
            continue
        for angle in np.linspace(0, np.pi, 5, endpoint=False):
            spoke = 0.31 * np.array([np.cos(angle), np.sin(angle)])
            a, b = np.array(middle) - spoke, np.array(middle) + spoke
            sketch.limb([tuple(a), tuple(b)], 0.012, METAL * 2)
        sketch.ring(middle, radius, 0.06, RUBBER)
    if motor:
        sketch.shape(
            [(-0.75, 0.72), (-0.2, 0.66), (0.35, 0.85), (0.5, 0.66), (0.2, 0.35), (-0.35, 0.35)],
            colour,
        )
        sketch.ball((0.0, 0.38), (0.3, 0.19), METAL * 1.6)
        sketch.limb([(-0.7, 0.78), (-0.1, 0.76)], 0.12, RUBBER * 2)
        sketch.limb([(0.68, 0.31), (0.45, 0.95), (0.32, 1.02)], 0.07, METAL)
        return
    frame = [(-0.53, 0.34), (-0.18, 0.82), (0.36, 0.84), (-0.1, 0.36), (-0.53, 0.34)]
    sketch.limb(frame, 0.05, colour)
    sketch.limb([(-0.1, 0.36), (-0.2, 0.92)], 0.045, colour)
    sketch.limb([(0.53, 0.34), (0.34, 0.98), (0.45, 1.02)], 0.045, METAL)
    sketch.limb([(-0.32, 0.94), (-0.08, 0.94)], 0.07, RUBBER * 2)


def _cycle_rear(sketch: Sketch, rng: np.random.Generator, motor: bool, time: float) -> None:
    colour = paint(rng)
    wide = 0.17 if motor else 0.07
    sketch.limb([(0, wide / 2), (0, 0.6)], wide, RUBBER)
    if motor:
        sketch.ball((0, 0.72), (0.2, 0.26), colour)
        sketch.shape(
            [(-0.09, 0.74), (0.09, 0.74), (0.09, 0.64), (-0.09, 0.64)], np.array([0.9, 0.15, 0.1])
        )
    else:
        sketch.limb([(0, 0.55), (0, 0.92)], 0.07, colour)
    sketch.limb([(-0.31, 1.04), (0.31, 1.04)], 0.05, METAL)


def _rider_side(sketch: Sketch, rng: np.random.Generator, motor: bool) -> None:
    top, trousers, helmet = paint(rng), paint(rng) * 0.7, paint(rng)
    skin = np.array(SKINS[rng.integers(4)])
    seat, lean = ((-0.3, 0.88), 0.12) if motor else ((-0.2, 1.0), 0.3)
    shoulder = (seat[0] + lean, seat[1] + 0.5)
    sketch.limb([seat, (seat[0] + 0.36, seat[1] - 0.18), (seat[0] + 0.22, 0.36)], 0.14, trousers)
    sketch.limb([(seat[0] + 0.2, 0.36), (seat[0] + 0.34, 0.33)], 0.09, RUBBER)
    sketch.limb([seat, shoulder], 0.27, top)
    sketch.limb([shoulder, (shoulder[0] + 0.2, shoulder[1] - 0.28), (0.36, 1.05)], 0.1, top)
    sketch.ball((shoulder[0] + 0.1, shoulder[1] + 0.24), (0.11, 0.14), skin)
    sketch.ball((shoulder[0] + 0.09, shoulder[1] + 0.29), (0.135, 0.12), helmet)


def _rider_rear(sketch: Sketch, rng: np.random.Generator, motor: bool, time: float) -> None:
    top, trousers, helmet = paint(rng), paint(rng) * 0.7, paint(rng)
    swing = 0.1 * np.sin(time * 0.6 + rng.uniform(0, 6))
    for side in (-1, 1):
        low = 0.32 + (0 if motor else side * swing)
        sketch.limb(
            [(side * 0.1, 0.92), (side * 0.2, 0.65 + low / 5), (side * 0.16, low)], 0.14, trousers
        )
        sketch.limb([(side * 0.16, low), (side * 0.17, low - 0.06)], 0.1, RUBBER)
        sketch.limb([(side * 0.19, 1.42), (side * 0.31, 1.2), (side * 0.29, 1.06)], 0.1, top)
    sketch.ball((0, 0.97), (0.19, 0.14), trousers)
    sketch.shape([(-0.15, 0.95), (0.15, 0.95), (0.22, 1.42), (-0.22, 1.42)], top)
    sketch.limb([(-0.12, 1.42), (0.12, 1.42)], 0.17, top)
    sketch.ball((0, 1.63), (0.12, 0.15), helmet)
