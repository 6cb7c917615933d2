"""Small photographs that say in EXIF which way up they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIDEWAYS = (5, 6, 7, 8)
"""Orientations that swap width and height."""


def photograph() -> Image.Image:
    """Return 32×24 pixels of which no turn or mirroring leaves any equal."""
    rows, columns = np.mgrid[:24, :32]
    return Image.fromarray(np.stack([rows * 9, columns * 7, rows * 3 + columns], 2).astype("u1"))


def save(path: Path, image: Image.Image, orientation: int) -> Path:
    """Write an image as it is, with an orientation in its EXIF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tags = Image.Exif()
    tags[0x0112] = orientation
    options = {".jpg": {"quality": 95, "subsampling": 0}, ".webp": {"lossless": True}}
    image.save(path, exif=tags, **options.get(path.suffix, {}))
    return path
