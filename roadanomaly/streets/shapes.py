"""Animals, stones, bags and heaps, drawn as rounded outlines: the flat anomalies."""

from __future__ import annotations

import numpy as np

from roadanomaly.streets.palette import earth, paint
from roadanomaly.streets.sketch import Sketch


def _either(rng: np.random.Generator) -> np.ndarray:
    return paint(rng) if rng.random() < 0.5 else earth(rng)


def quadruped(sketch: Sketch, rng: np.random.Generator, half: float, height: float) -> None:
    """Draw a four-legged animal from the side: dog, deer, cow and what lies between."""
    fur, mirror = earth(rng), 1 if rng.random() < 0.5 else -1
    belly = np.clip(fur * rng.uniform(0.8, 1.5), 0, 0.95)
    back = height * rng.uniform(0.62, 0.72)
    body = height * rng.uniform(0.3, 0.4)
    limb = body * rng.uniform(0.22, 0.36)
    rump, chest = -half * 0.6 * mirror, half * 0.5 * mirror
    middle = back - body / 2
    stride = half * rng.uniform(0.05, 0.3)
    for x, sway in ((rump, stride), (chest, -stride)):
        sketch.limb(
            [(x, middle), (x + sway * 0.6, middle / 2), (x + sway, limb / 2)], limb, fur * 0.7
        )
    with sketch.fused():
        for x, sway in ((rump, -stride), (chest, stride)):
            knee, hoof = (x + sway * 0.6, middle * 0.5), (x + sway, limb * 0.3)
            sketch.limb([(x, middle), knee], limb * 1.5, fur)
            sketch.limb([knee, hoof], limb * 0.75, fur)
        sketch.limb([(rump, middle), (chest, middle)], body * 0.92, fur)
        sketch.ball((chest * 1.02, middle), (body * 0.56, body * 0.55), fur)
        sketch.ball((rump * 0.95, middle), (body * 0.55, body * 0.52), fur)
        _head(sketch, rng, (chest, back), height, body, mirror, fur)
        tip = (rump - mirror * half * 0.4, back - body * 0.2 + rng.uniform(-0.5, 0.3) * height)
        sketch.limb([(rump - mirror * body * 0.4, back - body * 0.25), tip], limb * 0.5, fur)
    low = middle - body * 0.36
    sketch.limb([(rump * 0.6, low), (chest * 0.7, low)], body * 0.14, belly)
    if rng.random() < 0.4:
        mark = earth(rng)
        for _ in range(int(rng.integers(3, 8))):
            spot = (rng.uniform(-0.5, 0.5) * half, middle + rng.uniform(-0.25, 0.35) * body)
            sketch.ball(
                spot,
                (body * rng.uniform(0.08, 0.26), body * rng.uniform(0.08, 0.2)),
                mark,
                0,
                False,
            )


def _head(
    sketch: Sketch,
    rng: np.random.Generator,
    chest: tuple[float, float],
    height: float,
    body: float,
    mirror: int,
    fur: np.ndarray,
) -> None:
    x, back = chest
    lift = rng.uniform(-0.25, 0.32) * height
    head = (x + mirror * (body * 0.75 + 0.06 * height), back + lift - body * 0.1)
    size = body * rng.uniform(0.3, 0.42)
    sketch.limb([(x, back - body * 0.4), head], body * rng.uniform(0.38, 0.55), fur)
    sketch.ball(head, (size * 1.15, size * 0.95), fur)
    snout = (head[0] + mirror * size * 1.25, head[1] - size * 0.35)
    sketch.limb([head, snout], size * 0.95, fur)
    sketch.ball(snout, (size * 0.3, size * 0.26), fur * 0.3)
    for lean in (0.1, 0.5):
        ear = (head[0] - mirror * size * lean, head[1] + size * rng.uniform(0.9, 1.7))
        sketch.limb(
            [(head[0] - mirror * size * lean * 0.6, head[1] + size * 0.5), ear],
            size * 0.42,
            fur * 0.85,
        )
    if rng.random() < 0.3:
        for lean in (-0.5, 0.5):
            bend = (head[0] + lean * size * 1.6, head[1] + size * 2.0)
            sketch.limb(
                [head, bend, (bend[0] + lean * size, bend[1] + size)], size * 0.2, earth(rng)
            )


