"""Any folder of images, with masks or class labels beside it or with none."""

from __future__ import annotations

import glob
import logging
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from os.path import commonpath
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from roadanomaly.data.base import FrameSet
from roadanomaly.data.class_maps import CITYSCAPES_LABEL_IDS, remap, table
from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.image_arrays import SUFFIXES
from roadanomaly.data.images import (
    check_same_size,
    list_images,
    read_image,
    read_label,
)
from roadanomaly.data.label_colours import LabelColours
from roadanomaly.data.mask_values import (
    BLACK_AND_WHITE,
    STANDARD,
    Values,
    as_option,
    conventions,
)
from roadanomaly.data.parts import check_part, in_part
from roadanomaly.data.roots import below_root, data_root, shorten
from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.files import expanded
from roadanomaly.types import IGNORE, INLIER, NEGATIVE, VOID, Frame

LABEL_ENDINGS = ("", "_labels_semantic", "_labels", "_label", "_mask", "_gt")
"""What a label's name may have after its image's, before the extension."""

LABEL_FOLDERS = ("labels", "labels_masks", "masks", "SegmentationClass")
"""Where labels lie in a `root` unless told otherwise."""

_MEANING = {"inlier": 0, "anomaly": 1, "ignore": IGNORE}
_KINDS = ("anomaly", "classes", "label_ids", "ordinary")

log = logging.getLogger(__name__)


