"""Negatives that are random shapes filled with textures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from roadanomaly.data.cutouts.base import is_complete
from roadanomaly.data.images import list_images, read_image, to_array
from roadanomaly.data.memory import Memory
from roadanomaly.data.parts import check_part, in_part
from roadanomaly.data.roots import find_set
from roadanomaly.errors import DataError
from roadanomaly.negatives.checks import check_choice, check_range
from roadanomaly.negatives.look import OBJECTS
from roadanomaly.negatives.outlines import KINDS, random_mask
from roadanomaly.negatives.patches import Patch, PatchSource

MADE = 192
"""Longest side in pixels of a made-up texture; it is enlarged beyond, which saves time."""

ZOOM = (0.5, 2.0)
"""Range of image pixels per pasted pixel of a texture."""


class Shapes(PatchSource):
    """Polygons, ellipses, stars and blobs with the texture of any image, pasted into the crops.

    Labels are as `Paste` sets them.

    Args:
        textures: folder of images, or the name of one under `$ROADANOMALY_DATA` or `datasets/`;
            None makes textures up.
        kinds: outlines to draw from: polygon, rectangle, ellipse, star, blob.
        shading: greatest strength of a light that falls from one side and of darker rims, 0..1.
        contrast: least and greatest gain of a texture's contrast.
        part: `"train"` and `"held_out"` share no texture file, `"all"` is both.
        held_out: share of the files in `"held_out"`, chosen by a hash of their names.
        look: how they are put into a crop: what differs from the usual, by the options of `Look`
            (`count`, `side`, `feather`, ...). `rotate` turns the outline with its texture; outlines
            alone are turned at random in any case.

    Raises:
        DataError: the folder is missing, or no image of it is left.
        OptionError: a value out of range or an unknown kind.
    """

    usual = OBJECTS

    def __init__(
        self,
        textures: str | None = None,
        kinds: Sequence[str] = tuple(KINDS),
        shading: float = 0.5,
        contrast: Sequence[float] = (0.5, 1.5),
        part: str = "all",
        held_out: float = 0.2,
        look: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(look)
        for kind in kinds or ("",):
            check_choice("kinds", kind, tuple(KINDS))
        check_range("shading", (shading, shading), 0, 1)
        check_range("contrast", contrast, 0, 10)
        check_part(part, held_out)
        self.kinds, self.shading, self.contrast, self.part = kinds, shading, contrast, part
        self.textures = None if textures is None else find_set(textures)
        if self.textures is None:
            self.content = "synthetic negatives"
        self.files: list[Path] = []
        self.truncated = 0
        if self.textures is not None:
            self._list(self.textures, part, held_out)
        self._memory: Memory[np.ndarray] = Memory()

    def draw(self, side: int, rng: np.random.Generator) -> Patch:
        """Draw one shape, its longest side `side` pixels."""
        alpha = self.outline(side, rng)
        texture = self._texture(alpha.shape[0], alpha.shape[1], rng).astype(np.float32)
        gain = rng.uniform(self.contrast[0], self.contrast[1])
        mean = texture.mean((0, 1))
        colour = (texture - mean) * np.float32(gain) + mean
        colour *= shade(alpha, self.shading * rng.random(), rng.uniform(0, 2 * np.pi))[..., None]
        return Patch(np.clip(colour, 0, 255) * alpha[..., None], alpha)

    def outline(self, side: int, rng: np.random.Generator) -> np.ndarray:
        """Draw what is seen of a patch of `side` pixels, `(h, w)` float32 in 0..1."""
        return random_mask(self.kinds[int(rng.integers(len(self.kinds)))], side, rng)

    def record(self) -> dict[str, Any]:
        """Return the textures' folder and their number, and the kinds of outlines."""
        return {
            "name": "shapes",
            "root": None if self.textures is None else self.textures.resolve().name,
            "format": "procedural" if self.textures is None else "images",
            "part": self.part,
            "images": len(self.files),
            "kinds": list(self.kinds),
            "skipped": {"truncated image": self.truncated} if self.truncated else {},
        }

    def _list(self, folder: Path, part: str, held_out: float) -> None:
        if not folder.is_dir():
            msg = f"the textures' folder {str(folder)!r} does not exist. Give a folder of images."
            raise DataError(msg)
        found = list_images(folder, recursive=True)
        whole = [path for path in found if is_complete(path)]
        self.truncated = len(found) - len(whole)
        self.files = [path for path in whole if in_part(path.stem, part, held_out)]
        if not self.files:
            msg = (
                f"no texture is left of the {len(found)} images in {str(folder)!r}: "
                f"{self.truncated} are truncated, `part={part}` removed {len(whole)}. "
                "Give a folder of images, or another `part` or `held_out`."
            )
            raise DataError(msg)

    def _texture(self, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `(height, width, 3)` uint8 pixels."""
        if not self.files:
            from roadanomaly.streets.textures import random_texture

            scale = min(1, MADE / max(height, width))
            made = random_texture(math.ceil(height * scale), math.ceil(width * scale), rng)
            return cv2.resize(made, (width, height), interpolation=cv2.INTER_CUBIC)
        path = self.files[rng.integers(len(self.files))]
        image = self._memory.get(path, lambda: to_array(read_image(path)))
        if image is None:
            return np.zeros((height, width, 3), np.uint8)
        return cut_texture(image, height, width, rng)


def cut_texture(image: np.ndarray, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a window of an image at a random scale, turned by a multiple of 90 degrees.

    Args:
        image: `(H, W, 3)` uint8 of any size.
        height: rows of the result.
        width: columns of the result.
        rng: draws scale, place, turn and flip.

    Returns:
        `(height, width, 3)` uint8.
    """
    turned = np.rot90(image, int(rng.integers(4)))
    rows, columns = turned.shape[:2]
    zoom = ZOOM[0] * (ZOOM[1] / ZOOM[0]) ** rng.random()
    zoom = min(zoom, rows / height, columns / width)
    tall, wide = max(1, int(height * zoom)), max(1, int(width * zoom))
    top, left = rng.integers(rows - tall + 1), rng.integers(columns - wide + 1)
    window = np.ascontiguousarray(turned[top : top + tall, left : left + wide])
    way = cv2.INTER_AREA if zoom > 1 else cv2.INTER_LINEAR
    return cv2.resize(window, (width, height), interpolation=way)


def shade(alpha: np.ndarray, strength: float, direction: float) -> np.ndarray:
    """Return the light on a shape: brighter towards one side, darker at the rim.

    Args:
        alpha: `(h, w)` float32 in 0..1.
        strength: 0 is even light.
        direction: of the light, in radians.

    Returns:
        `(h, w)` float32 gains about 1, within `1 - strength` and `1 + strength / 2`.
    """
    height, width = alpha.shape
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.float32(np.sin(direction))
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None] * np.float32(np.cos(direction))
    side = (rows + columns) / np.float32(np.sqrt(2))
    inside = cv2.copyMakeBorder((alpha >= 0.5).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
    rim = (1 - distance / max(1.0, float(distance.max()))) ** 2
    return 1 + np.float32(strength / 2) * (side - rim)
