"""Whole pictures of other things in place of some crops."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
import torch
from torch import Tensor

from roadanomaly.data.cutouts import Entry, open_cutouts
from roadanomaly.data.images import image_size, read_image, to_array
from roadanomaly.data.memory import Memory
from roadanomaly.data.parts import check_part, in_part
from roadanomaly.data.roots import find_set
from roadanomaly.errors import OptionError
from roadanomaly.negatives.base import NegativeSource
from roadanomaly.negatives.checks import check_choice, check_range
from roadanomaly.negatives.sifting import excluded, sift
from roadanomaly.negatives.whole import fill
from roadanomaly.types import IGNORE, NEGATIVE, Batch

Surroundings = Literal["negative", "ignore"]


class WholePictures(NegativeSource):
    """Fills a share of the crops with windows of pictures that show no class of roads.

    A window lies anywhere, half of them mirrored; a picture smaller than the crop is enlarged just
    to cover it.

    Args:
        root: the set's folder, or the name of one under `$ROADANOMALY_DATA` or `datasets/`; in any
            format that cut-outs may have.
        share: chance of each crop to be filled, 0..1.
        surroundings: what lies outside the picture's objects and crowds, its sky or grass say: is
            `"negative"`, as the objects are, or `"ignore"`, so that nothing is learned of it.
        min_side: least short side of a picture, in pixels.
        exclude: class names that no picture may show, not even as a crowd; None takes those that
            roads have.
        part: `"train"` and `"held_out"` share no picture, `"all"` is both.
        held_out: share of the pictures in `"held_out"`, chosen by a hash of their names.
        licences: numbers of the licences, as the COCO file gives them, whose pictures are used;
            pictures without one are then left out. None asks for none.

    Raises:
        DataError: the set is missing or unreadable, or no picture is left; says how many each
            condition removed.
        OptionError: a value out of range, or an excluded class that the set does not define.

    Source: Chan, Rottmann, Gottschalk, Entropy Maximization and Meta Classification, ICCV 2021:
    one COCO picture to ten street images, so 1 in 11 crops. Differs from the public code: pictures
    from 320 pixels and not from 480, since crops are smaller here; and all classes of COCO that
    roads have are excluded, where the code names eight of them. Its negatives are the objects, as
    with `surroundings: ignore`, and by a slip of its masks, which say 0 around them, what surrounds
    these learns to be road.
    """

    def __init__(
        self,
        root: str = "coco_more",
        share: float = 1 / 11,
        surroundings: Surroundings = "negative",
        min_side: int = 320,
        exclude: Sequence[str] | None = None,
        part: str = "all",
        held_out: float = 0.2,
        licences: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        check_part(part, held_out)
        check_range("share", (share, share), 0, 1)
        check_choice("surroundings", surroundings, get_args(Surroundings))
        if min_side < 1:
            msg = f"`min_side` of whole_pictures must be at least 1 pixel, not {min_side}."
            raise OptionError(msg)
        self.share, self.min_side, self.part = share, min_side, part
        self.surroundings = surroundings
        self.leaves_unlabelled = surroundings == "ignore"
        self.reader = open_cutouts(find_set(root))
        left_out = excluded(self.reader, exclude)
        shown: dict[Path, list[Entry]] = {}
        for entry in self.reader.entries:
            shown.setdefault(entry.image, []).append(entry)
        self.shown = self._left(shown, left_out, held_out, licences)
        self.paths = sorted(self.shown)
        self._memory: Memory[np.ndarray] = Memory()

    def _left(
        self,
        shown: dict[Path, list[Entry]],
        left_out: frozenset[str],
        held_out: float,
        licences: Sequence[int] | None,
    ) -> dict[Path, list[Entry]]:
        """Return the pictures that all conditions leave, with their objects.

        Raises:
            DataError: none is left.
        """

        def foreign(path: Path) -> bool:
            classes = {one.category for one in shown[path]} | self.reader.crowds.get(path, set())
            return not classes & left_out

        conditions = {
            "exclude": foreign,
            f"part={self.part}": lambda path: in_part(path.stem, self.part, held_out),
            "licences": lambda path: licences is None or shown[path][0].licence in licences,
            f"min_side={self.min_side}": lambda path: min(image_size(path)) >= self.min_side,
        }
        paths = sift(shown, conditions, "picture", self.reader.root)
        return {path: shown[path] for path in paths}

    def mix(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Fill some crops; see `NegativeSource.mix`."""
        height, width = batch.image.shape[-2:]
        images: dict[int, Tensor] = {}
        labels: dict[int, Tensor] = {}
        for number in range(len(batch.image)):
            if rng.random() < self.share:
                images[number], labels[number] = self._window(height, width, rng)
        return fill(batch, images, labels)

    def record(self) -> dict[str, Any]:
        """Return the set's name, how many pictures it gives, and what they show."""
        objects = Counter(one.category for entries in self.shown.values() for one in entries)
        licences = Counter(
            entries[0].licence for entries in self.shown.values() if entries[0].licence is not None
        )
        return {
            "name": "whole_pictures",
            "root": self.reader.root.resolve().name,
            "format": self.reader.format,
            "part": self.part,
            "share": self.share,
            "surroundings": self.surroundings,
            "min_side": self.min_side,
            "pictures": len(self.paths),
            "shown": dict(sorted(objects.items())),
            **({"licences": dict(sorted(licences.items()))} if licences else {}),
        }

    def _window(self, height: int, width: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draw `(3, height, width)` uint8 out of one picture, and its `(height, width)` label."""
        path = self.paths[rng.integers(len(self.paths))]
        picture = self._memory.get(path, partial(self._read, path))
        assert picture is not None
        picture = covering(picture, height, width)
        top = rng.integers(picture.shape[0] - height + 1)
        left = rng.integers(picture.shape[1] - width + 1)
        window = picture[top : top + height, left : left + width]
        if rng.random() < 0.5:
            window = window[:, ::-1]
        label = np.where(window[..., 3] >= 128, np.uint8(NEGATIVE), np.uint8(IGNORE))
        colours = np.ascontiguousarray(window[..., :3].transpose(2, 0, 1))
        return torch.from_numpy(colours), torch.from_numpy(label)

    def _read(self, path: Path) -> np.ndarray:
        """Return `(h, w, 4)` uint8: colours, and 255 where they are negatives."""
        objects = self.shown[path]
        colours = to_array(read_image(path, upright=self.reader.upright(objects[0])))
        height, width = colours.shape[:2]
        negative = np.full((height, width), 255, np.uint8)
        if self.surroundings == "ignore":
            shown = [*objects, *self.reader.crowd_regions.get(path, [])]
            negative = reduce(np.maximum, (self.reader.mask(one, height, width) for one in shown))
        return np.dstack([colours, negative])


def covering(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return `(h, w, C)` pixels, enlarged as little as covers a crop; as they are if they do."""
    scale = max(height / picture.shape[0], width / picture.shape[1])
    if scale <= 1:
        return picture
    size = (math.ceil(scale * picture.shape[1]), math.ceil(scale * picture.shape[0]))
    return cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
