"""Couplings: some values pass, and a network that sees only those decides how the others move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from roadanomaly.errors import OptionError, nearest
from roadanomaly.flows.elementwise import Elementwise
from roadanomaly.flows.layer import Layer

MaskKind = Literal["channel", "checkerboard", "horizontal", "cycle"]
MASKS: tuple[str, ...] = ("channel", "checkerboard", "horizontal", "cycle")


@dataclass(frozen=True)
class Mask:
    """Which values a coupling reads, and which it moves.

    Args:
        read: channels that the network sees.
        moved: channels that change.
        pattern: `"checkerboard"` or `"horizontal"`: within these channels only every other pixel,
            or the upper or lower half, changes, and the network sees the rest; `""` for all pixels.
        parity: which of the two; 0 or 1.
    """

    read: slice
    moved: slice
    pattern: str = ""
    parity: int = 0

    def moving(self, x: Tensor) -> Tensor:
        """Return `(1, 1, H, W)`: 1 where the pattern lets pixels change, 0 where they are read."""
        height, width = x.shape[-2:]
        rows = torch.arange(height, device=x.device)[:, None]
        if self.pattern == "checkerboard":
            squares = rows + torch.arange(width, device=x.device)
        else:
            squares = (rows >= (height + 1) // 2).long().expand(height, width)
        return (squares % 2 == self.parity).to(x.dtype)[None, None]


def mask(kind: str, channels: int, number: int) -> Mask:
    """Return the mask of coupling `number`; successive numbers take turns.

    - `channel`: one half of the channels from the other.
    - `checkerboard`: every other pixel from its neighbours.
    - `horizontal`: one half of the image from the other.
    - `cycle`: a quarter of the channels from the quarter before it, in turn, so that what a quarter
      says of itself has to pass through three others before it comes back.

    Raises:
        OptionError: an unknown kind, or too few channels for it.

    Source: Kirichenko et al., 2020, Why Normalizing Flows Fail to Detect Out-of-Distribution Data,
    section 5: with `cycle` or `horizontal`, couplings learn less of local correlation.
    """
    whole, parity = slice(0, channels), number % 2
    if kind in ("checkerboard", "horizontal"):
        return Mask(whole, whole, kind, parity)
    parts = {"channel": 2, "cycle": 4}.get(kind)
    if parts is None:
        msg = f"the mask {kind!r} is unknown; {nearest(kind, MASKS)}"
        raise OptionError(msg)
    if channels < parts:
        msg = f"the mask {kind!r} needs {parts} channels or more, not {channels}."
        raise OptionError(msg)
    cuts = [channels * part // parts for part in range(parts + 1)]
    read, moved = number % parts, (number + 1) % parts
    return Mask(slice(cuts[read], cuts[read + 1]), slice(cuts[moved], cuts[moved + 1]))


class Coupling(Layer):
    """Moves the values that a mask names by what a network makes of the others.

    Args:
        mask: which values are read and moved.
        network: `(B, read channels, H, W)` to `(B, count x moved channels, H, W)`. It sees zeros
            where a pattern moves pixels.
        elementwise: how a value moves.

    Source: Dinh et al., 2017, Density Estimation using Real NVP, section 3.4.
    """

    def __init__(self, mask: Mask, network: nn.Module, elementwise: Elementwise) -> None:
        super().__init__()
        self.mask = mask
        self.network = network
        self.elementwise = elementwise

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Move the values; see `Elementwise`."""
        raw, moving = self._read(x)
        moved, slope = self.elementwise(x[:, self.mask.moved], raw)
        if moving is not None:
            slope = slope * moving
        return self._put(x, moved, moving), slope.flatten(1).sum(1)

    def inverse(self, y: Tensor) -> Tensor:
        """Move the values back."""
        raw, moving = self._read(y)
        return self._put(y, self.elementwise.inverse(y[:, self.mask.moved], raw), moving)

    def _read(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        seen, moving = x[:, self.mask.read], None
        if self.mask.pattern:
            moving = self.mask.moving(x)
            seen = seen * (1 - moving)
        raw = self.network(seen)
        return raw.unflatten(1, (self.elementwise.count, -1)), moving

    def _put(self, x: Tensor, moved: Tensor, moving: Tensor | None) -> Tensor:
        if moving is not None:
            return torch.where(moving > 0, moved, x)
        where = self.mask.moved
        return torch.cat([x[:, : where.start], moved, x[:, where.stop :]], 1)
