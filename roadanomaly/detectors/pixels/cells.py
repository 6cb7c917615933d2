"""Squares of an image that are judged one by one, and their values brought back to pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.errors import OptionError
from roadanomaly.types import IGNORE, NEGATIVE, is_inlier

LEAST = 0.9
"""Share of a cell's pixels from which on it counts as that which they show."""
CACHED_PIXELS = 65_536
"""Of the squares that a CPU judges at once: what a network makes of them stays in its cache."""


@dataclass(frozen=True)
class Cells:
    """Squares that tile an image, and lattices of them that are moved against each other.

    Args:
        side: of a square in pixels, a multiple of `overlap`.
        overlap: lattices along each side; every pixel lies in up to `overlap^2` squares.
    """

    side: int
    overlap: int

    def check(self, detector: str) -> None:
        """Refuse values that cannot work.

        Raises:
            OptionError: says what is allowed.
        """
        if self.side < 2 or self.overlap < 1 or self.side % self.overlap:
            msg = (
                f"{detector}: `cell` must be at least 2 pixels and a multiple of `overlap`, which "
                f"is at least 1; not {self.side} and {self.overlap}."
            )
            raise OptionError(msg)

    def cut(self, image: Tensor) -> Tensor:
        """Cut `(B, C, H, W)`, sides multiples of `side`, into `(B h w, C, side, side)`."""
        count, channels, height, width = image.shape
        tall, wide = height // self.side, width // self.side
        parts = image.view(count, channels, tall, self.side, wide, self.side)
        return parts.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, self.side, self.side)

    def judged(self, image: Tensor, judge: Callable[[Tensor], Tensor]) -> Tensor:
        """Return at each pixel the mean over the squares that it lies in, `(B, H, W)` float32.

        Args:
            image: `(B, C, H, W)`, sides multiples of `side`.
            judge: takes squares `(N, C, side, side)`, returns a value of each, `(N,)`.
        """
        count, _, height, width = image.shape
        step = self.side // self.overlap
        total = image.new_zeros(count, height, width, dtype=torch.float32)
        times = torch.zeros_like(total[:1])
        for top in range(0, self.side, step):
            for left in range(0, self.side, step):
                tall, wide = (height - top) // self.side, (width - left) // self.side
                if not (tall and wide):
                    continue
                right, bottom = left + wide * self.side, top + tall * self.side
                values = judge(self.cut(image[..., top:bottom, left:right])).float()
                grown = functional.interpolate(
                    values.view(count, 1, tall, wide), scale_factor=float(self.side)
                )[:, 0]
                beyond = (left, width - right, top, height - bottom)
                total = total + functional.pad(grown, beyond)
                times = times + functional.pad(torch.ones_like(grown[:1]), beyond)
        return total / times

    def shown(self, label: Tensor) -> tuple[Tensor, Tensor]:
        """Say what squares show.

        Args:
            label: `(B, H, W)`, sides multiples of `side`.

        Returns:
            `(N,)` bool each, in the order of `cut`: nine tenths inliers and nothing strange; nine
            tenths negatives.
        """
        kept = self.cut(label[:, None])[:, 0].flatten(1)
        strange = kept == NEGATIVE
        inlier = is_inlier(kept).float().mean(1) >= LEAST
        return inlier & ~strange.any(1), strange.float().mean(1) >= LEAST

    def whole(self, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Grow a labelled batch at the bottom and right until squares tile it; labels by `IGNORE`.

        A crop is cut instead where it holds a square, since what is grown is made up.
        """
        height, width = label.shape[-2:]
        if min(height, width) >= self.side:
            tall, wide = (side // self.side * self.side for side in (height, width))
            return image[..., :tall, :wide], label[:, :tall, :wide]
        right, bottom = (max(0, self.side - side) for side in (width, height))
        tall, wide = (max(self.side, side) // self.side * self.side for side in (height, width))
        image = functional.pad(image, (0, right, 0, bottom), mode="replicate")
        label = functional.pad(label, (0, right, 0, bottom), value=IGNORE)
        return image[..., :tall, :wide], label[:, :tall, :wide]


def in_pieces(judge: Callable[[Tensor], Tensor], squares: Tensor) -> Tensor:
    """Judge squares a few at a time where that is faster: on a CPU, outside of graphs.

    Args:
        judge: takes squares `(N, C, side, side)`, returns a value of each, `(N,)`.
        squares: likewise.
    """
    traced = torch.jit.is_tracing()  # type: ignore[attr-defined]
    if traced or torch.compiler.is_compiling() or squares.device.type != "cpu":
        return judge(squares)
    pieces = squares.split(max(1, CACHED_PIXELS // (squares.shape[-2] * squares.shape[-1])))
    return torch.cat([judge(one.contiguous(memory_format=torch.channels_last)) for one in pieces])