def bird(sketch: Sketch, rng: np.random.Generator, half: float, height: float) -> None:
    """Draw a big bird on the ground: goose, swan, crow."""
    colour, mirror = _either(rng), 1 if rng.random() < 0.5 else -1
    body = (0.0, height * 0.45)
    for x in (-0.1, 0.12):
        sketch.limb(
            [(x * half, height * 0.3), (x * half, height * 0.02)],
            height * 0.05,
            np.array([0.7, 0.45, 0.15]),
        )
    sketch.ball(body, (half * 0.75, height * 0.24), colour, 10.0 * mirror)
    sketch.ball((-mirror * half * 0.15, height * 0.48), (half * 0.5, height * 0.13), colour * 0.7)
    head = (mirror * half * 0.75, height * rng.uniform(0.75, 1.0))
    sketch.limb(
        [(mirror * half * 0.5, height * 0.5), (mirror * half * 0.72, height * 0.65), head],
        height * 0.13,
        colour,
    )
    sketch.ball(head, (height * 0.1, height * 0.09), colour)
    sketch.limb(
        [head, (head[0] + mirror * height * 0.17, head[1] - height * 0.03)],
        height * 0.05,
        np.array([0.8, 0.5, 0.1]),
    )


def tyre(sketch: Sketch, rng: np.random.Generator, half: float, height: float) -> None:
    """Draw a tyre, lying or standing at an angle."""
    rubber = np.array([0.1, 0.1, 0.105]) * rng.uniform(0.7, 2.2)
    if rng.random() < 0.5:
        middle = (0.0, height * 0.3)
        sketch.ball((0.0, height * 0.18), (half, height * 0.2), rubber * 0.7)
        sketch.ball(middle, (half, height * 0.22), rubber * 1.3)
        sketch.ball(middle, (half * 0.55, height * 0.11), rubber * 0.3, 0.0, False)
        return
    turn = rng.uniform(0.35, 1.0)
    middle = (0.0, height * 0.5)
    shift = half * (1 - turn) * 0.5
    sketch.ball((shift, height * 0.5), (half * turn, height * 0.5), rubber * 0.6, 0.0, False)
    sketch.ball(middle, (half * turn, height * 0.5), rubber * 1.25)
    sketch.ball(middle, (half * turn * 0.62, height * 0.31), rubber * 0.55, 0.0, False)
    sketch.ball(
        (shift * 0.5, height * 0.5),
        (half * turn * 0.52, height * 0.27),
        _either(rng),
        0.0,
        bool(rng.random() < 0.4),
    )


