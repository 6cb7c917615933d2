"""Natural-looking textures of great variety, for content that belongs to no class."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from roadanomaly.streets.noise import band, smoothstep, spectral

Maker = Callable[[int, int, np.random.Generator], np.ndarray]


def random_texture(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one texture of a random kind, palette, scale and light.

    Args:
        height: rows, at least 1.
        width: columns, at least 1.
        rng: decides everything.

    Returns:
        `(height, width, 3)` uint8, RGB.
    """
    maker = MAKERS[KINDS[rng.integers(len(KINDS))]]
    size = max(height, width, 16)
    size = cv2.getOptimalDFTSize(size)
    colour = maker(size, size, rng)
    light = 1 + rng.uniform(0, 0.35) * _ramp(size, size, rng)[..., None]
    light = light + rng.uniform(0, 0.12) * spectral(size, size, rng, slope=2)[..., None]
    top, left = rng.integers(size - height + 1), rng.integers(size - width + 1)
    crop = (colour * light)[top : top + height, left : left + width]
    return (np.clip(crop, 0, 1) * 255 + 0.5).astype(np.uint8)


def _palette(rng: np.random.Generator, count: int) -> np.ndarray:
    """Colours that go together: near hues, spread brightness; `(count, 3)` in 0..1."""
    hue = rng.uniform(0, 180) + rng.normal(0, rng.choice([6.0, 25.0, 80.0]), count)
    saturation = np.clip(rng.beta(1.6, 2.2) + rng.normal(0, 0.12, count), 0, 1) * 255
    value = np.sort(rng.uniform(0.08, 1, count)) * 255
    hsv = np.stack([hue % 180, saturation, value], 1).astype(np.uint8)[None]
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0].astype(np.float32) / 255


def _colour(field: np.ndarray, rng: np.random.Generator, count: int = 4) -> np.ndarray:
    """Map a field of mean 0 and deviation 1 to a ramp of palette colours."""
    colours = _palette(rng, count)
    if rng.random() < 0.5:
        colours = colours[::-1]
    ramp = cv2.resize(colours[None], (256, 1), interpolation=cv2.INTER_LINEAR)[0]
    index = np.clip((field / 4 + 0.5) * 255, 0, 255).astype(np.uint8)
    return ramp[index]


def _ramp(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Linear light in a random direction, -1..1."""
    angle = rng.uniform(0, 2 * np.pi)
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None]
    return (np.cos(angle) * columns + np.sin(angle) * rows) / 1.42


def _lattice(
    height: int, width: int, rng: np.random.Generator, period: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rotated, gently bent coordinates in units of `period` pixels."""
    angle = rng.uniform(0, np.pi)
    rows = np.arange(height, dtype=np.float32)[:, None]
    columns = np.arange(width, dtype=np.float32)[None]
    bend = rng.uniform(0, 0.35) * spectral(height, width, rng, slope=2.5)
    along = (np.cos(angle) * columns + np.sin(angle) * rows) / period + bend
    across = (np.cos(angle) * rows - np.sin(angle) * columns) / period + bend
    return along, across


def _period(size: int, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(6), np.log(max(size / 3, 8)))))


