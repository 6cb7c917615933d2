"""What a detector's score of one image rests on, as arrays to draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.detectors.base import Detector
from roadanomaly.types import Segmentation, as_grey_levels


@dataclass(frozen=True)
class Explanation:
    """The labels of one image and the detector's own maps.

    Args:
        classes: `(H, W)` uint8, what the image is explained by.
        maps: by title, in order: `(H, W, 3)` uint8 pictures and `(H, W)` float32 values.
    """

    classes: np.ndarray
    maps: dict[str, np.ndarray]


def explanation(
    detector: Detector, segmentation: Segmentation, image: Tensor
) -> Explanation | None:
    """Return what a detector's score rests on, or None of a detector that explains nothing.

    Maps and pictures of another size than the image's are stretched to it.

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
    size = (image.shape[-2], image.shape[-1])
    maps = {title: _panel(found[:1].detach().float(), size) for title, found in found_maps.items()}
    return Explanation(segmentation.explained()[0].to(torch.uint8).cpu().numpy(), maps)


def _panel(found: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Return a map `(1, h, w)` or a picture `(1, 3, h, w)` at a size, as an array to draw."""
    whole = found if found.dim() == 4 else found[:, None]
    if tuple(whole.shape[-2:]) != size:
        whole = functional.interpolate(whole, size=size, mode="bilinear", antialias=True)
    if found.dim() == 4:
        return as_grey_levels(whole[0]).permute(1, 2, 0).cpu().numpy()
    return whole[0, 0].cpu().numpy()
