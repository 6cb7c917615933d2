"""Streets: road scenes drawn by a program, with exact labels and no download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from roadanomaly.data.base import FrameSet
from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.memory import Memory
from roadanomaly.errors import OptionError, nearest
from roadanomaly.streets.anomalies import KINDS, OUTLIER_KINDS, TEST_KINDS
from roadanomaly.streets.render import render
from roadanomaly.streets.scene import Scene
from roadanomaly.types import NEGATIVE, VOID, Frame

SPLITS: dict[str, tuple[int, int]] = {
    "train": (1, 400),
    "val": (2, 60),
    "test": (3, 60),
    "sequence": (22, 50),
    "outliers": (5, 400),
}
"""Split: its number in the seed, and how many frames it has unless told otherwise."""

ANOMALIES = {"test": TEST_KINDS, "sequence": TEST_KINDS, "outliers": OUTLIER_KINDS}
"""Split: the kinds of strange objects in it; the first two share none with the last."""

STRANGE = ("negative", "void")
"""What strange objects may be labelled as."""


class Streets(FrameSet):
    """Procedural road scenes under many lights and weathers, labelled in Cityscapes train ids.

    `train` and `val` show known classes only. `test` puts one to three strange objects, labelled
    `NEGATIVE`, on the ground of about six frames in seven. `sequence` is one drive past such
    objects, frame after frame. `outliers` is like `test`, with objects of other kinds: negatives
    to learn from. A frame depends on nothing but the arguments and its index; what
    was drawn is kept, up to 512 MB.

    Args:
        split: `"train"`, `"val"`, `"test"`, `"sequence"` or `"outliers"`.
        count: frames; None takes 400, 60, 60, 50 or 400.
        height: image rows.
        width: image columns.
        seed: of the whole set; each seed is another set.
        kinds: of strange objects, by name, instead of the split's own; `streets.anomalies.KINDS`
            lists them.
        strange: what strange objects are labelled as: `negative`, or `void`, as sets label what
            belongs to none of their classes.

    Raises:
        OptionError: an unknown split, kind or label, kinds for a split that shows no strange
            object, or a number below its range.
    """

    source: ClassVar[str] = "drawn by roadanomaly itself"
    licence: ClassVar[str] = "Apache-2.0, as roadanomaly"
    classes: tuple[str, ...] = CITYSCAPES

    def __init__(
        self,
        split: str = "train",
        *,
        count: int | None = None,
        height: int = 256,
        width: int = 512,
        seed: int = 0,
        kinds: Sequence[str] | None = None,
        strange: Literal["negative", "void"] = "negative",
    ) -> None:
        if split not in SPLITS:
            msg = f"streets has no split {split!r}; {nearest(split, SPLITS)}"
            raise OptionError(msg)
        self.split = split
        self.count = SPLITS[split][1] if count is None else count
        self.height, self.width, self.seed = height, width, seed
        for name, value, least, most in (
            ("count", self.count, 1, 1_000_000),
            ("height", height, 32, 8192),
            ("width", width, 32, 8192),
            ("seed", seed, 0, 2**63 - 1),
        ):
            if not least <= value <= most:
                msg = f"`{name}` of streets is {value}; give a whole number of {least} to {most}."
                raise OptionError(msg)
        if strange not in STRANGE:
            msg = f"`strange` of streets is {strange!r}; {nearest(strange, STRANGE)}"
            raise OptionError(msg)
        self.strange = VOID if strange == "void" else NEGATIVE
        self.kinds = ANOMALIES.get(split, ()) if kinds is None else _checked(kinds, split)
        self._drawn: Memory[np.ndarray] = Memory()
        self._drive = self._scene(0) if split == "sequence" else None

    def __len__(self) -> int:
        """Count the frames."""
        return self.count

    def __getitem__(self, index: int) -> Frame:
        """Draw one frame.

        Raises:
            IndexError: below 0 or beyond the last frame.
        """
        if not 0 <= index < self.count:
            msg = f"frame {index} of {self.count}: give an index from 0 to {self.count - 1}."
            raise IndexError(msg)
        planes = self._drawn.get(index, lambda: self._draw(index))
        assert planes is not None
        pixels = torch.from_numpy(planes.copy())
        return Frame(self._name(index), pixels[:3], pixels[3])

    def frame_ids(self) -> list[str]:
        """Return the ids of all frames, without drawing them."""
        return [self._name(index) for index in range(self.count)]

    def _name(self, index: int) -> str:
        return f"{self.split}_{index:04d}"

    def _draw(self, index: int) -> np.ndarray:
        """Return red, green, blue and label, `(4, H, W)` uint8."""
        if self._drive is not None:
            image, label = render(self._drive, index)
        else:
            image, label = render(self._scene(index))
        label = np.where(label == NEGATIVE, np.uint8(self.strange), label)
        return np.concatenate([image.transpose(2, 0, 1), label[None]])

    def _scene(self, index: int) -> Scene:
        return Scene(
            (self.seed, SPLITS[self.split][0], index),
            self.height,
            self.width,
            anomalies=self.kinds,
            moving=self.split == "sequence",
        )

    def record(self) -> dict[str, Any]:
        """Return name, split, count, size and seed; kinds and labels where they are not usual."""
        chosen = self.kinds != ANOMALIES.get(self.split, ())
        return {
            "name": "streets",
            "split": self.split,
            "count": self.count,
            "size": [self.height, self.width],
            "seed": self.seed,
            **({"kinds": list(self.kinds)} if chosen else {}),
            **({"strange": "void"} if self.strange == VOID else {}),
        }


def _checked(kinds: Sequence[str], split: str) -> tuple[str, ...]:
    """Return the kinds, or refuse those that do not exist and a split that shows none."""
    if split not in ANOMALIES or not kinds:
        msg = (
            f"`kinds` of streets is {list(kinds)} with split `{split}`; name at least one kind, "
            f"and a split that shows strange objects: {', '.join(ANOMALIES)}."
        )
        raise OptionError(msg)
    for kind in kinds:
        if kind not in KINDS:
            msg = f"streets knows no strange object {kind!r}; {nearest(kind, KINDS)}"
            raise OptionError(msg)
    return tuple(kinds)
