"""Frames of one size as a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch

from roadanomaly.types import IGNORE, Batch, Frame


def stack(frames: Sequence[Frame]) -> Batch:
    """Stack equally sized frames; a frame without a label counts as `IGNORE` throughout."""
    labels = [
        torch.full(frame.image.shape[-2:], IGNORE, dtype=torch.uint8)
        if frame.label is None
        else frame.label
        for frame in frames
    ]
    return Batch(
        torch.stack([frame.image for frame in frames]),
        torch.stack(labels),
        tuple(frame.id for frame in frames),
    )


def batches(frames: Iterable[Frame], size: int) -> Iterator[Batch]:
    """Yield batches of at most `size` frames that follow each other and are equally large."""
    waiting: list[Frame] = []
    for frame in frames:
        fits = not waiting or frame.image.shape == waiting[0].image.shape
        if len(waiting) == size or not fits:
            yield stack(waiting)
            waiting = []
        waiting.append(frame)
    if waiting:
        yield stack(waiting)
