"""What the sets of the published benchmarks share: find the files, take a split, read a frame."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from roadanomaly.data.base import FrameSet
from roadanomaly.data.cards import Card, find_top
from roadanomaly.data.handed_round import numbered
from roadanomaly.data.images import (
    check_same_size,
    image_size,
    list_images,
    read_image,
    read_label,
)
from roadanomaly.data.roots import shorten
from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.types import IGNORE, Frame

EVERYTHING = "everything on disk"
"""The split of a set that was opened for checking."""

Self = TypeVar("Self", bound="BenchmarkSet")


@dataclass(frozen=True)
class Files:
    """What lies on disk of one frame.

    Args:
        image: or None where only a label is there.
        label: or None where only an image is there.
        part: the folder or list of the set that it came from.
    """

    image: Path | None = None
    label: Path | None = None
    part: str = ""


class BenchmarkSet(FrameSet):
    """Frames of one split of a published benchmark.

    A part of the set may be on disk: `record` says how many of how many. A frame whose truth the
    benchmark hides carries no label, and `hidden` says so; where label files are there, they count.

    Class facts:
        card: what is known of the set.
        anomaly_table: 256 uint8, label id to 0 inlier, 1 anomaly, 255 ignore.
        label_table: 256 uint8, label id to class index, `NEGATIVE` or `IGNORE`; None where the
            inliers carry no classes.
        words: what the options that are words may be, by their names, which are attributes.

    Args:
        split: one of the card's splits; None takes the card's default.
        root: folder that holds the set's top folder or is it; None looks where `find_top` says.

    Raises:
        DataError: the layout or the split is absent, or a frame with public truth lacks its label.
        OptionError: no such split, or an option that is none of its words.
    """

    card: ClassVar[Card]
    anomaly_table: np.ndarray
    label_table: np.ndarray | None = None
    words: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __init_subclass__(cls) -> None:
        if hasattr(cls, "card"):
            cls.source, cls.licence = cls.card.source, cls.card.licence

    def __init__(self, split: str | None = None, root: str | Path | None = None) -> None:
        self._check_words()
        self.split = self.card.default if split is None else split
        if self.split not in self.card.splits:
            msg = (
                f"`split` of {self.card.name} is {self.split!r}; "
                f"{nearest(self.split, self.card.splits)}"
            )
            raise OptionError(msg)
        self.root = find_top(self.card, root)
        self._take(self.members(self.split, self.scan(self.root)))
        self._require_labels()

    @classmethod
    @abstractmethod
    def scan(cls, root: Path) -> dict[str, Files]:
        """Find every frame below the top folder, of whatever split, by id."""

    @classmethod
    @abstractmethod
    def members(cls, split: str, found: Mapping[str, Files]) -> dict[str, Files]:
        """Return those of the found frames that belong to a split, images only."""

    @classmethod
    def is_public(cls, frame_id: str) -> bool:
        """Tell whether the truth of a frame can be downloaded."""
        return True

    @classmethod
    def official(cls, split: str) -> frozenset[str] | None:
        """Return the ids that a split has as published, or None where they are not known here."""
        return None

    @classmethod
    def strangers(cls, found: Mapping[str, Files]) -> set[str]:
        """Return the found ids that are none of the set's: those that no split takes."""
        known = {key for split in cls.card.splits for key in cls.members(split, found)}
        return {key for key, one in found.items() if one.image and key not in known}

    @classmethod
    def version(cls, root: Path) -> str:
        """Say which of several layouts or versions lies in a top folder; empty if there is one."""
        return ""

    @classmethod
    def open_everything(cls: type[Self], root: Path, options: Mapping[str, Any]) -> Self:
        """Open all that lies in a top folder, complete or not, to be checked.

        Args:
            root: the top folder.
            options: the constructor's further ones, by name; kept as attributes.

        Raises:
            OptionError: an option that is none of its words.
        """
        frames = cls.__new__(cls)
        for name, value in options.items():
            setattr(frames, name, value)
        frames._check_words()
        frames.split, frames.root = EVERYTHING, root
        frames._take({key: one for key, one in cls.scan(root).items() if one.image is not None})
        return frames

    def _check_words(self) -> None:
        """Refuse an option that is none of its words, whichever way the set was opened."""
        for option, known in self.words.items():
            if (given := getattr(self, option)) not in known:
                msg = f"`{option}` of {self.card.name} is {given!r}; {nearest(str(given), known)}"
                raise OptionError(msg)

    def _take(self, files: Mapping[str, Files]) -> None:
        self.files = dict(files)
        self.ids = sorted(self.files)

    def _require_labels(self) -> None:
        if not self.ids:
            msg = (
                f"no frame of the split `{self.split}` of {self.card.name} lies in "
                f"{self.root.absolute()}; it should hold {self.card.layout}. "
                f"`roadanomaly data check {self.card.name}` says what is there."
            )
            raise DataError(msg)
        lacking = [key for key in self.ids if self.files[key].label is None and self.is_public(key)]
        if lacking:
            msg = (
                f"{len(lacking)} of {len(self)} frames of {self.card.name} `{self.split}` in "
                f"{self.root.absolute()} have no label file, though their truth is public: "
                f"{shorten(lacking)}. Unpack the labels again ({self.card.where})."
            )
            raise DataError(msg)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Frame:
        name = self.ids[index]
        files = self.files[name]
        image = self.picture(files)
        if files.label is None or files.image is None:
            return Frame(name, image)
        stored = read_label(files.label)
        check_same_size(image, stored, files.image, files.label)
        anomaly = look_up(stored, self.anomaly_table)
        label = None if self.label_table is None else look_up(stored, self.label_table)
        return Frame(name, image, label, anomaly)

    def picture(self, files: Files) -> Tensor:
        """Read a frame's image, `(3, H, W)` uint8."""
        if files.image is None:
            msg = f"the label {files.label} has no image; download the images again."
            raise DataError(msg)
        return read_image(files.image, upright=False)

    def size(self, frame_id: str) -> tuple[int, int]:
        """Return a frame's `(H, W)` without reading its pixels."""
        image = self.files[frame_id].image
        assert image is not None
        return image_size(image, upright=False)

    def set_ids(self) -> Collection[str]:
        """Return the ids of the frames of all splits that are on the disk."""
        return self.scan(self.root).keys()

    def files_of(self, frame_id: str) -> list[Path]:
        """Return image and label, those that are there."""
        files = self.files[frame_id]
        return [path for path in (files.image, files.label) if path is not None]

    def hidden(self, frame_id: str) -> str | None:
        """Return why a frame of this split cannot be scored, or None where its truth is at hand."""
        return None if self.files[frame_id].label is not None else self.card.hidden(frame_id)

    def record(self) -> dict[str, Any]:
        """Return name, split, count, how many of the published frames, and root's last folder."""
        split = self.card.splits.get(self.split)
        published = split.frames if split else None
        return {
            "name": self.card.name,
            "split": self.split,
            "count": len(self),
            "frames": f"{len(self)} of {'unknown' if published is None else published}",
            "root": self.root.absolute().name,
        }


