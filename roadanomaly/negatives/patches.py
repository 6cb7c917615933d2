"""What all sources of patches share: how many, how big, where, how blended, how labelled."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from roadanomaly.negatives.base import NegativeSource
from roadanomaly.negatives.blending import (
    CORE,
    blend,
    cast_shadow,
    feather,
    mark,
    match_colour,
    overlap,
)
from roadanomaly.negatives.look import Look, gather
from roadanomaly.types import NEGATIVE, Batch

LEAST_VISIBLE = 16
"""Pixels a side, and pixels in all, that must be seen of a negative."""

TRIES = 8


@dataclass(frozen=True)
class Patch:
    """One object at the size at which it is pasted.

    Args:
        colour: `(h, w, 3)` float32 in 0..255, multiplied by alpha.
        alpha: `(h, w)` float32 in 0..1.
        label: of its pixels: `NEGATIVE`, or a known class.
    """

    colour: np.ndarray
    alpha: np.ndarray
    label: int = NEGATIVE


Draw = Callable[[np.ndarray, np.ndarray, int, np.random.Generator], Patch]
"""Draws one object for an image with its label, its longest side so many pixels."""


class PatchSource(NegativeSource):
    """A source that lays single patches over the crops of a uint8 batch.

    Args:
        look: what differs from `usual`, by the options' names in `Look`.

    Raises:
        OptionError: an unknown option of `look`, or a value out of range.
    """

    usual: ClassVar[Look]
    """How the patches of the class are put in, as far as `look` says nothing else."""

    def __init__(self, look: Mapping[str, Any] | None) -> None:
        super().__init__()
        self.look = self.usual.changed(look)

    @classmethod
    def upgrade(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Move the options that version 0.1 took beside the others into `look`."""
        return gather(options)

    @abstractmethod
    def draw(self, side: int, rng: np.random.Generator) -> Patch:
        """Draw one negative whose longest side has `side` pixels."""

    def draw_for(
        self, image: np.ndarray, label: np.ndarray, side: int, rng: np.random.Generator
    ) -> Patch:
        """Draw one negative for a crop; a source that takes its content from the crop says how.

        Args:
            image: `(H, W, 3)` uint8.
            label: `(H, W)` uint8.
            side: longest side of the negative, in pixels.
            rng: all chance.
        """
        del image, label
        return self.draw(side, rng)

    def furnish(
        self, image: np.ndarray, label: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return a crop and its label with all that is to be seen there beside negatives.

        A source that also lays known objects over the crop says how; others leave it as it is. The
        batch's `original` shows what is returned.
        """
        del rng
        return image, label

    def mix(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Lay negatives over each crop; see `NegativeSource.mix`.

        Raises:
            TypeError: the images are not uint8.
        """
        if batch.image.dtype != torch.uint8:
            msg = (
                f"{type(self).__name__} runs in the loader, on uint8 images; it was given "
                f"{batch.image.dtype}. Mix before `Batch.to`."
            )
            raise TypeError(msg)
        image, label = batch.image.numpy().copy(), batch.label.numpy().copy()
        original = batch.image if batch.original is None else batch.original
        furnished: dict[int, Tensor] = {}
        for index in range(len(image)):
            before = np.ascontiguousarray(image[index].transpose(1, 2, 0))
            pixels, marks = self.furnish(before, label[index], rng)
            if pixels is not before:
                furnished[index] = torch.from_numpy(pixels.transpose(2, 0, 1))
            if rng.random() < self.look.probability:
                pixels, marks = self.add(pixels, marks, self.look.count, self.draw_for, rng)
            image[index], label[index] = pixels.transpose(2, 0, 1), marks
        return replace(
            batch,
            image=torch.from_numpy(image),
            label=torch.from_numpy(label),
            original=_replaced(original, furnished),
        )

    def add(
        self,
        image: np.ndarray,
        label: np.ndarray,
        count: Sequence[int],
        draw: Draw,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return a crop and its label with objects laid over it, as `look` says.

        Args:
            image: `(H, W, 3)` uint8.
            label: `(H, W)` uint8.
            count: fewest and most objects.
            draw: draws one of them, as `draw_for`.
            rng: all chance.
        """
        for _ in range(rng.integers(count[0], count[1] + 1)):
            image, label = self._add_one(image, label, draw, rng)
        return image, label

    def _add_one(
        self, image: np.ndarray, label: np.ndarray, draw: Draw, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        look = self.look
        foot = self._foot(label, rng) if look.place == "ground" else None
        fraction = rng.random()
        if foot is not None:
            fraction = (1 - look.perspective) * fraction + look.perspective * foot[2]
        side = round(look.side[0] * (look.side[1] / look.side[0]) ** fraction)
        patch = self._vary(draw(image, label, side, rng), rng)
        alpha = feather(patch.alpha, _between(look.feather, rng))
        place = self._place(alpha, image.shape, foot, rng)
        strength, gain = _between(look.colour_match, rng), rng.uniform(-1, 1) * look.brightness + 1
        there, here = overlap(image.shape, alpha.shape, *place)
        shown = patch.alpha[here]
        colour = patch.colour[here] * (gain / np.maximum(shown, 1 / 255))[..., None]
        alpha = alpha[here]
        colour = match_colour(colour, alpha, image[there], strength)
        if look.opacity[0] < 1:
            alpha = alpha * np.float32(_between(look.opacity, rng))
        corner = there[0].start, there[1].start
        if look.shadow[1] > 0:
            image = cast_shadow(image, alpha, *corner, _between(look.shadow, rng))
        return blend(image, colour, alpha, *corner), mark(label, alpha, *corner, patch.label)

    def _foot(self, label: np.ndarray, rng: np.random.Generator) -> tuple[int, int, float] | None:
        """Draw row, column and height in 0..1 (1 = lowest ground) of a pixel of the ground."""
        rows, columns = np.isin(label, self.look.ground).nonzero()
        if not len(rows):
            return None
        pick = rng.integers(len(rows))
        depth = (rows[pick] - rows[0]) / max(1, rows[-1] - rows[0])
        return int(rows[pick]), int(columns[pick]), float(depth)

    def _vary(self, patch: Patch, rng: np.random.Generator) -> Patch:
        mirrored = rng.random() < self.look.flip
        angle = rng.uniform(-1, 1) * self.look.rotate
        if mirrored:
            patch = replace(patch, colour=patch.colour[:, ::-1], alpha=patch.alpha[:, ::-1])
        return rotate(patch, angle) if angle else patch

    @staticmethod
    def _place(
        alpha: np.ndarray,
        shape: tuple[int, ...],
        foot: tuple[int, int, float] | None,
        rng: np.random.Generator,
    ) -> tuple[int, int]:
        """Draw row and column of the patch's corner such that enough of it is seen."""
        (height, width), (rows, columns) = shape[:2], alpha.shape
        seen_rows = min(LEAST_VISIBLE, rows, height)
        seen_columns = min(LEAST_VISIBLE, columns, width)
        if foot is not None:
            row, column = lowest(alpha)
            top = np.clip(foot[0] - row, seen_rows - rows, height - seen_rows)
            left = np.clip(foot[1] - column, seen_columns - columns, width - seen_columns)
            return int(top), int(left)
        for _ in range(TRIES):
            top = int(rng.integers(seen_rows - rows, height - seen_rows + 1))
            left = int(rng.integers(seen_columns - columns, width - seen_columns + 1))
            _, here = overlap(shape, alpha.shape, top, left)
            if np.count_nonzero(alpha[here] >= CORE) >= LEAST_VISIBLE:
                return top, left
        return (height - rows) // 2, (width - columns) // 2


def lowest(alpha: np.ndarray) -> tuple[int, int]:
    """Return row and column of the middle of the lowest pixels, a corner where there are none."""
    rows, columns = (alpha >= CORE).nonzero()
    if not len(rows):
        return alpha.shape[0] - 1, 0
    bottom = columns[rows == rows[-1]]
    return int(rows[-1]), int(bottom[len(bottom) // 2])


def _replaced(images: Tensor, others: dict[int, Tensor]) -> Tensor:
    """Return images `(B, ...)` with some of them, by their index, replaced by others."""
    if not others:
        return images
    return torch.stack([others.get(index, image) for index, image in enumerate(images)])


def _between(limits: Sequence[float], rng: np.random.Generator) -> float:
    return rng.uniform(limits[0], limits[1])


def rotate(patch: Patch, angle: float) -> Patch:
    """Turn a patch about its centre by an angle in degrees; it grows to hold its corners."""
    rows, columns = patch.alpha.shape
    turn = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), angle, 1)
    cosine, sine = abs(turn[0, 0]), abs(turn[0, 1])
    size = (
        int(np.ceil(columns * cosine + rows * sine)),
        int(np.ceil(columns * sine + rows * cosine)),
    )
    turn[:, 2] += (size[0] - columns) / 2, (size[1] - rows) / 2
    colour = cv2.warpAffine(np.ascontiguousarray(patch.colour), turn, size)
    alpha = cv2.warpAffine(np.ascontiguousarray(patch.alpha), turn, size)
    return replace(patch, colour=colour, alpha=alpha)
