"""The road's cross-section: which surface lies at which offset, and where its lines run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Surface:
    """One kind of ground.

    Args:
        class_id: Cityscapes train id.
        channel: of the ground texture.
        dark: `(3,)` RGB where the texture is low.
        light: `(3,)` RGB where it is high.
    """

    class_id: int
    channel: int
    dark: np.ndarray
    light: np.ndarray


@dataclass(frozen=True)
class Line:
    """A line painted along the road.

    Args:
        x: offset of its middle, metres.
        width: metres.
        dash: length of a dash, metres; 0 is solid.
        gap: between dashes, metres.
        colour: `(3,)` RGB.
    """

    x: float
    width: float
    dash: float
    gap: float
    colour: np.ndarray


@dataclass(frozen=True)
class Road:
    """A cross-section that holds for the whole scene.

    Args:
        left: left kerb, metres, negative.
        right: right kerb, metres.
        lanes: middles of the lanes, left to right.
        oncoming: how many of them, from the left, run against us.
        bands: `(start, surface)` from left to right; the first starts at minus infinity.
        lines: painted along it.
        kerb: colour of the kerb stones, or None for a soft edge.
        walk: `(left, right)` widths of the pavements, 0 for none.
        frontage: `(left, right)` offsets where buildings or fields begin.
        urban: 0 open country .. 1 city.
    """

    left: float
    right: float
    lanes: tuple[float, ...]
    oncoming: int
    bands: tuple[tuple[float, Surface], ...]
    lines: tuple[Line, ...]
    kerb: np.ndarray | None
    walk: tuple[float, float]
    frontage: tuple[float, float]
    urban: float

    def surface(self, x: float) -> Surface:
        """Return the surface at an offset."""
        return [surface for start, surface in self.bands if start <= x][-1]


def _tone(rng: np.random.Generator, low: float, high: float, warm: float) -> np.ndarray:
    value = rng.uniform(low, high)
    return value * np.array([1 + warm, 1.0, 1 - warm]) * (1 + rng.normal(0, 0.015, 3))


def _asphalt(rng: np.random.Generator) -> Surface:
    tone = _tone(rng, 0.34, 0.6, rng.uniform(-0.04, 0.05))
    return Surface(0, 0, tone * 0.78, tone * 1.16)


def _pavement(rng: np.random.Generator) -> Surface:
    tone = _tone(rng, 0.52, 0.74, rng.uniform(-0.02, 0.09))
    if rng.random() < 0.25:
        tone = tone * np.array([1.08, 0.9, 0.82])
    return Surface(1, 1, tone * 0.74, tone * 1.1)


def _grass(rng: np.random.Generator) -> Surface:
    dry = rng.beta(1.2, 2.5)
    dark = np.array([0.16, 0.24, 0.09]) * (1 - dry) + np.array([0.36, 0.30, 0.18]) * dry
    light = np.array([0.42, 0.53, 0.23]) * (1 - dry) + np.array([0.74, 0.66, 0.43]) * dry
    gain = rng.uniform(0.85, 1.1)
    return Surface(9, 2, dark * gain, light * gain)


def _soil(rng: np.random.Generator) -> Surface:
    tone = _tone(rng, 0.36, 0.55, rng.uniform(0.08, 0.25))
    return Surface(9, 3, tone * 0.7, tone * 1.2)


def random_road(rng: np.random.Generator) -> Road:
    """Draw a cross-section: city street, suburb or country road."""
    urban = float(rng.choice([0.0, 0.5, 1.0], p=[0.22, 0.36, 0.42]))
    lane = rng.uniform(2.9, 3.6)
    ahead = int(rng.choice([1, 2, 3], p=[0.55, 0.33, 0.12]))
    oncoming = int(rng.choice([0, 1, 2], p=[0.12, 0.58, 0.30]))
    count = ahead + oncoming
    parking = 2.1 if urban > 0 and rng.random() < 0.55 else 0.35
    left = -(oncoming * lane + parking) if oncoming else -(0.5 + parking)
    right = ahead * lane + parking
    lanes = tuple((i - oncoming + 0.5) * lane for i in range(count))
    walk = _walks(urban, rng)
    bands, frontage = _bands(left, right, walk, urban, rng)
    kerb = _tone(rng, 0.5, 0.72, 0.02) if walk[0] + walk[1] > 0 else None
    lines = _lines(lanes, oncoming, lane, left, right, urban, rng)
    return Road(left, right, lanes, oncoming, bands, lines, kerb, walk, frontage, urban)


def _walks(urban: float, rng: np.random.Generator) -> tuple[float, float]:
    if urban == 0:
        return (0.0, 0.0)
    low, high = (1.6, 2.6) if urban < 1 else (2.4, 4.8)
    right = rng.uniform(low, high)
    return (rng.uniform(low, high), right)


def _bands(
    left: float,
    right: float,
    walk: tuple[float, float],
    urban: float,
    rng: np.random.Generator,
) -> tuple[tuple[tuple[float, Surface], ...], tuple[float, float]]:
    road, pavement, grass, soil = _asphalt(rng), _pavement(rng), _grass(rng), _soil(rng)
    strip = [rng.uniform(0.8, 2.2) if rng.random() < 0.3 else 0.0 for _ in range(2)]
    garden = [rng.uniform(2.5, 6.0) if urban < 1 else rng.choice([0.0, 0.0, 1.6]) for _ in "lr"]
    outer = [grass if garden[i] > 0 or urban < 1 else pavement for i in range(2)]
    bands: list[tuple[float, Surface]] = [(-np.inf, outer[0])]
    edge = left - strip[0] - walk[0]
    if walk[0] > 0:
        bands.append((edge, pavement))
        if strip[0] > 0:
            bands.append((left - strip[0], grass))
    else:
        bands.append((left - rng.uniform(0.3, 1.2), soil))
    bands.append((left, road))
    if walk[1] > 0:
        if strip[1] > 0:
            bands.append((right, grass))
        bands.append((right + strip[1], pavement))
        bands.append((right + strip[1] + walk[1], outer[1]))
    else:
        bands.append((right, soil))
        bands.append((right + rng.uniform(0.3, 1.2), outer[1]))
    frontage = (edge - garden[0] - 0.1, right + strip[1] + walk[1] + garden[1] + 0.1)
    return tuple(bands), frontage


def _lines(
    lanes: tuple[float, ...],
    oncoming: int,
    lane: float,
    left: float,
    right: float,
    urban: float,
    rng: np.random.Generator,
) -> tuple[Line, ...]:
    white = np.array([0.86, 0.86, 0.84]) * rng.uniform(0.75, 1.05)
    yellow = np.array([0.84, 0.66, 0.18])
    dash, gap = ((3.0, 4.5), (4.0, 8.0), (6.0, 12.0))[rng.integers(3)]
    lines: list[Line] = []
    if rng.random() < 0.1 and urban > 0:
        return ()
    for index in range(1, len(lanes)):
        x = (lanes[index - 1] + lanes[index]) / 2
        if index != oncoming:
            lines.append(Line(x, 0.13, dash, gap, white))
            continue
        middle = yellow if rng.random() < 0.3 else white
        if rng.random() < 0.45:
            lines += [Line(x - 0.12, 0.11, 0, 0, middle), Line(x + 0.12, 0.11, 0, 0, middle)]
        else:
            broken = rng.random() < 0.6
            lines.append(Line(x, 0.14, dash * broken, gap * broken, middle))
    if urban < 1 or rng.random() < 0.4:
        far_left = lanes[0] - lane / 2
        lines.append(Line(max(far_left, left + 0.2), 0.14, 0, 0, white))
        lines.append(Line(min(lanes[-1] + lane / 2, right - 0.2), 0.14, 0, 0, white))
    return tuple(lines)