def look_up(stored: Tensor, to: np.ndarray) -> Tensor:
    """Replace each id of `(H, W)` uint8 by its entry in a table of 256; a new tensor."""
    return torch.from_numpy(cv2.LUT(stored.numpy(), to))


def id_table(targets: Mapping[int, int]) -> np.ndarray:
    """Return 256 uint8: `targets`, and `IGNORE` for every other id, as the official tools do."""
    values = np.full(256, IGNORE, np.uint8)
    values[list(targets)] = list(targets.values())
    values.setflags(write=False)
    return values


def named(folder: Path, ending: str = "", *, join: bool = False) -> dict[str, Path]:
    """Return the image files of a folder and those below it, by id.

    Args:
        folder: may be absent; it then holds none.
        ending: of the stem; other files are left out, and the id goes without it.
        join: an id is the path below the folder, joined by `_`, and not the file's name alone.

    Raises:
        DataError: two files have one id.
    """
    files: dict[str, Path] = {}
    for path in list_images(folder, recursive=True) if folder.is_dir() else []:
        if not path.stem.endswith(ending):
            continue
        parts = path.relative_to(folder).with_suffix("").parts if join else (path.stem,)
        name = "_".join(parts).removesuffix(ending)
        if name in files:
            msg = f"two files have the id {name}: {files[name]} and {path}. Remove one of them."
            raise DataError(msg)
        files[name] = path
    return files


def pair_numbered(top: Path, name: str) -> dict[str, Files]:
    """Find the frames of a set that is handed round; none where its layout is another.

    Raises:
        DataError: the folder is known to be of another set, or two files have one number.
    """
    found = numbered(top, name)
    return {} if found is None else pair(*found)


def pair(
    images: Mapping[str, Path], labels: Mapping[str, Path], part: str = ""
) -> dict[str, Files]:
    """Put images and labels of one id together; either may be missing."""
    files = {key: Files(path, None, part) for key, path in images.items()}
    for key, path in labels.items():
        files[key] = replace(files.get(key, Files(part=part)), label=path)
    return files
