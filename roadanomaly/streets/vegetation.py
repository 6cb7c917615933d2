"""Trees and bushes: a few drawn once in detail, then placed, mirrored and tinted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from roadanomaly.streets.camera import Camera
from roadanomaly.streets.canvas import Canvas, Patch, Texture
from roadanomaly.streets.light import Light
from roadanomaly.streets.noise import smoothstep, spectral
from roadanomaly.streets.shadows import Caster
from roadanomaly.streets.thing import Thing

VEGETATION = 8
SIZE = 224
TREES = 14
BUSHES = 8

GREENS = ((0.26, 0.40, 0.14), (0.19, 0.33, 0.13), (0.36, 0.44, 0.16), (0.16, 0.28, 0.16))
AUTUMN = ((0.62, 0.38, 0.12), (0.58, 0.48, 0.16), (0.50, 0.24, 0.12))


@lru_cache(maxsize=TREES + BUSHES)
def sprite(variant: int) -> Texture:
    """Draw one plant, `(SIZE, SIZE, 4)` uint8, lit from the left, its foot at the bottom middle.

    Colours are multiplied by alpha. Variants below `TREES` are trees, the rest bushes.
    """
    rng = np.random.default_rng([31, variant])
    bush = variant >= TREES
    conifer = not bush and variant % 5 == 4
    crown, trunk = _skeleton(rng, bush, conifer)
    fray = spectral(SIZE, SIZE, rng, slope=0.75)
    alpha = smoothstep(-0.03, 0.05, crown + 0.055 * fray)
    colours = AUTUMN if variant % 7 == 5 else GREENS
    base = np.array(colours[rng.integers(len(colours))])
    body = cv2.GaussianBlur(np.maximum(crown, 0).astype(np.float32), (0, 0), 5) * 8
    light = cv2.Sobel(body, cv2.CV_32F, 1, 0, scale=0.9)
    light = light + cv2.Sobel(body, cv2.CV_32F, 0, 1, scale=1.1)
    clumps = spectral(SIZE, SIZE, rng, slope=1.25)
    fall = np.linspace(1.18, 0.72, SIZE, dtype=np.float32)[:, None]
    tone = (1 + 0.55 * light + 0.2 * clumps + 0.17 * fray) * fall
    leaves = base * np.clip(tone, 0.28, 1.9)[..., None]
    leaves[..., 0] += 0.05 * np.clip(tone - 1, 0, 1)
    bark = np.array([0.30, 0.25, 0.21]) * (0.9 + 0.15 * fray[..., None])
    rgb = leaves * alpha[..., None] + bark * (trunk * (1 - alpha))[..., None]
    cover = alpha + trunk * (1 - alpha)
    rgba = np.concatenate([np.clip(rgb, 0, 1) * 1.0, cover[..., None]], -1)
    return Texture.of((np.clip(rgba, 0, 1) * 255 + 0.5).astype(np.uint8))


def _skeleton(rng: np.random.Generator, bush: bool, conifer: bool) -> tuple[np.ndarray, np.ndarray]:
    """Field of the crown (inside > 0) and cover of the trunk, `(SIZE, SIZE)` each."""
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32) / SIZE
    trunk = np.zeros((SIZE, SIZE), np.uint8)
    if conifer:
        half = (rows - 0.04) * rng.uniform(0.3, 0.42) * (0.8 + 0.2 * np.abs(np.sin(rows * 30)))
        crown = np.where(rows < 0.9, half - np.abs(columns - 0.5), -1).astype(np.float32)
        cv2.line(trunk, (SIZE // 2, SIZE - 1), (SIZE // 2, SIZE // 2), 255, 7, cv2.LINE_AA)
        return crown, trunk / np.float32(255)
    crown = np.full((SIZE, SIZE), -1, np.float32)
    middle, spread = ((0.70, 0.22), (0.36, 0.2))[0 if bush else 1]
    for _ in range(int(rng.integers(9, 18))):
        radius = rng.uniform(0.09, 0.2)
        x = np.clip(0.5 + rng.normal(0, 0.16), radius + 0.03, 0.97 - radius)
        y = np.clip(
            middle + rng.normal(0, spread * 0.7), radius + 0.03, (0.97 if bush else 0.72) - radius
        )
        ball = radius - np.hypot(columns - x, (rows - y) * rng.uniform(0.95, 1.25))
        crown = np.maximum(crown, ball)
        if not bush:
            start = (int(SIZE * 0.5), int(SIZE * 0.78))
            cv2.line(trunk, start, (int(x * SIZE), int(y * SIZE)), 255, 3, cv2.LINE_AA)
    if bush:
        ball = 0.36 - np.hypot((columns - 0.5) * 0.85, rows - 1.0)
        crown = np.maximum(crown, ball)
    else:
        thick = int(rng.integers(6, 13))
        cv2.line(trunk, (SIZE // 2, SIZE - 1), (SIZE // 2, SIZE // 2), 255, thick, cv2.LINE_AA)
    return crown, trunk / np.float32(255)


def place_sprite(
    canvas: Canvas, texture: Texture, box: tuple[float, float, float, float], mirror: bool
) -> Patch | None:
    """Scale a premultiplied sprite into a box (left, top, right, bottom) of pixels."""
    left, top, right, bottom = box
    found = canvas.box(np.array([[left, top], [right, bottom]]))
    if found is None or right - left < 0.5:
        return None
    a, b, c, d = found
    image = texture.level(texture.levels[0].shape[0] / max(bottom - top, 1e-3))
    rows, columns = image.shape[:2]
    wide, tall = (right - left) / columns, (bottom - top) / rows
    sign, start = (-wide, right) if mirror else (wide, left)
    shift_x = start - a - 0.5 + 0.5 * sign
    shift_y = top - b - 0.5 + 0.5 * tall
    matrix = np.array([[sign, 0, shift_x], [0, tall, shift_y]])
    drawn = cv2.warpAffine(image, matrix, (c - a, d - b))
    return Patch(drawn * np.float32(1 / 255), a, b)


@dataclass(frozen=True)
class Plant(Thing):
    """A tree or a bush.

    Args:
        variant: which sprite.
        height: metres.
        tint: brightness.
    """

    variant: int = 0
    height: float = 7.0
    tint: float = 1.0

    @property
    def half(self) -> tuple[float, float]:
        """Half extents of what stands on the ground."""
        return 0.3, 0.3

    @property
    def reach(self) -> float:
        """Half the width of its crown."""
        return self.height / 2

    def draw(self, canvas: Canvas, camera: Camera, light: Light) -> None:
        """Paint it."""
        distance = self.s - camera.s
        if distance < 1.5:
            return
        column, row, scale = camera.foot(self.x, self.s)
        tall = self.height * scale
        box = (column - tall / 2, row - tall, column + tall / 2, row)
        patch = place_sprite(canvas, sprite(self.variant), box, light.side > 0)
        if patch is None:
            return
        patch.rgba[:] *= np.append(light.sprite * self.tint, 1).astype(np.float32)
        canvas.paste(patch, VEGETATION, distance)

    def casters(self) -> list[Caster]:
        """Return crown and trunk."""
        wide = self.height * (0.3 if self.variant < TREES else 0.4)
        low = self.height * (0.3 if self.variant < TREES else 0.05)
        crown = Caster(
            (self.x - wide, self.x + wide), (self.s - wide, self.s + wide), low,
            self.height * 0.95, round=True,
        )  # fmt: skip
        foot = 0.14 if self.variant < TREES else wide * 0.8
        trunk = Caster((self.x - foot, self.x + foot), (self.s - foot, self.s + foot), 0, low + 0.1)
        return [crown, trunk]
