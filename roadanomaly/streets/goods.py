"""Lost goods and bulky waste, built of faces: the solid anomalies."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from roadanomaly.streets.mesh import Part
from roadanomaly.streets.palette import earth, paint


def _either(rng: np.random.Generator) -> np.ndarray:
    return paint(rng) if rng.random() < 0.55 else earth(rng)


def box(rng: np.random.Generator) -> list[Part]:
    """Build a carton with tape and a label."""
    colour, tape = _either(rng), _either(rng)
    w, h, d = rng.uniform(0.2, 0.45), rng.uniform(0.25, 0.7), rng.uniform(0.2, 0.45)
    part = Part()
    part.box((-w, w), (0, h), (-d, d), colour)
    top = h + 0.003
    part.add([(-w, top, -0.05), (w, top, -0.05), (w, top, 0.05), (-w, top, 0.05)], tape)
    for side in (-1, 1):
        x, z = side * (w + 0.003), side * (d + 0.003)
        part.add([(x, h * 0.6, -0.05), (x, h * 0.6, 0.05), (x, h, 0.05), (x, h, -0.05)], tape)
        part.add(
            [(-w * 0.6, h * 0.3, z), (0, h * 0.3, z), (0, h * 0.6, z), (-w * 0.6, h * 0.6, z)], tape
        )
    return [part]


def crates(rng: np.random.Generator) -> list[Part]:
    """Build a heap of slatted crates."""
    parts = []
    for level in range(int(rng.integers(1, 4))):
        colour, part = _either(rng), Part()
        w, d, x = rng.uniform(0.3, 0.55), rng.uniform(0.3, 0.45), rng.normal(0, 0.06)
        low, high = level * 0.34, level * 0.34 + 0.32
        part.box((x - w, x + w), (low, high), (-d, d), colour * 0.45)
        for step in range(3):
            a = low + 0.02 + step * 0.1
            for side in (-1, 1):
                p, q = x + side * (w + 0.004), side * (d + 0.004)
                part.add([(p, a, -d), (p, a, d), (p, a + 0.075, d), (p, a + 0.075, -d)], colour)
                part.add(
                    [(x - w, a, q), (x + w, a, q), (x + w, a + 0.075, q), (x - w, a + 0.075, q)],
                    colour,
                )
        parts.append(part)
    return [Part([face for part in parts for face in part.faces])]


def mattress(rng: np.random.Generator) -> list[Part]:
    """Build a mattress that lies flat or leans, quilted or striped."""
    colour, mark = np.clip(_either(rng) * 1.25, 0, 0.95), _either(rng)
    thick = rng.uniform(0.18, 0.3)
    part = Part()
    part.box((-1.0, 1.0), (0, thick), (-0.7, 0.7), colour)
    top = thick + 0.003
    for x in np.linspace(-0.85, 0.85, int(rng.integers(4, 11))):
        part.add(
            [
                (x - 0.03, top, -0.7),
                (x + 0.03, top, -0.7),
                (x + 0.03, top, 0.7),
                (x - 0.03, top, 0.7),
            ],
            mark,
        )
    for z in (-0.703, 0.703):
        part.add(
            [(-1, thick * 0.4, z), (1, thick * 0.4, z), (1, thick * 0.6, z), (-1, thick * 0.6, z)],
            mark,
        )
    if rng.random() < 0.5:
        lean = rng.uniform(0.8, 1.2)
        turn = np.array(
            [[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]]
        )
        points = np.concatenate([face.corners for face in part.faces]) @ turn.T
        shift = np.array([0, -points[:, 1].min(), 0])
        tilted = Part()
        for face in part.faces:
            tilted.add(face.corners @ turn.T + shift, face.colour)
        return [tilted]
    return [part]


def sofa(rng: np.random.Generator) -> list[Part]:
    """Build a sofa or an armchair with cushions."""
    colour, half = _either(rng), rng.uniform(0.5, 1.05)
    seat, back, left, right = Part(), Part(), Part(), Part()
    seat.box((-half + 0.18, half - 0.18), (0.06, 0.42), (-0.42, 0.3), colour)
    cushions = max(1, round(half * 2))
    step = (2 * half - 0.36) / cushions
    for index in range(cushions):
        a = -half + 0.18 + index * step
        tone = colour * rng.uniform(0.95, 1.15)
        seat.add(
            [
                (a + 0.02, 0.425, -0.42),
                (a + step - 0.02, 0.425, -0.42),
                (a + step - 0.02, 0.425, 0.3),
                (a + 0.02, 0.425, 0.3),
            ],
            tone * 1.1,
        )
        seat.add(
            [
                (a + 0.02, 0.25, -0.425),
                (a + step - 0.02, 0.25, -0.425),
                (a + step - 0.02, 0.41, -0.425),
                (a + 0.02, 0.41, -0.425),
            ],
            tone,
        )
    back.box((-half, half), (0.06, 0.85), (0.26, 0.48), colour * 0.95)
    left.box((-half, -half + 0.2), (0.06, 0.6), (-0.45, 0.3), colour)
    right.box((half - 0.2, half), (0.06, 0.6), (-0.45, 0.3), colour)
    return [back, seat, left, right]


def fridge(rng: np.random.Generator) -> list[Part]:
    """Build a fridge or a washing machine."""
    white = np.array([0.85, 0.85, 0.84]) * rng.uniform(0.55, 1.08)
    colour = white if rng.random() < 0.6 else _either(rng)
    high = rng.choice([0.85, 1.5, 1.8])
    part = Part()
    part.box((-0.32, 0.32), (0, high), (-0.32, 0.32), colour, 0.15)
    z = -0.325
    if high < 1:
        angle = np.linspace(0, 2 * np.pi, 18, endpoint=False)
        for radius, tone in ((0.23, 0.5), (0.19, 0.15)):
            ring = np.stack(
                [radius * np.cos(angle), 0.4 + radius * np.sin(angle), np.full(18, z)], -1
            )
            part.add(ring, colour * tone, 0.3)
        part.add([(-0.28, 0.7, z), (0.28, 0.7, z), (0.28, 0.8, z), (-0.28, 0.8, z)], colour * 0.7)
    else:
        split = high * 0.62
        part.add(
            [
                (-0.32, split, z),
                (0.32, split, z),
                (0.32, split + 0.02, z),
                (-0.32, split + 0.02, z),
            ],
            colour * 0.4,
        )
        part.add(
            [
                (0.22, split - 0.4, z),
                (0.26, split - 0.4, z),
                (0.26, split - 0.08, z),
                (0.22, split - 0.08, z),
            ],
            colour * 0.35,
        )
    return [part]


def chair(rng: np.random.Generator) -> list[Part]:
    """Build a chair or a small table."""
    colour = _either(rng)
    parts = []
    for x in (-0.24, 0.24):
        for z in (-0.24, 0.24):
            leg = Part()
            leg.box((x - 0.025, x + 0.025), (0, 0.46), (z - 0.025, z + 0.025), colour * 0.8)
            parts.append(leg)
    seat = Part()
    seat.box((-0.28, 0.28), (0.44, 0.5), (-0.28, 0.28), colour)
    parts.append(seat)
    if rng.random() < 0.7:
        rest = Part()
        rest.box((-0.28, 0.28), (0.5, 1.0), (0.24, 0.28), colour * 0.95)
        parts.append(rest)
    return parts


def pallet(rng: np.random.Generator) -> list[Part]:
    """Build a pallet, perhaps loaded."""
    colour = earth(rng)
    part = Part()
    part.box((-0.6, 0.6), (0, 0.13), (-0.5, 0.5), colour * 0.5)
    for x in np.linspace(-0.52, 0.52, 6):
        part.add(
            [
                (x - 0.07, 0.133, -0.5),
                (x + 0.07, 0.133, -0.5),
                (x + 0.07, 0.133, 0.5),
                (x - 0.07, 0.133, 0.5),
            ],
            colour,
        )
        part.add(
            [
                (x - 0.07, 0.1, -0.503),
                (x + 0.07, 0.1, -0.503),
                (x + 0.07, 0.133, -0.503),
                (x - 0.07, 0.133, -0.503),
            ],
            colour,
        )
    if rng.random() < 0.6:
        load = _either(rng)
        for row in range(int(rng.integers(1, 4))):
            low, tone = 0.14 + 0.2 * row, load * rng.uniform(0.8, 1.15)
            part.box((-0.5, 0.5), (low, low + 0.19), (-0.42, 0.42), tone)
    return [part]


def _tube(
    part: Part, start: np.ndarray, end: np.ndarray, radius: float, colours: list[np.ndarray]
) -> None:
    """Add a cylinder of one or more bands from start to end, with both lids."""
    axis = (end - start) / np.linalg.norm(end - start)
    first = np.cross(axis, [0.3, 0.2, 0.9])
    first /= np.linalg.norm(first)
    second = np.cross(axis, first)
    angle = np.linspace(0, 2 * np.pi, 13)
    rim = radius * (np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * second)
    for index, colour in enumerate(colours):
        a = start + (end - start) * index / len(colours)
        b = start + (end - start) * (index + 1) / len(colours)
        for p, q in pairwise(rim):
            part.add([a + p, a + q, b + q, b + p], colour, 0.08)
    part.add(start + rim[:-1], colours[0] * 0.8)
    part.add(end + rim[:-1], colours[-1] * 0.85)


def barrel(rng: np.random.Generator) -> list[Part]:
    """Build a drum with bands, standing or rolled over."""
    a, b = _either(rng), _either(rng)
    bands = [a, b, a] if rng.random() < 0.4 else [a, a * 0.7, a, a * 0.7, a]
    part, radius = Part(), rng.uniform(0.25, 0.34)
    if rng.random() < 0.65:
        _tube(part, np.array([0, 0, 0]), np.array([0, rng.uniform(0.7, 1.0), 0]), radius, bands)
    else:
        _tube(part, np.array([-0.45, radius, 0]), np.array([0.45, radius, 0]), radius, bands)
    return [part]


def log(rng: np.random.Generator) -> list[Part]:
    """Build a trunk, a pipe or a rolled carpet that lies down."""
    colour = _either(rng)
    part, radius, half = Part(), rng.uniform(0.1, 0.3), rng.uniform(0.6, 1.3)
    shades = [colour * rng.uniform(0.8, 1.15) for _ in range(5)]
    tilt = rng.uniform(0, 0.12)
    _tube(part, np.array([-half, radius, 0]), np.array([half, radius + tilt, 0]), radius, shades)
    return [part]


def suitcase(rng: np.random.Generator) -> list[Part]:
    """Build a suitcase with ribs and a handle."""
    colour = _either(rng)
    part = Part()
    part.box((-0.25, 0.25), (0.03, 0.65), (-0.13, 0.13), colour, 0.15)
    for x in np.linspace(-0.18, 0.18, 5):
        part.add(
            [
                (x - 0.015, 0.05, -0.133),
                (x + 0.015, 0.05, -0.133),
                (x + 0.015, 0.63, -0.133),
                (x - 0.015, 0.63, -0.133),
            ],
            colour * 0.65,
        )
    grip = Part()
    grip.box((-0.1, 0.1), (0.65, 0.85), (-0.01, 0.01), colour * 0.4)
    wheels = Part()
    wheels.box((-0.22, 0.22), (0, 0.04), (-0.1, 0.1), np.array([0.08, 0.08, 0.08]))
    return [Part(wheels.faces + part.faces), grip]
