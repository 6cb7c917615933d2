"""Made-up obstacles on the road, as JSRNet and DaCUP train on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from roadanomaly.negatives.checks import check_range
from roadanomaly.negatives.look import Look
from roadanomaly.negatives.noise import noise_texture
from roadanomaly.negatives.outlines import fill, hull
from roadanomaly.negatives.patches import Draw, Patch, PatchSource
from roadanomaly.negatives.shapes import cut_texture

CONTRAST, GRAIN, SMOOTH = (10, 70), 8.0, (0.0, 0.2)
"""Of the noise, as `noise_texture` takes them."""

TRIES = 8
"""Windows drawn before one that shows mostly ground is taken as a texture after all."""


class RoadObstacles(PatchSource):
    """Convex hulls of random points, standing on the road; none where no road is seen.

    Half of them show another place of the same image; the others are noise or one flat colour.

    Args:
        textured: share that shows another place of the image.
        look: how they are put into a crop: what differs from the usual, by the options of `Look`.
            Of those, `perspective` is 0 in JSRNet; at 1 an obstacle at the top of the road is the
            smallest and at its bottom the biggest (DaCUP). `ground` is what counts as road.

    Raises:
        OptionError: a value out of range.

    Source: the training data of Vojir et al., 2021 (JSRNet), and Vojir, Matas, 2023 (DaCUP).
    Differs: obstacles differ from epoch to epoch (the public code seeds them by the number of the
    image, so that each image repeats its own); a texture is turned and scaled, and is not taken
    from the ground where there is anything else.
    """

    content = "synthetic negatives"
    usual = Look(count=(0, 9), side=(32, 256), place="ground", ground=(0, 1), perspective=0.0)

    def __init__(
        self,
        textured: float = 0.5,
        look: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(look)
        check_range("textured", (textured, textured), 0, 1)
        self.textured = textured

    def draw(self, side: int, rng: np.random.Generator) -> Patch:
        """Draw one obstacle without a texture: noise or a flat colour."""
        alpha = _outline(side, rng)
        return _painted(_plain(alpha.shape, side, rng), alpha)

    def draw_for(
        self, image: np.ndarray, label: np.ndarray, side: int, rng: np.random.Generator
    ) -> Patch:
        """Draw one obstacle, perhaps with the texture of another place of the crop."""
        if rng.random() >= self.textured:
            return self.draw(side, rng)
        alpha = _outline(side, rng)
        ground = np.isin(label, self.look.ground)
        return _painted(_elsewhere(image, ground, alpha.shape, rng), alpha)

    def record(self) -> dict[str, Any]:
        """Return what decides how obstacles look: there is no other content."""
        look = self.look
        return {
            "name": "road_obstacles",
            "count": list(look.count),
            "side": list(look.side),
            "textured": self.textured,
            "perspective": look.perspective,
        }

    def _add_one(
        self, image: np.ndarray, label: np.ndarray, draw: Draw, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        if not np.isin(label, self.look.ground).any():
            return image, label
        return super()._add_one(image, label, draw, rng)


def _outline(side: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a hull in a box of random proportions, its longest side `side` pixels."""
    stretch = rng.permutation([1, rng.uniform(0.35, 1)])
    return fill(hull(rng) * stretch, side)


def _plain(shape: tuple[int, ...], side: int, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.5:
        return noise_texture(shape, side, SMOOTH, CONTRAST, GRAIN, rng)
    return np.broadcast_to(rng.uniform(0, 255, 3).astype(np.float32), (*shape, 3))


def _elsewhere(
    image: np.ndarray, ground: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """Cut a texture out of the image, if possible not out of its ground."""
    shown = np.dstack([image, 255 * ground.astype(np.uint8)])
    for _ in range(TRIES):
        texture = cut_texture(shown, shape[0], shape[1], rng)
        if texture[..., 3].mean() < 255 / 2:
            break
    return cv2.cvtColor(texture, cv2.COLOR_RGBA2RGB).astype(np.float32)


def _painted(colour: np.ndarray, alpha: np.ndarray) -> Patch:
    return Patch(np.clip(colour, 0, 255) * alpha[..., None], alpha)
