"""Negatives that are smoothed random colour: the baseline that a learned source must beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from roadanomaly.negatives.checks import check_choice, check_range
from roadanomaly.negatives.look import Look
from roadanomaly.negatives.outlines import KINDS, random_mask
from roadanomaly.negatives.patches import Patch, PatchSource


class Noise(PatchSource):
    """Rectangles and blobs of smoothed random colour with a little grain.

    Args:
        kinds: outlines to draw from; `rectangle` is upright, the others of `shapes` are turned.
        smooth: least and greatest width of the smoothing, as a share of the longest side.
        contrast: least and greatest deviation of the smoothed colour, in grey levels.
        grain: greatest deviation of the independent noise of each pixel, in grey levels.
        look: how they are put into a crop: what differs from the usual, by the options of `Look`
            (`count`, `side`, `feather`, ...).

    Raises:
        OptionError: a value out of range or an unknown kind.
    """

    content = "synthetic negatives"
    usual = Look(count=(1, 1), side=(16, 216))

    def __init__(
        self,
        kinds: Sequence[str] = ("rectangle", "blob"),
        smooth: Sequence[float] = (0.01, 0.2),
        contrast: Sequence[float] = (10, 70),
        grain: float = 8.0,
        look: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(look)
        for kind in kinds or ("",):
            check_choice("kinds", kind, tuple(KINDS))
        check_range("smooth", smooth, 0, 1)
        check_range("contrast", contrast, 0, 255)
        check_range("grain", (grain, grain), 0, 255)
        self.kinds, self.smooth, self.contrast, self.grain = kinds, smooth, contrast, grain

    def draw(self, side: int, rng: np.random.Generator) -> Patch:
        """Draw one patch, its longest side `side` pixels."""
        alpha = self._outline(side, rng)
        colour = noise_texture(alpha.shape, side, self.smooth, self.contrast, self.grain, rng)
        return Patch(np.clip(colour, 0, 255) * alpha[..., None], alpha)

    def record(self) -> dict[str, Any]:
        """Return the kinds of outlines: there is no other content."""
        return {"name": "noise", "kinds": list(self.kinds)}

    def _outline(self, side: int, rng: np.random.Generator) -> np.ndarray:
        kind = self.kinds[int(rng.integers(len(self.kinds)))]
        if kind != "rectangle":
            return random_mask(kind, side, rng)
        shape = [side, max(1, round(side * rng.uniform(0.35, 1)))]
        return np.ones(rng.permutation(shape), np.float32)


def noise_texture(
    shape: tuple[int, ...],
    side: int,
    smooth: Sequence[float],
    contrast: Sequence[float],
    grain: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw smoothed noise about a random colour; ranges as of `Noise`.

    Args:
        shape: height and width.
        side: longest side of the patch, which the smoothing is relative to.
        smooth: of the smoothing.
        contrast: of the smoothed colour.
        grain: of each pixel.
        rng: draws all of it.

    Returns:
        `(height, width, 3)` float32, not clipped.
    """
    size = (*shape, 3)
    colour: np.ndarray = rng.standard_normal(size, np.float32)
    width = side * rng.uniform(smooth[0], smooth[1])
    if width > 0.1:
        colour = cv2.GaussianBlur(colour, (0, 0), width)
    deviation = rng.uniform(contrast[0], contrast[1])
    colour = colour * np.float32(deviation / max(float(colour.std()), 1e-6))
    colour += rng.uniform(0, 255, 3).astype(np.float32)
    colour += rng.standard_normal(size, np.float32) * np.float32(rng.uniform(0, grain))
    return colour
