"""Masks in colours with a `labelmap.txt`, as CVAT exports them ("Segmentation mask 1.1")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from roadanomaly.data.image_arrays import decode, read_whole
from roadanomaly.data.roots import shorten
from roadanomaly.errors import DataError, nearest
from roadanomaly.types import IGNORE, INLIER, NEGATIVE, VOID

FOLDER = "SegmentationClass"
LABELMAP = "labelmap.txt"
LISTS = "ImageSets/Segmentation"
ANOMALY_IDS = {"background": 0, "inlier": 0, "anomaly": 1, "ignore": IGNORE}
CLASS_IDS = {
    "background": INLIER,
    "inlier": INLIER,
    "void": VOID,
    "anomaly": NEGATIVE,
    "ignore": IGNORE,
}


class LabelColours:
    """What the colours of an export's masks mean, by the names of its labels.

    Args:
        folder: of the masks, `SegmentationClass/`; `labelmap.txt` lies beside it.
        classes: names of known classes, which labels of these names are; None where labels say
            anomaly or not: `background` and `inlier` 0, `anomaly` 1, `ignore` 255. With classes
            `background` and `inlier` are inliers of unknown class, `anomaly` is a negative.

    Raises:
        DataError: the labelmap cannot be read, or has a label that means nothing here.
    """

    def __init__(self, folder: Path, classes: Sequence[str] | None) -> None:
        self.folder = folder
        ids = dict(ANOMALY_IDS)
        if classes is not None:
            ids = {**{name: number for number, name in enumerate(classes)}, **CLASS_IDS}
        self.background = ids["background"]
        self.colours: list[int] = []
        self.values: list[int] = []
        path = folder.parent / LABELMAP
        for name, colour in read_labelmap(path).items():
            if name not in ids:
                msg = f"{path} has the label {name!r}, which has no meaning here; "
                raise DataError(msg + nearest(name, ids))
            self.colours.append(_packed(np.array(colour)).item())
            self.values.append(ids[name])

    @classmethod
    def beside(cls, folder: Path, classes: Sequence[str] | None) -> LabelColours | None:
        """Return the colours of a folder of masks, or None where no labelmap lies beside it."""
        return cls(folder, classes) if (folder.parent / LABELMAP).is_file() else None

    def listed(self) -> set[str]:
        """Return the ids of the images that the export lists: without a mask they show nothing."""
        lists = sorted((self.folder.parent / LISTS).glob("*.txt"))
        lines = [line.strip().strip('"') for one in lists for line in _lines(one)]
        return {"__".join(Path(line).parts) for line in lines if line}

    def read(self, path: Path) -> Tensor:
        """Read a mask as ids, `(H, W)` uint8.

        Raises:
            DataError: it cannot be read, or holds a colour that the labelmap lacks.
        """
        colour = decode(path, read_whole(path), cv2.IMREAD_COLOR)
        packed = _packed(colour[..., ::-1])
        order = np.argsort(self.colours)
        known = np.array(self.colours)[order]
        place = np.searchsorted(known, packed).clip(max=len(known) - 1)
        if (strange := known[place] != packed).any():
            red, green, blue = colour[..., ::-1][strange][0].tolist()
            msg = (
                f"{path} holds the colour {red},{green},{blue}, which {LABELMAP} does not list. "
                "Take both from the same export."
            )
            raise DataError(msg)
        return torch.from_numpy(np.array(self.values, np.uint8)[order][place])

    def blank(self, size: tuple[int, int]) -> Tensor:
        """Return the mask of an image in which nobody marked anything, `(H, W)` uint8."""
        return torch.full(size, self.background, dtype=torch.uint8)


def read_labelmap(path: Path) -> Mapping[str, tuple[int, int, int]]:
    """Read a `labelmap.txt`: lines of `name:red,green,blue:parts:actions`.

    Raises:
        DataError: a line is not like this, or two labels have one colour.
    """
    found: dict[str, tuple[int, int, int]] = {}
    for line in _lines(path):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        parts = rest.split(":")[0].split(",")
        if len(parts) != 3 or not all(one.strip().isdigit() and int(one) < 256 for one in parts):
            msg = (
                f"{path} has the line {line!r}; a label is `name:red,green,blue::`, each 0 to 255."
            )
            raise DataError(msg)
        found[name.strip()] = (int(parts[0]), int(parts[1]), int(parts[2]))
    if len(set(found.values())) < len(found) or not found:
        msg = f"{path} gives {shorten(found)} fewer colours than labels; each needs its own."
        raise DataError(msg)
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()


def _packed(colours: np.ndarray) -> np.ndarray:
    return colours.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
