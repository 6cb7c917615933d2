"""What a detector's score of one image rests on, as arrays to draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from roadanomaly.detectors.base import Detector
from roadanomaly.types import Segmentation, as_grey_levels


@dataclass(frozen=True)
class Explanation:
    """The labels of one image and the detector's own maps.

    Args:
        classes: `(H, W)` uint8, what the image is explained by.
        maps: by title, in order: `(h, w, 3)` uint8 pictures and `(h, w)` float32 values, at any
            size.
    """

    classes: np.ndarray
    maps: dict[str, np.ndarray]


def explanation(
    detector: Detector, segmentation: Segmentation, image: Tensor
) -> Explanation | None:
    """Return what a detector's score rests on, or None of a detector that explains nothing.

    Args:
        detector: prepared, in inference mode.
        segmentation: what its segmenter said of `image`, with the features that it needs.
        image: `(1, 3, H, W)` float in 0..1.

    Raises:
        NotFitted: what the detector's kind needs has not happened.
    """
    if not detector.explains:
        return None
    with torch.inference_mode("gradients" not in detector.asks):
        found_maps = detector.explain(segmentation, image)
    maps = {
        title: as_grey_levels(found[0].detach().float()).permute(1, 2, 0).cpu().numpy()
        if found.dim() == 4
        else found[0].detach().float().cpu().numpy()
        for title, found in found_maps.items()
    }
    return Explanation(segmentation.explained()[0].to(torch.uint8).cpu().numpy(), maps)
