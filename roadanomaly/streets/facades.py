"""Elevations of buildings: walls of many materials, windows, shops, doors and tiles."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from roadanomaly.streets.canvas import Texture
from roadanomaly.streets.noise import smoothstep, spectral
from roadanomaly.streets.palette import paint

BAY = 56
"""Pixels of one bay or storey; it stands for about 3 metres."""
COUNT = 22
"""Elevations that exist."""
DARK = 0.42
"""Brightness of walls in the elevations with lit windows; windows keep theirs."""

WALLS = (
    (0.78, 0.72, 0.60), (0.86, 0.82, 0.74), (0.62, 0.36, 0.28), (0.55, 0.50, 0.46),
    (0.72, 0.56, 0.42), (0.66, 0.68, 0.70), (0.80, 0.66, 0.48), (0.48, 0.31, 0.26),
    (0.72, 0.76, 0.74), (0.84, 0.74, 0.66), (0.58, 0.62, 0.56), (0.90, 0.88, 0.85),
)  # fmt: skip


@lru_cache(maxsize=4 * COUNT)
def facade(variant: int, lit: bool, house: bool) -> Texture:
    """Draw one elevation.

    Args:
        variant: 0..COUNT-1.
        lit: whether some windows shine.
        house: two storeys without shops, rather than a block.
    """
    rng = np.random.default_rng([41, variant, int(house)])
    storeys = int(rng.integers(2, 4)) if house else int(rng.integers(4, 8))
    bays = int(rng.integers(3, 5)) if house else int(rng.integers(4, 7))
    colour = np.array(WALLS[rng.integers(len(WALLS))]) * rng.uniform(0.85, 1.1)
    image = _wall(storeys * BAY, bays * BAY, colour, rng)
    shine = np.zeros(image.shape[:2], np.float32)
    style = _Style(rng)
    shop = not house and rng.random() < 0.6
    for storey in range(storeys):
        for bay in range(bays):
            cell = (slice(storey * BAY, storey * BAY + BAY), slice(bay * BAY, bay * BAY + BAY))
            ground_floor = storey == storeys - 1
            if ground_floor and shop:
                _shop(image[cell], shine[cell], rng, bay % 2 == 0)
            elif ground_floor and bay == bays // 2:
                _door(image[cell], rng)
            else:
                style.window(image[cell], shine[cell], rng)
    _trim(image, storeys, colour, rng)
    image = image * _weather(image.shape[:2], rng)[..., None]
    if lit:
        warm = np.array([1.0, 0.80, 0.50], np.float32)
        glow = shine[..., None]
        image = image * DARK * (1 - glow) + warm * (0.55 + 0.45 * image) * glow
    return Texture.of((np.clip(image, 0, 1) * 255).astype(np.uint8))


def _wall(height: int, width: int, colour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = spectral(height, width, rng, slope=1.3) * 0.03
    noise += spectral(height, width, rng, slope=0.2) * 0.025
    kind = rng.integers(4)
    if kind == 0:
        noise += _courses(height, width, 5, 12, rng)
    elif kind == 1:
        noise += _courses(height, width, 14, 28, rng)
    elif kind == 2:
        noise[:: BAY // 2] -= 0.12
        noise[:, :: BAY // 2] -= 0.12
    return (colour * (1 + noise[..., None])).astype(np.float32)


def _courses(height: int, width: int, tall: int, wide: int, rng: np.random.Generator) -> np.ndarray:
    """Bricks or stones with their joints, around 0."""
    rows = np.arange(height)[:, None]
    course = rows // tall
    columns = np.arange(width)[None] + (course % 2) * (wide // 2)
    tones = rng.normal(0, 0.07, 509)
    field = tones[(course * 37 + columns // wide * 11) % 509]
    field = np.where((rows % tall == 0) | (columns % wide == 0), -0.13, field)
    return field.astype(np.float32)


class _Style:
    """How the windows of one building look."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.wide = rng.uniform(0.34, 0.8)
        self.tall = rng.uniform(0.5, 0.78)
        self.frame = np.array([1.0, 1.0, 0.97]) * rng.choice([0.18, 0.55, 0.88])
        self.panes = int(rng.integers(1, 4))
        self.bars = bool(rng.random() < 0.5)
        self.balcony = bool(rng.random() < 0.3)
        self.shutters = bool(self.wide < 0.5 and rng.random() < 0.4)
        self.shutter = rng.uniform(0.2, 0.5, 3)

    def window(self, cell: np.ndarray, shine: np.ndarray, rng: np.random.Generator) -> None:
        """Draw one into a cell `(BAY, BAY, 3)`."""
        w, h = int(self.wide * BAY), int(self.tall * BAY)
        left, top = (BAY - w) // 2, int(BAY * 0.14)
        right, bottom = left + w, top + h
        if self.shutters:
            cell[top:bottom, left - 8 : left] = self.shutter
            cell[top:bottom, right : right + 8] = self.shutter
            cell[top:bottom:3, left - 8 : right + 8] *= 0.8
        cell[top - 2 : bottom + 3, left - 2 : right + 2] *= 0.62
        cell[top:bottom, left:right] = self.frame
        cell[top + 2 : bottom - 2, left + 2 : right - 2] = _glass(h - 4, w - 4, rng)
        for index in range(1, self.panes):
            column = left + index * w // self.panes
            cell[top:bottom, column - 1 : column + 1] = self.frame
        if self.bars:
            cell[top + h // 3, left:right] = self.frame
        cell[bottom + 1 : bottom + 4, left - 3 : right + 3] *= 1.5
        cell[bottom + 4 : bottom + 6, left - 3 : right + 3] *= 0.6
        if rng.random() < 0.45:
            shine[top + 2 : bottom - 2, left + 2 : right - 2] = rng.uniform(0.4, 1.0)
        if self.balcony:
            cell[bottom - 12 : bottom + 4, 4:-4:3] *= 0.35
            cell[bottom - 13 : bottom - 11, 3:-3] *= 0.4
            cell[bottom + 3 : bottom + 6, 2:-2] *= 0.7


def _glass(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Dark room, mirrored sky above, perhaps curtains: `(height, width, 3)`."""
    fall = np.linspace(1, 0, height)[:, None, None]
    sky = np.array([0.62, 0.70, 0.78]) * rng.uniform(0.4, 0.95)
    room = np.array([0.12, 0.13, 0.15]) * rng.uniform(0.7, 1.6)
    glass = room + (sky - room) * fall ** rng.uniform(0.7, 2.5)
    glass = np.repeat(glass, width, 1)
    if rng.random() < 0.35:
        drop = int(height * rng.uniform(0.2, 0.9))
        glass[:drop] = 0.45 * glass[:drop] + 0.55 * rng.uniform(0.55, 0.9) * np.array(
            [1, 0.97, 0.9]
        )
    slant = (np.arange(width)[None] + np.arange(height)[:, None]) / (width + height)
    streak = np.exp(-((slant - rng.uniform(0.2, 0.8)) ** 2) / 0.004)
    return glass + 0.16 * streak[..., None]


def _shop(cell: np.ndarray, shine: np.ndarray, rng: np.random.Generator, awning: bool) -> None:
    cell[8:, 2:-2] = paint(rng) * 0.5
    cell[20:-6, 5:-5] = _glass(BAY - 26, BAY - 10, rng) * 0.75
    for _ in range(6):
        x, y = rng.integers(6, BAY - 16), rng.integers(28, BAY - 14)
        cell[y : y + 7, x : x + 6] = paint(rng) * rng.uniform(0.4, 0.9)
    sign = paint(rng)
    cell[9:18, 3:-3] = sign
    letters = rng.random(BAY - 20) < 0.6
    cell[12:16, 10:-10][:, letters] = 1 - sign
    shine[20:-6, 5:-5] = 0.8
    if awning:
        cell[18:26, 1:-1] = sign * 0.85
        cell[18:26, 1:-1:8] = 0.85
        cell[26:28, 1:-1] *= 0.4


def _door(cell: np.ndarray, rng: np.random.Generator) -> None:
    colour = rng.uniform(0.12, 0.55, 3)
    cell[8:, 14:-14] *= 0.5
    cell[10:, 16:-16] = colour
    cell[14:30, 19:-19] = colour * 0.7
    cell[34:50, 19:-19] = colour * 0.75
    cell[12:18, 18:-18] = 0.4


def _trim(image: np.ndarray, storeys: int, colour: np.ndarray, rng: np.random.Generator) -> None:
    """Cornice at the top, bands between storeys, plinth at the foot."""
    image[:7] = np.clip(colour * 1.12, 0, 1)
    image[7:10] *= 0.6
    if rng.random() < 0.5:
        for storey in range(1, storeys):
            image[storey * BAY - 2 : storey * BAY + 1] *= 1.12
            image[storey * BAY + 1 : storey * BAY + 3] *= 0.75
    image[-7:] *= 0.72


def _weather(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Streaks of dirt and darker feet, a factor around 1."""
    streaks = smoothstep(0.4, 2.2, spectral(*shape, rng, slope=1.3, stretch=(1, 7)))
    foot = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None] ** 6
    return 1 - 0.22 * streaks - 0.18 * foot


@lru_cache(maxsize=8)
def roof(variant: int) -> Texture:
    """Roof tiles, 0..7."""
    rng = np.random.default_rng([42, variant])
    colours = ((0.55, 0.27, 0.19), (0.35, 0.33, 0.33), (0.45, 0.36, 0.30), (0.28, 0.27, 0.30))
    field = _courses(128, 256, 7, 9, rng) + 0.06 * spectral(128, 256, rng, slope=1.2)
    image = np.array(colours[variant % 4]) * (1 + 1.2 * field[..., None])
    return Texture.of((np.clip(image, 0, 1) * 255).astype(np.uint8))


@lru_cache(maxsize=12)
def wall(variant: int) -> Texture:
    """Garden and retaining walls, 0..11: brick, stone or concrete."""
    rng = np.random.default_rng([43, variant])
    colour = np.array(WALLS[variant % len(WALLS)]) * 0.85
    tall, wide = ((6, 14), (16, 30), (48, 60))[variant % 3]
    field = _courses(96, 240, tall, wide, rng) + 0.05 * spectral(96, 240, rng, slope=1.2)
    field += 0.03 * spectral(96, 240, rng, slope=0.2)
    image = colour * (1 + field[..., None]) * _weather((96, 240), rng)[..., None]
    image[:8] = np.clip(colour * 1.2, 0, 1)
    image[8:10] *= 0.6
    return Texture.of((np.clip(image, 0, 1) * 255).astype(np.uint8))


@lru_cache(maxsize=6)
def fence(variant: int) -> Texture:
    """Fences with see-through gaps, 0..5, RGBA: bars, pickets, rails, wire."""
    rng = np.random.default_rng([44, variant])
    tone = np.array(((0.16, 0.17, 0.18), (0.86, 0.85, 0.8), (0.5, 0.36, 0.24))[variant % 3])
    image = np.zeros((64, 256), np.float32)
    kind = variant % 4
    if kind == 0:
        image[:, ::10] = image[:, 1::10] = image[:, 2::10] = 1
        image[6:10] = image[54:58] = 1
    elif kind == 1:
        image[np.arange(256)[None].repeat(64, 0) % 14 < 9] = 1
        image[:8][:, (np.arange(256) % 14 < 2) | (np.arange(256) % 14 > 6)] = 0
    elif kind == 2:
        image[6:16] = image[26:36] = image[46:56] = 1
        image[:, :6] = image[:, 126:132] = 1
    else:
        rows, columns = np.mgrid[:64, :256]
        image[((rows + columns) % 9 < 2) | ((rows - columns) % 9 < 2)] = 0.8
        image[:3] = 1
        image[:, ::84] = image[:, 1::84] = image[:, 2::84] = 1
    shade = 1 + 0.08 * spectral(64, 256, rng, slope=0.8)
    rgba = np.concatenate([tone * shade[..., None], image[..., None]], -1)
    return Texture.of((np.clip(rgba, 0, 1) * 255).astype(np.uint8))


@lru_cache(maxsize=4)
def hedge(variant: int) -> Texture:
    """Clipped hedges, 0..3."""
    rng = np.random.default_rng([45, variant])
    field = spectral(96, 256, rng, slope=0.6) + 0.6 * spectral(96, 256, rng, slope=1.3)
    fall = np.linspace(1.25, 0.6, 96)[:, None]
    colour = np.array(((0.20, 0.32, 0.12), (0.26, 0.35, 0.16))[variant % 2])
    image = colour * ((1 + 0.3 * field) * fall)[..., None]
    return Texture.of(cv2.GaussianBlur((np.clip(image, 0, 1) * 255).astype(np.uint8), (0, 0), 0.6))
