"""Frames of one size together, read ahead of their use."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import torch

from roadanomaly.ahead import ahead
from roadanomaly.data.base import FrameSet
from roadanomaly.errors import UserError
from roadanomaly.types import Frame

READERS = 4
"""Threads that read for a GPU, which scores faster than one of them decodes."""


def helpers(device: torch.device) -> int:
    """Return how many threads should read, or measure, beside a device; on a CPU one."""
    return min(READERS, os.cpu_count() or 1) if device.type == "cuda" else 1


def groups(
    frames: FrameSet, numbers: Iterable[int], size: int, device: torch.device
) -> Iterator[list[tuple[int, Frame]]]:
    """Yield frames with their numbers, together those that follow each other and are equally large.

    What was read before a frame that cannot be read is yielded before its error is raised.

    Args:
        frames: the set.
        numbers: which of its frames, in order.
        size: how many together, at most.
        device: where they will go; for a GPU they are put into pinned memory.

    Raises:
        UserError: a frame cannot be read.
    """

    def read(number: int) -> Frame:
        frame = frames[number]
        return frame.pinned() if device.type == "cuda" else frame

    threads = helpers(device)
    waiting: list[tuple[int, Frame]] = []
    for number, coming in ahead(read, numbers, threads=threads, further=max(size, threads)):
        try:
            frame = coming.result()
        except UserError:
            if waiting:
                yield waiting
            raise
        if waiting and frame.image.shape != waiting[0][1].image.shape:
            yield waiting
            waiting = []
        waiting.append((number, frame))
        if len(waiting) == size:
            yield waiting
            waiting = []
    if waiting:
        yield waiting
