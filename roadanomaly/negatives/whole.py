"""Whole crops that show something else: the contract of sources that fill a crop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from roadanomaly.types import ASSUMED, IGNORE, NEGATIVE, Batch


def fill(
    batch: Batch, images: Mapping[int, Tensor], labels: Mapping[int, Tensor] | None = None
) -> Batch:
    """Return the batch with foreign images in place of some of its crops.

    Of the crop that was there nothing stays, void neither, and nothing is assumed of the new one.

    Args:
        batch: of a loader or of a step.
        images: by the crop's number, `(3, H, W)` of the crops' size and type; gradients pass.
        labels: by the crop's number, `(H, W)` uint8; `NEGATIVE` throughout where none is given.

    Raises:
        ValueError: an image of another size or type.
    """
    image, label, assumed = list(batch.image), list(batch.label), batch.note(ASSUMED)
    for number, foreign in images.items():
        if foreign.shape != image[number].shape or foreign.dtype != image[number].dtype:
            msg = (
                f"crop {number} is {tuple(image[number].shape)} {image[number].dtype}, and what is "
                f"to fill it {tuple(foreign.shape)} {foreign.dtype}; cut and convert it first."
            )
            raise ValueError(msg)
        image[number] = foreign
        shown = (labels or {}).get(number)
        label[number] = torch.full_like(label[number], NEGATIVE) if shown is None else shown
    filled = replace(
        batch,
        image=torch.stack(image),
        label=torch.stack(label),
        original=batch.image if batch.original is None else batch.original,
    )
    if assumed is None or not images:
        return filled
    assumed = assumed.clone()
    for number in images:
        assumed[number] = IGNORE
    return filled.noted({ASSUMED: assumed})
