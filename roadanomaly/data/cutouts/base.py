"""What every cut-out reader is: a list of objects in images, each read as colours with alpha."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar, NamedTuple

import cv2
import numpy as np

from roadanomaly.data.images import image_size, list_images, read_image, to_array
from roadanomaly.errors import DataError

FINER = 4
"""Sub-pixels a side with which polygons are filled."""

OTHER_SHAPE = "image of other proportions than its annotations"
"""Why a picture is left out whose masks would lie wrong, however they are scaled."""

LOST = frozenset(
    {
        "label without image",
        "truncated image",
        "damaged image",
        "unreadable annotation",
        OTHER_SHAPE,
    }
)
"""Reasons to leave something out that say a file is missing or broken."""

LONGEST_NAME = 100
"""Letters of a file's name that a message shows whole."""

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """One object that a set holds; its pixels are read when asked for.

    Args:
        image: file that shows it.
        key: which object of that image; only its reader knows what the number means.
        category: class name.
        share: of the image, that the object's box covers, 0..1.
        licence: of the image, the number that its COCO file gives; None where no file says it.
    """

    image: Path
    key: int
    category: str
    share: float
    licence: int | None = None


class Cutout(NamedTuple):
    """One object, cropped to its box.

    Args:
        colour: `(h, w, 3)` uint8 RGB, multiplied by alpha, so 0 outside the object.
        alpha: `(h, w)` uint8, 255 = object.
    """

    colour: np.ndarray
    alpha: np.ndarray

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.colour.nbytes + self.alpha.nbytes


class CutoutReader(ABC):
    """A folder of objects in one format.

    Class facts:
        format: its name in a config.

    Attributes:
        names: every class name that the set defines, used or not; empty if it defines none.
        entries: the objects, in a fixed order.
        images: how many usable images the set has.
        skipped: how many images or objects could not be used, by reason.
        crowds: by image, the classes of which it shows a crowd, or perhaps an object that could
            not be used; these are no entries.
        crowd_regions: by image, its crowds whose masks can be read, as `mask` takes them.
    """

    format: ClassVar[str]

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names: tuple[str, ...] = ()
        self.entries: list[Entry] = []
        self.images = 0
        self.skipped: Counter[str] = Counter()
        self.crowds: dict[Path, set[str]] = {}
        self.crowd_regions: dict[Path, list[Entry]] = {}
        self._examples: dict[str, str] = {}

    @staticmethod
    @abstractmethod
    def matches(root: Path) -> bool:
        """Say whether the folder looks like this format."""

    @abstractmethod
    def mask(self, entry: Entry, height: int, width: int) -> np.ndarray:
        """Return the object's `(height, width)` uint8 mask, 255 inside.

        Raises:
            DataError: the file that holds it was damaged or changed since the set was listed.
        """

    def files_of(self, image: Path) -> list[Path]:
        """Return the files beside an image that say which objects it shows, and their masks."""
        return []

    def read(self, entry: Entry) -> Cutout | None:
        """Read one object; None, with a warning, where its image or mask cannot be used.

        A mask may be empty at image size, as that of an object thinner than a pixel.
        """
        try:
            colour = to_array(read_image(entry.image, upright=self.upright(entry)))
            mask = self.mask(entry, *colour.shape[:2])
        except DataError as error:
            log.warning("cut-out left out: %s", error)
            return None
        return crop(colour, mask)

    def upright(self, entry: Entry) -> bool:
        """Say whether the entry's image is read upright, or as it is stored."""
        return True

    def usable(self, image: Path, annotated: tuple[int, int] | None = None) -> bool:
        """Count an image, and say whether it can be used; one that cannot is counted by its fault.

        Args:
            image: its file.
            annotated: `(height, width)` that its annotations are given in; None if nothing says it.
        """
        reason, which = fault(image, annotated)
        if reason:
            self.skip(reason, image, which)
            return False
        self.images += 1
        return True

    def skip(self, reason: str, path: Path, which: str = "") -> None:
        """Count something that cannot be used: which part of a file, or the whole file."""
        self.skipped[reason] += 1
        name = path.name
        name = name if len(name) <= LONGEST_NAME else f"{name[:50]}...{name[-20:]}"
        self._examples.setdefault(reason, f"{name}: {which}" if which else name)

    def report(self) -> None:
        """Log what was left out, if anything was; once, however many sources open the folder."""
        if self.skipped:
            _warn_once(self.root.absolute(), self.left_out())

    def left_out(self, reasons: Collection[str] | None = None) -> str:
        """Return what was left out, how often, and the first of each.

        Args:
            reasons: those that are asked for; None asks for all.
        """
        return ", ".join(
            f"{count} x {why} ({self._examples[why]})"
            for why, count in self.skipped.items()
            if reasons is None or why in reasons
        )


