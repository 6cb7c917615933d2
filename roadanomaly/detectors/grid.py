"""Values of a feature map brought to the grid that the logits lie on."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from roadanomaly.types import Segmentation


def at_logits(values: Tensor, segmentation: Segmentation) -> Tensor:
    """Bring `(B, C, h', w')`, which covers what the logits cover, to their grid bilinearly."""
    size = segmentation.logits.shape[-2:]
    if values.shape[-2:] == size:
        return values
    return functional.interpolate(
        values, size=size, mode="bilinear", align_corners=segmentation.align_corners
    )