class Folder(FrameSet):
    """Images of a folder or glob, in the order of their names, read upright.

    A label belongs to an image by its name: `a.jpg` takes `a.png`, `a_labels_semantic.png`,
    `a_labels.png`, `a_label.png`, `a_mask.png` or `a_gt.png`. A relative path that does not exist
    is looked for below `$ROADANOMALY_DATA`, or without that variable below `datasets/`.

    Labels in colours are read where a `labelmap.txt` lies beside their folder, as CVAT exports
    them ("Segmentation mask 1.1"): by the names of its labels, `background` (or `inlier`),
    `anomaly`, `ignore`, and of `classes` these and `void`. An image that the export lists without a
    mask is background.

    Args:
        images: folder of the images, or a glob: `"frames/val*.jpg"`; None takes `images/` in
            `root`.
        labels: folder of their labels; None takes `labels/`, `labels_masks/`, `masks/` or
            `SegmentationClass/` in `root`, and without it means images of which nothing is known.
            It may be the images' own, where `images` is a glob of these alone.
        kind: what the labels are: `anomaly` masks; `classes`, indices into `classes` (252 inlier of
            unknown class, 253 void, 254 negative, 255 ignore); `label_ids`, Cityscapes label ids,
            as KITTI has them; or `ordinary`: none are read, every pixel is an inlier of unknown
            class.
        classes: names of the known classes, which `classes` labels index; empty means the 19
            Cityscapes train ids.
        values: what the values of `anomaly` masks mean, as `{"inlier": [0], "anomaly": [255]}`.
            Without it the values of the whole set say so, whatever its `part` (a glob for `images`
            makes a set of its own): 0 is inlier, 1 anomaly and 255 ignored; of 0 and 2, 2 is the
            anomaly; of 0 and 255 alone, 255 is.
        recursive: look into subfolders too; an id then is the path below, joined by `__`.
        root: folder that holds `images/` and the labels, where these are not named themselves.
        upright: follow the orientation in a photograph's EXIF; False takes the pixels as they are
            stored, for labels that were drawn on these.
        part: `"train"` and `"held_out"` share no image, `"all"` is both.
        held_out: share of the images in `"held_out"`, chosen by a hash of their names.

    Raises:
        DataError: there are no images, two have one name, a label is missing, or the values of
            the masks leave several readings, or the part holds none.
        OptionError: `kind`, `values` or `part` is not as above, or neither `images` nor `root` is
            given.
    """

    source = "files that the user names"
    licence = "as the user's files are"

    def __init__(
        self,
        images: str | Path | None = None,
        labels: str | Path | None = None,
        kind: Literal["anomaly", "classes", "label_ids", "ordinary"] = "anomaly",
        classes: Sequence[str] = (),
        values: Values | None = None,
        recursive: bool = False,
        root: str | Path | None = None,
        upright: bool = True,
        part: Literal["all", "train", "held_out"] = "all",
        held_out: float = 0.2,
    ) -> None:
        check_part(part, held_out)
        images, labels = _places(images, labels, root)
        if kind not in _KINDS:
            msg = f"`kind` of folder is {kind!r}; {nearest(kind, _KINDS)}"
            raise OptionError(msg)
        if kind != "anomaly" and values is not None:
            msg = f"`values` of folder belongs to kind `anomaly`, but the kind is `{kind}`."
            raise OptionError(msg)
        if kind == "ordinary":
            labels = None
        self.kind, self.labelled, self.upright = kind, labels is not None, upright
        if kind == "ordinary" or (kind != "anomaly" and self.labelled):
            self.classes = tuple(classes) or CITYSCAPES
        self.root, found = _find_images(str(images), recursive)
        self.all_images = _by_id(self.root, found, "images")
        self.part, self.held_out = part, held_out
        self.images = _of_part(self.all_images, part, held_out)
        self.colours = self._colours(labels) if values is None else None
        blank = self.colours.listed() if self.colours else set()
        self.labels: dict[str, Path] = {}
        if labels is not None:
            folder = expanded(labels)
            self.labels = _match(self.all_images, folder, recursive)
            _require_labels(self.images, {*self.labels, *blank}, folder)
        self.ids = sorted(self.images)
        self.values = values
        if kind == "anomaly" and values is None and self.colours is None:
            self.values = _assumed(self.labels)
        self.table = _table(kind, len(self.classes), self.values or STANDARD)

    def __len__(self) -> int:
        return len(self.ids)

    def set_ids(self) -> list[str]:
        """Return the ids of all images, those of the other part too."""
        return sorted(self.all_images)

    def __getitem__(self, index: int) -> Frame:
        name = self.ids[index]
        image = read_image(self.images[name], upright=self.upright)
        if self.kind == "ordinary":
            return Frame(name, image, torch.full(image.shape[-2:], INLIER, dtype=torch.uint8))
        if not self.labelled:
            return Frame(name, image)
        label = self._label(name, image)
        if self.kind == "anomaly":
            return Frame(name, image, anomaly=label)
        return Frame(name, image, label)

    def _label(self, name: str, image: Tensor) -> Tensor:
        path = self.labels.get(name)
        if path is None:
            assert self.colours is not None
            return self.colours.blank((image.shape[-2], image.shape[-1]))
        label = self.colours.read(path) if self.colours else read_label(path)
        check_same_size(image, label, self.images[name], path)
        return remap(label, self.table, str(path))

    def _colours(self, labels: str | Path | None) -> LabelColours | None:
        if labels is None or self.kind not in ("anomaly", "classes"):
            return None
        classes = self.classes if self.kind == "classes" else None
        return LabelColours.beside(expanded(labels), classes)

    def files_of(self, frame_id: str) -> list[Path]:
        """Return the image, and the label where there is one."""
        label = self.labels.get(frame_id)
        return [self.images[frame_id], *([label] if label else [])]

    def record(self) -> dict[str, Any]:
        """Return name, kind of labels, count, the image folder's last part, and what is unusual."""
        unusual: dict[str, Any] = {} if self.upright else {"upright": False}
        if self.values not in (None, STANDARD):
            unusual["values"] = self.values
        if self.part != "all":
            unusual |= {"part": self.part, "held_out": self.held_out}
        return {
            "name": "folder",
            "split": "all",
            "labels": self.kind if self.labelled or self.kind == "ordinary" else None,
            "count": len(self),
            "root": self.root.absolute().name,
            **unusual,
        }


def _assumed(labels: Mapping[str, Path]) -> Values:
    """Return what the masks' values mean, and say so where it is a guess."""
    values = conventions(labels.values())
    if values is BLACK_AND_WHITE:
        _note_black_and_white(Path(commonpath([one.absolute().parent for one in labels.values()])))
    return values


@cache
def _note_black_and_white(folder: Path) -> None:
    """Say how black and white masks are read; once, however often their set is opened."""
    log.warning(
        "note: the masks in %s/ hold only 0 and 255, so 255 is taken for the anomaly; where it is "
        "to be ignored instead, add %s",
        folder.name,
        as_option({"inlier": [0], "ignore": [255]}),
    )


def _places(
    images: str | Path | None, labels: str | Path | None, root: str | Path | None
) -> tuple[str | Path, str | Path | None]:
    """Return where images and labels lie, from what was named."""
    if root is None:
        if images is None:
            msg = (
                "`folder` needs the option `images` (a folder or glob), or `root`, a folder that "
                "holds images/ and labels/."
            )
            raise OptionError(msg)
        return below_root(images), labels if labels is None else below_root(labels)
    base = below_root(root)
    if labels is None:
        labels = next((base / name for name in LABEL_FOLDERS if (base / name).is_dir()), None)
    else:
        labels = below_root(labels)
    return base / "images" if images is None else below_root(images), labels