@cache
def _warn_once(root: Path, left_out: str) -> None:
    log.warning("cut-outs of %s left out: %s", root.name, left_out)


def crop(colour: np.ndarray, alpha: np.ndarray) -> Cutout | None:
    """Cut `(H, W, 3)` colours to the box of an `(H, W)` uint8 alpha; None where it is empty."""
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    if not len(rows):
        return None
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    inside = alpha[window]
    product = colour[window].astype(np.uint16) * inside[..., None]
    return Cutout(((product + 127) // 255).astype(np.uint8), inside.copy())


def fill_polygon(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Fill a polygon by the even-odd rule: pixels of which at least a half lies inside.

    Args:
        points: `(N, 2)` x and y in pixels, the first pixel reaching from 0 to 1.
        height: rows of the mask.
        width: columns of the mask.

    Returns:
        `(height, width)` uint8, 255 inside.
    """
    mask = np.zeros((height, width), np.uint8)
    left, top = np.maximum(np.floor(points.min(0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(points.max(0)), (width, height)).astype(int)
    if right <= left or bottom <= top:
        return mask
    fine = np.zeros(((bottom - top) * FINER, (right - left) * FINER), np.uint8)
    corners = np.floor((points - (left, top)) * FINER).astype(np.int32)
    cv2.fillPoly(fine, [corners], 255)
    part = cv2.resize(fine, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    mask[top:bottom, left:right] = (part >= 128) * np.uint8(255)
    return mask


def unseen(points: np.ndarray, height: float, width: float) -> str:
    """Say why nothing can be seen of a polygon, `(N, 2)` x and y; empty where something may be."""
    (left, top), (right, bottom) = points.min(0), points.max(0)
    if right <= 0 or bottom <= 0 or left >= width or top >= height:
        return "outside its image"
    offsets = points - points[0]
    farthest = offsets[np.argmax((offsets**2).sum(1))]
    aside = offsets @ (farthest[1], -farthest[0])
    return "" if np.abs(aside).max() > 1e-9 * (farthest @ farthest) else "without area"


def alike(one: Sequence[int], other: Sequence[int]) -> bool:
    """Say whether two `(height, width)` have the same proportions, but for rounding to pixels."""
    return abs(one[0] * other[1] - one[1] * other[0]) <= max(*one, *other)


def fault(image: Path, annotated: tuple[int, int] | None) -> tuple[str, str]:
    """Return why an image cannot be used, with details; empty where its head and tail are good.

    Arguments are those of `CutoutReader.usable`.
    """
    if not is_there(image):
        return "label without image", ""
    if not is_complete(image):
        return "truncated image", ""
    try:
        stored = image_size(image, upright=False)
        if annotated is None or alike(annotated, stored):
            return "", ""
        height, width = image_size(image)
    except DataError:
        return "damaged image", ""
    if alike(annotated, (height, width)):
        return "", ""
    return OTHER_SHAPE, f"{width}x{height}, annotated as {annotated[1]}x{annotated[0]}"


def is_there(path: Path) -> bool:
    """Say whether a file is there; none is whose name the file system refuses, as too long."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_complete(path: Path) -> bool:
    """Say whether an image file is whole; it is decoded only where its tail leaves a doubt."""
    with path.open("rb") as file:
        start = file.read(8)
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 64))
        tail = file.read()
    if start.startswith(b"\xff\xd8") and tail.endswith(b"\xff\xd9"):
        return True
    if start.startswith(b"\x89PNG") and b"IEND" in tail:
        return True
    try:
        read_image(path)
    except DataError:
        return False
    return True


def by_stem(paths: Iterable[Path], folder: Path) -> dict[str, Path]:
    """Map each path below `folder`, without its suffix, to its file."""
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}


def images_by_stem(folder: Path) -> dict[str, Path]:
    """Map each image's path below `folder`, without its suffix, to its file, in name order."""
    return by_stem(list_images(folder, recursive=True), folder) if folder.is_dir() else {}


def names_file(root: Path) -> tuple[str, ...]:
    """Read `names.txt` of a set, one class name a line; empty where there is none."""
    path = root / "names.txt"
    if not path.is_file():
        return ()
    return tuple(line.strip() for line in read_text(path).splitlines() if line.strip())


def read_text(path: Path) -> str:
    """Read a text file of a set.

    Raises:
        DataError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read as text ({error}): download it again, or remove it."
        raise DataError(msg) from error


def refuse_empty(reader: CutoutReader, wanted: str) -> None:
    """Refuse a set without a single object.

    Raises:
        DataError: says what the format wants and what was skipped.
    """
    if reader.entries:
        return
    skipped = reader.left_out()
    msg = (
        f"no cut-out in {str(reader.root)!r}, read as {reader.format}: {wanted}. "
        f"Skipped: {skipped or 'nothing'}. Check the folder, or name another `format`."
    )
    raise DataError(msg)
