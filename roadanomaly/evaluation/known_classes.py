"""How well a model tells the known classes apart on a set: its closed-set mIoU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from roadanomaly.data import FrameSet
from roadanomaly.errors import DataError
from roadanomaly.evaluation.classes import class_table
from roadanomaly.metrics.classes import ClassConfusion, ClassResult
from roadanomaly.model import Model
from roadanomaly.seeded import SEED


def closed_set(model: Model, frames: FrameSet) -> ClassResult:
    """Compare a model's class maps with the labels of a set, in the set's classes.

    What a detector draws at random begins anew with each frame.

    Args:
        model: in inference mode, on its device.
        frames: labelled.

    Raises:
        DataError: a frame without a label, or classes of which no map is known.
    """
    table = class_table(model.segmenter.classes, frames.classes)
    confusion = ClassConfusion(frames.classes)
    for frame in frames:
        if frame.label is None:
            msg = f"the frame {frame.id} has no label, so no class can be judged on it."
            raise DataError(msg)
        predicted = _predicted(model, frame.image)
        confusion.update(table[predicted], frame.label.numpy())
    return confusion.compute()


def _predicted(model: Model, image: Tensor) -> np.ndarray:
    """Return what the detector's own look says of an image's classes, or else the segmenter."""
    batch = image[None].to(model.device).float() / 255
    model.detector.reset()
    torch.manual_seed(SEED)
    with model.head.inference():
        seen = model.head.look(model.segmenter, batch)
    if not seen.logits.shape[1]:
        with torch.inference_mode():
            seen = model.segmenter(batch)
    return seen.classes()[0].cpu().numpy()
