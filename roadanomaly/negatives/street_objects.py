"""Negatives that are the strange objects of the drawn streets, cut out with their exact outline."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import cv2
import numpy as np

from roadanomaly.data.memory import Memory
from roadanomaly.data.streets import Streets
from roadanomaly.errors import OptionError
from roadanomaly.negatives.checks import check_choice
from roadanomaly.negatives.cutouts import Cutout
from roadanomaly.negatives.cutouts.base import crop
from roadanomaly.negatives.look import OBJECTS
from roadanomaly.negatives.paste import resize
from roadanomaly.negatives.patches import Patch, PatchSource
from roadanomaly.types import NEGATIVE

SPLITS = {"train": "outliers", "held_out": "test"}
"""Part to split of the streets: the two share no kind of object."""

SIZE = 384, 768
"""Rows and columns of a street from which objects are cut."""

LEAST = 150
"""Pixels of the smallest object that is cut out; what is smaller has no texture to show."""

EMPTY = 100
"""Streets in a row that may hold no object of that size."""


class StreetObjects(PatchSource):
    """Objects that a program drew, with the light of their street, pasted into the crops.

    They need no download, and photographs have no part in them. Labels are as `Paste` sets them.

    Args:
        streets: how many streets objects are taken from; each has one to three.
        seed: of the streets.
        part: `"train"` and `"held_out"` share no kind of object.
        look: how they are put into a crop: what differs from the usual, by the options of `Look`
            (`count`, `side`, `feather`, ...).

    Raises:
        OptionError: a value out of range or an unknown part.
    """

    usual = OBJECTS
    content = "synthetic negatives"

    def __init__(
        self,
        streets: int = 60,
        seed: int = 0,
        part: str = "train",
        look: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(look)
        check_choice("part", part, tuple(SPLITS))
        self.part = part
        self.streets = Streets(
            SPLITS[part], count=streets, height=SIZE[0], width=SIZE[1], seed=seed
        )
        self._memory: Memory[Objects] = Memory()

    def draw(self, side: int, rng: np.random.Generator) -> Patch:
        """Draw one object, its longest side `side` pixels or less where it would be blown up."""
        for _ in range(EMPTY):
            index = int(rng.integers(len(self.streets)))
            found = self._memory.get(index, partial(self._cut, index))
            if found:
                return resize(found[int(rng.integers(len(found)))], side)
        msg = (
            f"{EMPTY} of {len(self.streets)} streets hold no object of {LEAST} pixels; give more "
            "`streets`."
        )
        raise OptionError(msg)

    def record(self) -> dict[str, Any]:
        """Return the streets' number and seed, and the part."""
        return {
            "name": "street_objects",
            "root": None,
            "format": "procedural",
            "part": self.part,
            "streets": len(self.streets),
            "seed": self.streets.seed,
        }

    def _cut(self, index: int) -> Objects:
        """Cut the objects out of one street; what stands before one has been taken from it."""
        frame = self.streets[index]
        assert frame.label is not None
        colour = frame.image.permute(1, 2, 0).numpy()
        mask = (frame.label == NEGATIVE).to(frame.label.dtype).numpy()
        count, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        large = [n for n in range(1, count) if stats[n, cv2.CC_STAT_AREA] >= LEAST]
        cut = (crop(colour, (parts == n).astype(np.uint8) * 255) for n in large)
        return Objects(one for one in cut if one is not None)


class Objects(tuple[Cutout, ...]):
    """The objects of one street."""

    __slots__ = ()

    @property
    def nbytes(self) -> int:
        """Memory that they take."""
        return sum(one.nbytes for one in self)
