"""Negatives whose outlines are islands of Perlin noise, filled with textures: DRAEM's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from roadanomaly.negatives.checks import check_range
from roadanomaly.negatives.look import OBJECTS
from roadanomaly.negatives.shapes import Shapes


class Perlin(Shapes):
    """Where Perlin noise is high, the texture of any image, often half transparent.

    Args:
        textures: folder of images, or the name of one under `$ROADANOMALY_DATA` or `datasets/`;
            None makes textures up.
        octaves: least and greatest number of halvings of the patch that give the noise's cells,
            drawn for each axis by itself.
        threshold: noise above it is seen; the noise lies in about -0.7..0.7, so 0.2 shows a third.
        part: `"train"` and `"held_out"` share no texture file, `"all"` is both.
        held_out: share of the files in `"held_out"`, chosen by a hash of their names.
        look: how they are put into a crop: what differs from the usual, by the options of `Look`.

    Raises:
        DataError: the folder is missing, or no image of it is left.
        OptionError: a value out of range.

    Source: Zavrtanik et al., 2021, DRAEM, section 3.3; Perlin, 1985, An Image Synthesizer.
    Differs: patches of all sizes in place of noise over the whole image; what is fainter than half
    counts for nothing in the labels, as of all sources (`opacity`).
    """

    usual = replace(OBJECTS, count=(1, 2), side=(48, 400), opacity=(0.4, 1), colour_match=(0, 0))

    def __init__(
        self,
        textures: str | None = None,
        octaves: Sequence[int] = (0, 4),
        threshold: float = 0.2,
        part: str = "all",
        held_out: float = 0.2,
        look: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(textures, part=part, held_out=held_out, look=look)
        check_range("octaves", octaves, 0, 8)
        check_range("threshold", (threshold, threshold), -0.5, 0.5)
        self.octaves, self.threshold = octaves, threshold

    def outline(self, side: int, rng: np.random.Generator) -> np.ndarray:
        """Draw islands, `(side, side)` float32, 0 or 1."""
        first, last = self.octaves
        rows, columns = (min(side, 2 ** int(rng.integers(first, last + 1))) for _ in range(2))
        noise = perlin_noise(side, side, rows, columns, rng)
        seen = noise > min(self.threshold, float(np.quantile(noise, 0.9)))
        return seen.astype(np.float32)

    def record(self) -> dict[str, Any]:
        """Return the textures' folder and their number; the outlines are noise."""
        return {**super().record(), "name": "perlin", "kinds": ["perlin"]}


def perlin_noise(
    height: int, width: int, rows: int, columns: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw gradient noise: 0 at the corners of cells, whose gradients there are random units.

    Args:
        height: pixels.
        width: pixels.
        rows: of cells.
        columns: of cells.
        rng: draws the gradients.

    Returns:
        `(height, width)` float32 within `-sqrt(0.5)..sqrt(0.5)`.
    """
    angle = rng.uniform(0, 2 * np.pi, (rows + 1, columns + 1))
    y = (np.arange(height) + 0.5)[:, None] * rows / height
    x = (np.arange(width) + 0.5)[None] * columns / width
    top, left = y.astype(int), x.astype(int)
    down, right = y - top, x - left
    total = np.zeros((height, width))
    for below in (0, 1):
        for beside in (0, 1):
            corner = angle[top + below, left + beside]
            slope = np.sin(corner) * (down - below) + np.cos(corner) * (right - beside)
            total += slope * _faded(np.abs(down - below)) * _faded(np.abs(right - beside))
    return total.astype(np.float32)


def _faded(distance: np.ndarray) -> np.ndarray:
    """Return the weight of a corner at a distance of 0..1: 1 to 0, flat at both ends."""
    return 1 - distance**3 * (10 - 15 * distance + 6 * distance**2)
