"""Segments that lie in files: a label map a frame, or a folder of masks a frame."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from roadanomaly.data.image_arrays import read_whole
from roadanomaly.errors import DataError
from roadanomaly.files import files_in

PNG = (".png",)
READ = ("1", "I", "I;16", "L", "P", "RGB", "RGBA")
"""Modes of Pillow whose pixels say an id."""


@dataclass(frozen=True)
class SegmentFiles:
    """Segments of frames, found by the frame's id: `<id>.png`, or else PNG masks in `<id>/`.

    Of a label map equal values are one segment and 0 is none: a grey or indexed PNG holds ids,
    in one of colours each is `R + 256 G + 65536 B`, as in panoptic maps of COCO. Of a folder each
    PNG is one segment, where it is not 0; where masks overlap, the smaller wins.

    Args:
        folder: where they lie.
    """

    folder: Path

    def path(self, frame_id: str) -> Path:
        """Return the label map of a frame, or the folder of its masks.

        Raises:
            DataError: neither is there.
        """
        label_map, masks = self.folder / f"{frame_id}.png", self.folder / frame_id
        if label_map.is_file():
            return label_map
        if masks.is_dir() and files_in(masks, PNG):
            return masks
        msg = (
            f"segments: {self.folder} holds no segments of frame {frame_id!r}; put a label map "
            f"there, `{frame_id}.png`, or a folder `{frame_id}` with a mask a segment as PNG."
        )
        raise DataError(msg)

    def mark(self, frame_id: str) -> str:
        """Return names, sizes and times of a frame's files.

        Raises:
            DataError: there are none.
        """
        path = self.path(frame_id)
        files = files_in(path, PNG) if path.is_dir() else [path]
        stats = [(one.name, one.stat()) for one in files]
        return " ".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats)

    def read(self, frame_id: str, size: tuple[int, int]) -> Tensor:
        """Read a frame's segments, `(H, W)` int64 from 0; -1 where there is none.

        Args:
            frame_id: of the frame.
            size: `(H, W)` of its score; files of the same proportions are brought to it, each pixel
                taking the nearest.

        Raises:
            DataError: no file, a broken one, or one of other proportions.
        """
        path = self.path(frame_id)
        if path.is_dir():
            masks = [_fitted(one, _ids(one) != 0, size) for one in files_in(path, PNG)]
            return painted(map(torch.from_numpy, sorted(masks, key=lambda mask: -mask.sum())), size)
        ids = _fitted(path, _ids(path), size)
        _, numbers = np.unique(ids, return_inverse=True)
        return torch.from_numpy(np.where(ids == 0, -1, numbers.reshape(ids.shape)))


def painted(masks: Iterable[Tensor], size: tuple[int, int]) -> Tensor:
    """Return one label map of masks that may overlap: the later covers the earlier.

    Args:
        masks: `(H, W)` bool each, in order.
        size: `(H, W)`.

    Returns:
        `(H, W)` int64, the mask's number; -1 where there is none.
    """
    labels = torch.full(size, -1, dtype=torch.int64)
    for number, mask in enumerate(masks):
        labels = labels.to(mask.device).masked_fill(mask, number)
    return labels


def _ids(path: Path) -> np.ndarray:
    """Read `(H, W)` ids as they are stored."""
    try:
        with Image.open(io.BytesIO(read_whole(path))) as image:
            mode, values = image.mode, np.array(image)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        msg = f"the segments {path} cannot be read ({error}): write or copy the file again."
        raise DataError(msg) from error
    if mode not in READ:
        msg = (
            f"the segments {path} are stored as {mode}, and ids are read of {', '.join(READ)}: "
            "save the label map as grey, indexed or RGB PNG."
        )
        raise DataError(msg)
    if values.ndim == 2:
        return values.astype(np.int64)
    return values[..., :3].astype(np.int64) @ np.array([1, 256, 65536])


def _fitted(path: Path, values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring `(h, w)` values to a size, each pixel taking the nearest."""
    (rows, columns), (height, width) = values.shape, size
    if (rows, columns) == (height, width):
        return values
    if abs(columns * height / width - rows) > max(1.5, 0.02 * rows):
        msg = (
            f"the segments {path} are {columns}×{rows}, but the frame's score is {width}×{height} "
            "pixels (width×height), which shows another part: write them for the whole image."
        )
        raise DataError(msg)
    down = ((np.arange(height) + 0.5) * rows / height).astype(np.int64)
    across = ((np.arange(width) + 0.5) * columns / width).astype(np.int64)
    return values[down[:, None], across]
