"""The shapes of cars, vans, trucks, buses and trams, built of faces."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from roadanomaly.streets.mesh import Part

GLASS = np.array([0.07, 0.08, 0.10])
TYRE = np.array([0.06, 0.06, 0.065])
RIM = np.array([0.45, 0.46, 0.48])
DARK = np.array([0.08, 0.08, 0.09])
RED = np.array([0.75, 0.08, 0.06])
WHITE = np.array([0.95, 0.94, 0.88])
_ANGLE = np.linspace(0, 2 * np.pi, 14, endpoint=False)
CIRCLE = np.stack([np.zeros(14), np.sin(_ANGLE), np.cos(_ANGLE)], -1)
PLATE = np.array([0.85, 0.85, 0.78])


def _wheels(part: Part, axles: tuple[float, ...], half: float, radius: float) -> None:
    for axle in axles:
        for side in (-1, 1):
            for reach, size, colour in ((0.004, 1.14, DARK), (0.008, 1.0, TYRE), (0.012, 0.6, RIM)):
                rim = CIRCLE * (0, size * radius, size * radius)
                rim += (side * (half + reach), radius, axle)
                rim[:, 1] = np.maximum(rim[:, 1], 0.0)
                part.add(rim, colour)


def _chassis(length: float, half: float, sill: float, radius: float, offset: float) -> Part:
    """Tyres seen from the ends, and the dark underside."""
    part = Part()
    part.box((-half + 0.2, half - 0.2), (0.16, sill), (-length / 2 + 0.15, length / 2 - 0.15), DARK)
    for axle in (-offset, offset):
        for a, b in ((-half, -half + 0.22), (half - 0.22, half)):
            z = axle + np.sign(axle) * radius * 0.9
            part.add([(a, 0, z), (b, 0, z), (b, sill + 0.1, z), (a, sill + 0.1, z)], TYRE)
    return part


def car(rng: np.random.Generator, paint: np.ndarray, lamps: float) -> tuple[list[Part], np.ndarray]:
    """Build a saloon, an estate, a hatchback or an off-roader.

    Returns:
        its parts, and `(width, height, length)` in metres.
    """
    tall = rng.choice([0.0, 0.06, 0.3], p=[0.4, 0.35, 0.25])
    half, length = rng.uniform(0.86, 0.95), rng.uniform(3.9, 4.8)
    end, sill = length / 2, 0.28 + 0.4 * tall
    belt, roof = 0.9 + 0.5 * tall, 1.42 + tall
    boot = rng.choice([0.12, 0.3, 0.95])
    nose = rng.uniform(1.0, 1.25)
    part = Part()
    stations = (
        (-end, belt - 0.16, 0.93), (-end + 0.22, belt, 0.985), (end - nose, belt, 1.0),
        (end - 0.35, belt - 0.14, 0.97), (end, belt - 0.3, 0.86),
    )  # fmt: skip
    _hull(part, stations, half, sill, paint)
    _cabin(
        part,
        (-end + boot, -end + boot + 0.5, end - nose - 0.75, end - nose),
        half,
        belt,
        roof,
        paint,
    )
    _wheels(part, (-length * 0.31, length * 0.31), half * 0.985, 0.31 + 0.15 * tall)
    _lights(part, half, end, sill, belt, lamps)
    chassis = _chassis(length, half, sill + 0.08, 0.31, length * 0.31)
    body = Part(chassis.faces + part.faces)
    return [body], np.array([2 * half, roof, length])


def _hull(
    part: Part,
    stations: tuple[tuple[float, float, float], ...],
    half: float,
    sill: float,
    paint: np.ndarray,
) -> None:
    """Lower body: sides that lean in above a crease, flat top, both ends."""
    for (z0, top0, w0), (z1, top1, w1) in pairwise(stations):
        mid0, mid1 = sill + 0.55 * (top0 - sill), sill + 0.55 * (top1 - sill)
        for side in (-1, 1):
            a, b = side * half * w0, side * half * w1
            part.add(
                [(a * 0.97, sill, z0), (b * 0.97, sill, z1), (b, mid1, z1), (a, mid0, z0)],
                paint * 0.9,
                0.25,
            )
            part.add(
                [(a, mid0, z0), (b, mid1, z1), (b * 0.93, top1, z1), (a * 0.93, top0, z0)],
                paint,
                0.35,
            )
        a, b = half * w0 * 0.93, half * w1 * 0.93
        part.add([(-a, top0, z0), (a, top0, z0), (b, top1, z1), (-b, top1, z1)], paint, 0.4)
    for z, top, w in (stations[0], stations[-1]):
        a = half * w
        mid = sill + 0.5 * (top - sill)
        part.add(
            [(-a * 0.96, sill, z), (a * 0.96, sill, z), (a, mid, z), (-a, mid, z)], paint * 0.8, 0.2
        )
        part.add([(-a, mid, z), (a, mid, z), (a * 0.93, top, z), (-a * 0.93, top, z)], paint, 0.3)


def _cabin(
    part: Part,
    z: tuple[float, float, float, float],
    half: float,
    belt: float,
    roof: float,
    paint: np.ndarray,
) -> None:
    """Greenhouse: body-coloured frame with glass let in."""
    low, high = half * 0.92, half * 0.74
    back, top_back, top_front, front = z
    part.add(
        [
            (-high, roof, top_back),
            (high, roof, top_back),
            (high, roof, top_front),
            (-high, roof, top_front),
        ],
        paint,
        0.4,
    )
    for bottom, top in ((back, top_back), (front, top_front)):
        frame = np.array(
            [(-low, belt, bottom), (low, belt, bottom), (high, roof, top), (-high, roof, top)]
        )
        part.add(frame, paint * 0.9, 0.3)
        part.add(_inset(frame, 0.1, 0.14), GLASS, 0.75)
    for side in (-1, 1):
        frame = np.array([
            (side * low, belt, back), (side * low, belt, front),
            (side * high, roof, top_front), (side * high, roof, top_back),
        ])  # fmt: skip
        part.add(frame, paint * 0.95, 0.3)
        glass = _inset(frame, 0.06, 0.14)
        cut = 0.47
        lower, upper = (
            glass[0] + cut * (glass[1] - glass[0]),
            glass[3] + cut * (glass[2] - glass[3]),
        )
        gap = np.array([0, 0, 0.05])
        part.add([glass[0], lower - gap, upper - gap, glass[3]], GLASS, 0.6)
        part.add([lower + gap, glass[1], glass[2], upper + gap], GLASS, 0.6)


def _inset(quad: np.ndarray, along: float, up: float) -> np.ndarray:
    """Shrink a quad (bottom left, bottom right, top right, top left) towards its middle."""
    a, b, c, d = quad
    left0, right0 = a + along * (b - a), b + along * (a - b)
    left1, right1 = d + along * (c - d), c + along * (d - c)
    share = up / 2
    return np.array([
        left0 + share * (left1 - left0), right0 + share * (right1 - right0),
        right1 + share * (right0 - right1), left1 + share * (left0 - left1),
    ])  # fmt: skip


def _lights(part: Part, half: float, end: float, sill: float, belt: float, lamps: float) -> None:
    low, high = belt - 0.34, belt - 0.2
    for side in (-1, 1):
        a, b = side * half * 0.58, side * half * 0.92
        z = -end - 0.01
        part.add(
            [(a, low, z), (b, low, z), (b, high + 0.02, z), (a, high + 0.02, z)],
            RED,
            0.1,
            0.25 + 0.7 * lamps,
        )
        a, b, z = side * half * 0.5, side * half * 0.84, end + 0.01
        part.add(
            [(a, low - 0.12, z), (b, low - 0.08, z), (b, high - 0.1, z), (a, high - 0.13, z)],
            WHITE,
            0.4,
            0.1 + 0.9 * lamps,
        )
    for z in (-end - 0.012, end + 0.012):
        part.add(
            [
                (-0.26, sill + 0.2, z),
                (0.26, sill + 0.2, z),
                (0.26, sill + 0.31, z),
                (-0.26, sill + 0.31, z),
            ],
            PLATE,
        )
        part.add(
            [
                (-half * 0.85, sill, z),
                (half * 0.85, sill, z),
                (half * 0.85, sill + 0.12, z),
                (-half * 0.85, sill + 0.12, z),
            ],
            DARK,
        )
    z, w = end + 0.011, half * 0.45
    part.add(
        [(-w, low - 0.12, z), (w, low - 0.12, z), (w, high - 0.12, z), (-w, high - 0.12, z)],
        DARK,
        0.2,
    )


def _panels(
    part: Part,
    half: float,
    height: tuple[float, float],
    span: tuple[float, float],
    count: int,
    colour: np.ndarray,
    gloss: float,
) -> None:
    """Windows or doors in a row along both sides."""
    step = (span[1] - span[0]) / count
    for index in range(count):
        a, b = span[0] + step * (index + 0.06), span[0] + step * (index + 0.94)
        for side in (-1, 1):
            x = side * (half + 0.006)
            part.add(
                [(x, height[0], a), (x, height[0], b), (x, height[1], b), (x, height[1], a)],
                colour,
                gloss,
            )


def _end(
    part: Part,
    half: float,
    height: tuple[float, float],
    z: float,
    colour: np.ndarray,
    gloss: float = 0.0,
    glow: float = 0.0,
) -> None:
    part.add(
        [(-half, height[0], z), (half, height[0], z), (half, height[1], z), (-half, height[1], z)],
        colour,
        gloss,
        glow,
    )


def bus(rng: np.random.Generator, paint: np.ndarray, lamps: float) -> tuple[list[Part], np.ndarray]:
    """Build a city bus or a coach."""
    half, length, roof = 1.25, rng.uniform(9, 12), rng.uniform(2.9, 3.3)
    part = _chassis(length, half, 0.4, 0.48, length * 0.3)
    part.box((-half, half), (0.38, roof), (-length / 2, length / 2), paint, 0.25)
    low = roof * 0.46
    _panels(
        part,
        half,
        (low, roof - 0.4),
        (-length / 2 + 0.3, length / 2 - 0.5),
        int(length / 1.5),
        GLASS,
        0.6,
    )
    _panels(
        part,
        half + 0.004,
        (0.6, 0.8),
        (-length / 2, length / 2),
        1,
        np.clip(1 - paint, 0.1, 0.85),
        0.1,
    )
    _panels(
        part, half + 0.006, (0.45, roof - 0.45), (length / 2 - 1.7, length / 2 - 0.5), 1, GLASS, 0.5
    )
    for z in (-length / 2 - 0.01, length / 2 + 0.01):
        _end(part, half * 0.9, (low - 0.25 * (z > 0), roof - 0.42), z, GLASS, 0.65)
        _end(part, half * 0.6, (roof - 0.34, roof - 0.1), z * 1.001, DARK, 0.0)
        _end(
            part,
            half * 0.42,
            (roof - 0.29, roof - 0.15),
            z * 1.002,
            np.array([0.95, 0.65, 0.15]),
            0,
            0.9,
        )
    _corner_lights(part, half, length / 2, (0.6, 0.85), lamps)
    _wheels(part, (-length * 0.3, length * 0.3), half, 0.48)
    return [part], np.array([2 * half, roof, length])


def tram(
    rng: np.random.Generator, paint: np.ndarray, lamps: float
) -> tuple[list[Part], np.ndarray]:
    """Build a tram of one long car."""
    half, length, roof = 1.3, rng.uniform(16, 24), 3.4
    part = Part()
    part.box((-half + 0.1, half - 0.1), (0.1, 0.4), (-length / 2 + 0.4, length / 2 - 0.4), DARK)
    part.box((-half, half), (0.3, roof), (-length / 2, length / 2), paint, 0.3)
    _panels(
        part,
        half,
        (1.35, 2.75),
        (-length / 2 + 0.6, length / 2 - 0.6),
        int(length / 1.7),
        GLASS,
        0.6,
    )
    _panels(part, half + 0.004, (2.95, 3.4), (-length / 2, length / 2), 1, WHITE * 0.8, 0.1)
    for z in (-length / 2 - 0.01, length / 2 + 0.01):
        _end(part, half * 0.88, (1.2, 2.75), z, GLASS, 0.65)
        _end(part, half * 0.4, (2.85, 3.1), z, np.array([0.95, 0.65, 0.15]), 0, 0.9)
    _corner_lights(part, half, length / 2, (0.7, 0.95), lamps)
    gear = Part()
    gear.box((-0.5, 0.5), (roof, roof + 0.3), (-2.5, 2.5), np.array([0.4, 0.4, 0.42]))
    return [Part(part.faces + gear.faces)], np.array([2 * half, roof + 0.3, length])


def truck(
    rng: np.random.Generator, paint: np.ndarray, lamps: float
) -> tuple[list[Part], np.ndarray]:
    """Build a lorry with a box, or a delivery van."""
    half, length, roof = 1.22, rng.uniform(6.5, 9.5), rng.uniform(3.0, 3.7)
    cargo_colour = np.array([0.85, 0.85, 0.83]) if rng.random() < 0.5 else paint * 0.9
    end, cab = length / 2, rng.uniform(1.7, 2.1)
    cargo = _chassis(length, half, 0.75, 0.5, length * 0.33)
    cargo.box((-half, half), (0.75, roof), (-end, end - cab - 0.15), cargo_colour, 0.1)
    _panels(
        cargo,
        half,
        (1.1 + 0.5 * rng.random(), roof - 0.5),
        (-end + 0.4, end - cab - 0.6),
        int(rng.integers(1, 3)),
        paint,
        0.1,
    )
    for a, b in ((-0.96, -0.02), (0.02, 0.96)):
        z = -end - 0.01
        cargo.add(
            [
                (a * half, 0.85, z),
                (b * half, 0.85, z),
                (b * half, roof - 0.1, z),
                (a * half, roof - 0.1, z),
            ],
            cargo_colour * 0.88,
            0.1,
        )
    _end(cargo, half * 0.95, (0.45, 0.62), -end - 0.02, DARK)
    _corner_lights(cargo, half, end, (0.62, 0.8), lamps)
    front = Part()
    top = min(roof - 0.2, 2.7)
    front.box((-half * 0.97, half * 0.97), (0.45, top), (end - cab, end), paint, 0.25)
    _end(front, half * 0.85, (1.45, top - 0.25), end + 0.01, GLASS, 0.65)
    _end(front, half * 0.6, (0.75, 1.2), end + 0.01, DARK, 0.2)
    _panels(front, half * 0.97, (1.45, top - 0.3), (end - 1.2, end - 0.15), 1, GLASS, 0.6)
    _wheels(cargo, (-length * 0.33,), half, 0.5)
    _wheels(front, (length * 0.36,), half * 0.97, 0.5)
    return [cargo, front], np.array([2 * half, roof, length])


def _corner_lights(
    part: Part, half: float, end: float, height: tuple[float, float], lamps: float
) -> None:
    for side in (-1, 1):
        for z, colour in ((-end - 0.02, RED), (end + 0.02, WHITE)):
            a, b = side * half * 0.72, side * half * 0.94
            part.add(
                [(a, height[0], z), (b, height[0], z), (b, height[1], z), (a, height[1], z)],
                colour,
                0.2,
                0.25 + 0.7 * lamps,
            )
