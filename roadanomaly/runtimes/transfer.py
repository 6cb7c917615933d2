"""Frames to a GPU and results back: one copy each way, through memory that it reads itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from roadanomaly.runtimes.base import Scores


def pack(*outputs: Tensor) -> Tensor:
    """Lay a graph's outputs side by side as bytes, a row a frame, for one copy.

    Args:
        outputs: `(B, H, W)` each: classes, uint8, where the graph has them; score and rarity,
            float32.

    Returns:
        `(B, 9 H W)` uint8, or `(B, 8 H W)` without classes.
    """
    *classes, score, rarity = outputs
    rows = [one.detach().float().flatten(1).contiguous() for one in (score, rarity)]
    parts = [*(row.view(torch.uint8) for row in rows), *(one.flatten(1) for one in classes)]
    return torch.cat(parts, 1)


def unpack(row: np.ndarray, size: tuple[int, int]) -> Scores:
    """Return one frame's outputs, in an array of their own.

    Args:
        row: `(9 H W,)` or `(8 H W,)` uint8 of what `pack` returned.
        size: `(H, W)`.
    """
    own, pixels = row.copy(), size[0] * size[1]
    score, rarity = own[: 8 * pixels].view(np.float32).reshape(2, *size)
    classes = own[8 * pixels :].reshape(size) if len(own) > 8 * pixels else None
    return Scores(classes, score, rarity)


class Transfer:
    """Page-locked memory that batches of one size of frame pass through, one after the other.

    Args:
        device: of the network.
        size: `(H, W)` of the frames.
    """

    def __init__(self, device: torch.device, size: tuple[int, int]) -> None:
        self.device = device
        self.size = size
        self._entering = self._leaving = torch.empty(0)

    def enter(self, images: Sequence[np.ndarray]) -> Tensor:
        """Lay frames side by side, to be copied without waiting.

        Returns:
            `(B, H, W, 3)` uint8 on the processor, valid until the next call.
        """
        if len(self._entering) < len(images):
            self._entering = self._locked(len(images), *self.size, 3)
        batch = self._entering[: len(images)]
        for place, image in zip(batch.numpy(), images, strict=True):
            np.copyto(place, image)
        return batch

    def leave(self, packed: Tensor) -> list[Scores]:
        """Fetch what `pack` returned; waits until the device has done all that was asked of it."""
        if len(self._leaving) < len(packed):
            self._leaving = self._locked(*packed.shape)
        fetched = self._leaving[: len(packed)]
        fetched.copy_(packed, non_blocking=True)
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).synchronize()
        return [unpack(row, self.size) for row in fetched.numpy()]

    def _locked(self, *shape: int) -> Tensor:
        return torch.empty(*shape, dtype=torch.uint8, pin_memory=self.device.type == "cuda")