def outline(
    rng: np.random.Generator, half: float, height: float, rough: float, corners: int = 26
) -> np.ndarray:
    """Closed irregular outline that stands on its flat foot, `(N, 2)` metres."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    radius = np.ones(corners)
    for order in range(2, 8):
        radius += rough * rng.normal() / order * np.sin(order * angle + rng.uniform(0, 6.28))
    x, y = half * radius * np.cos(angle), 0.55 * height * radius * np.sin(angle)
    y = y - y.min()
    foot = 0.16 * height
    return np.stack([x, np.maximum(y - foot, 0)], -1)


def rock(sketch: Sketch, rng: np.random.Generator, half: float, height: float) -> None:
    """Draw a boulder with facets."""
    colour = earth(rng) if rng.random() < 0.7 else np.full(3, rng.uniform(0.2, 0.7))
    points = outline(rng, half, height, 0.25, 12)
    sketch.shape(points, colour * 0.8)
    peak = points.mean(0) + np.array([sketch.side * 0.15 * half, 0.12 * height])
    for index in range(len(points)):
        a, b = points[index], points[(index + 1) % len(points)]
        facing = (a + b) / 2 - peak
        gain = 0.82 + 0.3 * np.tanh(facing[0] / half * sketch.side + 0.9 * facing[1] / height)
        sketch.shape([peak, a, b], colour, gain * rng.uniform(0.92, 1.06))


def rubble(sketch: Sketch, rng: np.random.Generator, half: float, height: float) -> None:
    """Draw a heap of stones, soil or rubbish."""
    base = _either(rng)
    sketch.shape(
        [(-half, 0.0), (half, 0.0), (half * 0.3, height * 0.6), (-half * 0.4, height * 0.6)],
        base * 0.6,
    )
    for _ in range(int(rng.integers(16, 30))):
        x = rng.normal(0, 0.42) * half
        y = max(0.04, (1 - abs(x) / half) * rng.uniform(0, 0.9)) * height
        size = rng.uniform(0.08, 0.2) * half
        colour = base * rng.uniform(0.6, 1.25) if rng.random() < 0.7 else _either(rng)
        sketch.ball((x, max(y, size * 0.6)), (size, size * rng.uniform(0.5, 0.9)), colour)


def bag(sketch: Sketch, rng: np.random.Generator, half: float, height: float) -> None:
    """Draw full sacks with knots."""
    colour = _either(rng)
    for index in range(int(rng.integers(1, 4))):
        x = (index - 0.5) * half * 0.7
        points = outline(rng, half * 0.75, height * 0.9, 0.12)
        points[:, 0] += x
        sketch.shape(points, colour * rng.uniform(0.85, 1.1))
        top = (x, float(points[:, 1].max()))
        sketch.shape(
            [
                (x - 0.06, top[1] - 0.05),
                (x + 0.06, top[1] - 0.05),
                (x + 0.12, top[1] + 0.12),
                (x - 0.1, top[1] + 0.1),
            ],
            colour * 0.85,
        )
        for _ in range(5):
            fold = rng.uniform(-0.5, 0.5) * half
            sketch.limb(
                [(x + fold * 0.2, top[1]), (x + fold, top[1] * rng.uniform(0.2, 0.6))],
                0.025,
                colour * rng.uniform(0.6, 1.3),
            )


def blob(sketch: Sketch, rng: np.random.Generator, half: float, height: float) -> None:
    """Draw something without a name: a swollen outline with marks of another colour."""
    colour, mark = _either(rng), _either(rng)
    points = outline(rng, half, height, 0.5)
    sketch.shape(points, colour)
    if rng.random() < 0.6:
        middle = points.mean(0)
        for _ in range(int(rng.integers(2, 7))):
            spot = middle + (points[rng.integers(len(points))] - middle) * rng.uniform(0.1, 0.55)
            size = rng.uniform(0.05, 0.16) * height
            sketch.ball((float(spot[0]), float(spot[1])), (size, size * rng.uniform(0.5, 1)), mark)


def tarp(sketch: Sketch, rng: np.random.Generator, half: float, height: float) -> None:
    """Draw a cover thrown over a load, with folds."""
    colour = _either(rng)
    points = outline(rng, half, height * 1.1, 0.3)
    sketch.shape(points, colour)
    peak = points[points[:, 1].argmax()]
    for _ in range(9):
        end = points[rng.integers(len(points))]
        bend = (peak + end) / 2 + rng.normal(0, 0.06 * half, 2)
        line = [tuple(peak + rng.normal(0, 0.05, 2)), tuple(bend), tuple(peak * 0.1 + end * 0.9)]
        inside = [(float(x), max(float(y), 0.02)) for x, y in line]
        sketch.limb(inside, rng.uniform(0.03, 0.08), colour * rng.uniform(0.7, 1.3))


def ball(sketch: Sketch, rng: np.random.Generator, half: float, height: float) -> None:
    """Draw a ball, a balloon or a buoy."""
    colour, radius = _either(rng), height / 2
    sketch.ball((0.0, radius), (radius, radius), colour)
    if rng.random() < 0.6:
        sketch.ball(
            (0.0, radius), (radius * 0.3, radius * 0.95), _either(rng), rng.uniform(-40, 40)
        )


def branch(sketch: Sketch, rng: np.random.Generator, half: float, height: float) -> None:
    """Draw a fallen branch with bare twigs, or bent pipes and wire."""
    colour, thick = _either(rng), height * rng.uniform(0.08, 0.16)
    rise = rng.uniform(0, 0.35, 3) * height
    joints = zip((-0.3, 0.4, 1.0), rise.tolist(), strict=True)
    spine = [(-half, thick / 2), *((half * share, thick / 2 + up) for share, up in joints)]
    for _ in range(int(rng.integers(4, 9))):
        a = spine[int(rng.integers(1, 4))]
        tip = (
            a[0] + rng.uniform(-0.6, 0.6) * half,
            max(thick / 4, a[1] + rng.uniform(-0.2, 0.8) * height),
        )
        sketch.limb([a, tip], thick * 0.5, colour * rng.uniform(0.8, 1.1))
    sketch.limb(spine, thick, colour)


def wreckage(sketch: Sketch, rng: np.random.Generator, half: float, height: float) -> None:
    """Draw bent sheets and rods: a part lost by something larger."""
    for _ in range(int(rng.integers(3, 6))):
        x = rng.uniform(-0.5, 0.5) * half
        corners = np.stack([x + rng.uniform(-0.55, 0.55, 4) * half, rng.uniform(0, height, 4)], -1)
        corners[corners[:, 1].argmin(), 1] = 0.0
        order = np.argsort(np.arctan2(*(corners - corners.mean(0)).T))
        sketch.shape(corners[order], _either(rng), rng.uniform(0.75, 1.1))
    sketch.limb(
        [(-half * 0.7, 0.03), (half * 0.6, height * rng.uniform(0.03, 0.6))], 0.05, _either(rng)
    )