def _table(kind: str, count: int, values: Values) -> np.ndarray:
    if kind == "label_ids":
        return CITYSCAPES_LABEL_IDS
    if kind == "classes":
        others = (INLIER, VOID, NEGATIVE, IGNORE)
        return table({**{i: i for i in range(count)}, **{one: one for one in others}})
    if kind == "ordinary":
        return table({})
    targets: dict[int, int] = {}
    for meaning, ids in values.items():
        if meaning not in _MEANING:
            msg = f"`values` of folder has the key {meaning!r}; {nearest(meaning, _MEANING)}"
            raise OptionError(msg)
        for value in ids:
            if value in targets or not 0 <= value <= 255:
                msg = (
                    f"`values` of folder gives {value} to {meaning}; each value is 0 to 255 and "
                    "has one meaning."
                )
                raise OptionError(msg)
            targets[value] = _MEANING[meaning]
    return table(targets)


def _find_images(pattern: str, recursive: bool) -> tuple[Path, list[Path]]:
    """Return the folder that ids are relative to, and the image files."""
    folder = expanded(pattern)
    if folder.is_dir():
        found = list_images(folder, recursive=recursive)
    else:
        matches = map(Path, glob.glob(str(folder), recursive=recursive))  # noqa: PTH207
        found = sorted(p for p in matches if p.suffix.lower() in SUFFIXES and p.is_file())
        while glob.has_magic(str(folder)):
            folder = folder.parent
    if not found:
        what = "the folder is there but holds none" if folder.is_dir() else "there is no such path"
        if not folder.exists() and not folder.is_absolute():
            what += f", nor one below {data_root()}/"
        msg = (
            f"no images were found by `images` = {pattern}: {what}. Give a folder or a glob "
            f"(quoted, so that the shell leaves it alone) of {', '.join(SUFFIXES)} files; "
            "`recursive` looks into subfolders."
        )
        raise DataError(msg)
    return (folder if folder.is_dir() else folder.parent), found


def _by_id(root: Path, paths: list[Path], option: str) -> dict[str, Path]:
    """Return files by their ids; `option` says whether they are `images` or `labels`."""
    ways = {"images": "narrow `images` by a glob (`*.jpg`)", "labels": "move one out of `labels`"}
    named: dict[str, Path] = {}
    for path in paths:
        name = "__".join(path.relative_to(root).with_suffix("").parts)
        if name in named:
            msg = (
                f"two {option} have the name {name}: {named[name]} and {path}. Names without "
                f"extension must differ: rename one, or {ways[option]}."
            )
            raise DataError(msg)
        named[name] = path
    return named


def _of_part(images: dict[str, Path], part: str, held_out: float) -> dict[str, Path]:
    kept = {name: path for name, path in images.items() if in_part(name, part, held_out)}
    if not kept:
        msg = (
            f"`part` = {part} of folder is empty: none of {len(images)} images falls into it with "
            f"`held_out` = {held_out:g}. Choose another share, or `all`."
        )
        raise DataError(msg)
    return kept


def _match(images: Mapping[str, Path], folder: Path, recursive: bool) -> dict[str, Path]:
    """Return the labels of those images that have one, by their ids; no image is a label."""
    if not folder.is_dir():
        msg = f"`labels` = {folder} is not a folder. Give the folder of the label files."
        raise DataError(msg)
    own = {path.resolve() for path in images.values()}
    found = list_images(folder, recursive=recursive)
    labels = _by_id(folder, [path for path in found if path.resolve() not in own], "labels")
    return {
        name: labels[name + ending]
        for name in images
        for ending in reversed(LABEL_ENDINGS)
        if name + ending in labels
    }


def _require_labels(images: Collection[str], labelled: set[str], folder: Path) -> None:
    missing = sorted(set(images) - labelled)
    if missing:
        msg = (
            f"{len(missing)} of {len(images)} images have no label in {folder.absolute()}: "
            f"{shorten(missing)}. A label has its image's name and one of the endings "
            f"{', '.join(map(repr, LABEL_ENDINGS))}; add them, or narrow `images` by a glob to "
            "those that have one."
        )
        raise DataError(msg)