def fur(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw hair: long thin grain over soft patches."""
    angle = rng.uniform(0, np.pi)
    hair = spectral(height, width, rng, slope=0.8, stretch=(9, 1), angle=angle)
    patch = spectral(height, width, rng, slope=2.0)
    return _colour(0.7 * hair + 0.7 * patch, rng, 3)


def stripes(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw stripes, straight like cloth or wild like a zebra."""
    period = _period(min(height, width), rng)
    if rng.random() < 0.5:
        wave = np.sin(2 * np.pi * _lattice(height, width, rng, period)[0])
    else:
        angle = rng.uniform(0, np.pi)
        wave = band(height, width, rng, period=period, stretch=(1, 5), angle=angle)
    edge = rng.uniform(0.05, 1.0)
    grain = 0.15 * spectral(height, width, rng, slope=0.5)
    return _colour(3 * smoothstep(-edge, edge, wave) - 1.5 + grain, rng)


def checks(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a chequer or a tartan."""
    along, across = _lattice(height, width, rng, _period(min(height, width), rng))
    if rng.random() < 0.5:
        field = np.sign(np.sin(np.pi * along) * np.sin(np.pi * across))
    else:
        field = np.sign(np.sin(np.pi * along)) + np.sign(np.sin(np.pi * across))
    return _colour(field + 0.12 * spectral(height, width, rng, slope=0.5), rng)


def clouds(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw fractal noise of a random roughness."""
    return _colour(spectral(height, width, rng, slope=rng.uniform(0.2, 2.2)), rng, 5)


def wood(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw year rings cut lengthwise, with pores."""
    angle = rng.uniform(0, np.pi)
    rings = spectral(height, width, rng, slope=1.8, stretch=(8, 1), angle=angle)
    pores = spectral(height, width, rng, slope=0.4, stretch=(14, 1), angle=angle)
    return _colour(np.sin(rng.uniform(3, 9) * rings) + 0.4 * pores, rng, 3)


def rust(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a painted surface with flaked patches."""
    paint = _colour(0.25 * spectral(height, width, rng, slope=1.5), rng, 2)
    metal = _colour(spectral(height, width, rng, slope=0.9), rng, 4)
    start = rng.uniform(-0.5, 1.0)
    mask = smoothstep(start, start + 0.25, spectral(height, width, rng, slope=1.6))[..., None]
    return paint * (1 - mask) + metal * mask


def foliage(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw leaves or gravel: cells, each with its own light."""
    distance, identity = _cells(height, width, rng)
    field = rng.standard_normal(4096).astype(np.float32)[identity % 4096]
    return _colour(0.9 * field - 1.2 * distance + 0.5, rng)


def spots(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw spots such as a leopard's, a ladybird's or a cow's."""
    period = _period(min(height, width), rng)
    field = band(height, width, rng, period=period)
    start = rng.uniform(-0.4, 1.0)
    mask = smoothstep(start, start + rng.uniform(0.05, 0.5), field)[..., None]
    ground = _colour(0.5 * spectral(height, width, rng, slope=1.2), rng, 2)
    return ground * (1 - mask) + _colour(0.5 * field, rng, 2) * mask


def gradient(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a smooth turn from one colour into another, as on paint or plastic."""
    grain = rng.uniform(0, 0.1) * spectral(height, width, rng, slope=0.2)
    return _colour(1.6 * _ramp(height, width, rng) + grain, rng, 3)


def bricks(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw courses of rectangles: bricks, tiles, scales."""
    along, across = _lattice(height, width, rng, 0.4 * _period(min(height, width), rng) + 4)
    course = np.floor(across)
    along = along / rng.uniform(1, 3) + 0.5 * (course % 2)
    pick = (np.floor(along) * 57 + course * 131).astype(np.int64) % 997
    field = rng.standard_normal(997).astype(np.float32)[pick]
    joint = np.maximum(np.abs(along % 1 - 0.5), np.abs(across % 1 - 0.5))
    body = _colour(0.6 * field + 0.2 * spectral(height, width, rng, slope=0.6), rng, 3)
    return body * (1 - 0.55 * smoothstep(0.4, 0.47, joint))[..., None]


def weave(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw threads that run over and under each other."""
    along, across = _lattice(height, width, rng, rng.uniform(3, 9))
    over = (np.floor(along) + np.floor(across)) % 2
    thread = np.where(over > 0, np.sin(np.pi * (along % 1)), np.sin(np.pi * (across % 1)))
    dye = spectral(height, width, rng, slope=1.8)
    return _colour(0.6 * dye + 0.5 * over, rng, 4) * (0.55 + 0.45 * thread)[..., None]


def marble(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw veins in stone."""
    field = spectral(height, width, rng, slope=rng.uniform(1.2, 1.8))
    vein = np.exp(-((field / rng.uniform(0.05, 0.3)) ** 2))
    return _colour(0.6 * spectral(height, width, rng, slope=1.4) + 1.8 * vein, rng, 4)


def camouflage(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw flat patches in a few colours."""
    field = spectral(height, width, rng, slope=rng.uniform(1.6, 2.4))
    steps = rng.integers(3, 6)
    return _colour(np.round(field * steps / 3) * 3 / steps, rng, 6)


def _cells(height: int, width: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the nearest of random seeds in units of a cell, and which seed that is."""
    cell = rng.uniform(4, max(5.0, min(height, width) / 8))
    count = max(4, int(height * width / cell**2))
    seeds = np.full((height, width), 255, np.uint8)
    seeds[rng.integers(0, height, count), rng.integers(0, width, count)] = 0
    distance, identity = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    return np.minimum(distance / cell, 2), identity


MAKERS: dict[str, Maker] = {
    "bricks": bricks,
    "camouflage": camouflage,
    "checks": checks,
    "clouds": clouds,
    "foliage": foliage,
    "fur": fur,
    "gradient": gradient,
    "marble": marble,
    "rust": rust,
    "spots": spots,
    "stripes": stripes,
    "weave": weave,
    "wood": wood,
}
KINDS = tuple(MAKERS)
