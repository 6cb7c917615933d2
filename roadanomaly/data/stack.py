"""Frames of one size as a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from roadanomaly.types import IGNORE, WHOLE, Batch, Frame


def stack(frames: Sequence[Frame]) -> Batch:
    """Stack equally sized frames; a frame without a label counts as `IGNORE` throughout."""
    labels = [
        torch.full(frame.image.shape[-2:], IGNORE, dtype=torch.uint8, device=frame.image.device)
        if frame.label is None
        else frame.label
        for frame in frames
    ]
    return Batch(
        torch.stack([frame.image for frame in frames]),
        torch.stack(labels),
        tuple(frame.id for frame in frames),
        places=None if all(frame.place == WHOLE for frame in frames) else _places(frames),
    )


def _places(frames: Sequence[Frame]) -> torch.Tensor:
    device = frames[0].image.device
    return torch.tensor([frame.place for frame in frames], dtype=torch.float32, device=device)
