"""Masks of many images in the archive that CVAT imports as "Segmentation mask 1.1"."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from roadanomaly.errors import DataError
from roadanomaly.exchange.regions import number_regions
from roadanomaly.files import write_bytes
from roadanomaly.types import Component

ARCHIVE = "cvat.zip"
COLOUR = (250, 50, 83)
"""RGB of the label `anomaly` in the masks; any would do that is not the background's."""

LABELMAP = f"""# label:color_rgb:parts:actions
background:0,0,0::
anomaly:{COLOUR[0]},{COLOUR[1]},{COLOUR[2]}::
"""
INSTANCES = 255
"""Objects that can be told apart in a mask; further ones share the last number."""


class CvatArchive:
    """`cvat.zip`: `labelmap.txt`, `SegmentationClass/`, `SegmentationObject/` and a list of names.

    Args:
        folder: to write into.
    """

    names = (ARCHIVE,)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.masks: dict[str, tuple[bytes, bytes]] = {}

    def add(self, file: str, mask: np.ndarray, components: Sequence[Component]) -> None:
        """Take in an image.

        Args:
            file: its path, as the task in CVAT has it.
            mask: `(H, W)` bool, of `find_components`.
            components: of the same call.
        """
        name = name_of(file)
        numbers = np.minimum(number_regions(mask, components), INSTANCES)
        anomaly = np.where(mask[..., None], np.array(COLOUR, np.uint8), np.uint8(0))
        self.masks[name] = (_png(anomaly), _png(instance_colours()[numbers]))

    def close(self) -> None:
        """Write the archive.

        Raises:
            UserError: the folder cannot be written.
        """
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name, data in self._members():
                archive.writestr(name, data)
        write_bytes(self.folder / ARCHIVE, content.getvalue())

    def _members(self) -> Iterator[tuple[str, str | bytes]]:
        yield "labelmap.txt", LABELMAP
        yield "ImageSets/Segmentation/default.txt", "".join(f"{name}\n" for name in self.masks)
        for name, (anomaly, instances) in self.masks.items():
            yield f"SegmentationClass/{name}.png", anomaly
            yield f"SegmentationObject/{name}.png", instances


def name_of(file: str) -> str:
    """Return what CVAT calls an image: its path without the ending."""
    return str(PurePosixPath(file).with_suffix(""))


def refuse_doubles(files: Sequence[str]) -> None:
    """Refuse images that CVAT could not tell apart.

    Raises:
        DataError: names two such images.
    """
    seen: dict[str, str] = {}
    for file in files:
        if (other := seen.setdefault(name_of(file), file)) != file:
            msg = (
                f"CVAT tells images apart by their names without ending, which {other} and {file} "
                "share: rename one, or give them to separate calls."
            )
            raise DataError(msg)


def instance_colours() -> np.ndarray:
    """Return the colours by which Pascal VOC numbers objects, `(256, 3)` uint8 RGB.

    Of a number's bits the lowest three go to the highest bits of red, green and blue, the next
    three to the next highest, and so on.
    """
    numbers = np.arange(256)
    colours: np.ndarray = np.zeros((256, 3), np.int64)
    for place in range(3):
        for channel in range(3):
            colours[:, channel] |= (numbers >> (3 * place + channel) & 1) << (7 - place)
    return colours.astype(np.uint8)


def _png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))[1].tobytes()
