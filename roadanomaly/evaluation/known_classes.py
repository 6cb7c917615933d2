"""How well a segmenter tells the known classes apart on a set: its closed-set mIoU."""

from __future__ import annotations

from collections.abc import Callable

import torch

from roadanomaly.data import FrameSet
from roadanomaly.errors import DataError
from roadanomaly.evaluation.classes import class_table
from roadanomaly.metrics.classes import ClassConfusion, ClassResult
from roadanomaly.segmenters import Segmenter


@torch.inference_mode()
def closed_set(
    segmenter: Segmenter, frames: FrameSet, step: Callable[[], object] | None = None
) -> ClassResult:
    """Compare a segmenter's predictions with the labels of a set, in the set's classes.

    Args:
        segmenter: in inference mode, on its device.
        frames: labelled.
        step: called once a frame.

    Raises:
        DataError: a frame without a label, or classes of which no map is known.
    """
    table = class_table(segmenter.classes, frames.classes)
    confusion = ClassConfusion(frames.classes)
    for frame in frames:
        if frame.label is None:
            msg = f"the frame {frame.id} has no label, so no class can be judged on it."
            raise DataError(msg)
        image = frame.image[None].to(segmenter.device).float() / 255
        predicted = segmenter(image).classes()[0].cpu().numpy()
        confusion.update(table[predicted], frame.label.numpy())
        if step:
            step()
    return confusion.compute()
