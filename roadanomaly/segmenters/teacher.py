"""A network as a teacher: the class of each pixel where it is sure, or how likely each class is."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import IGNORE

SIZES = (0.75, 1.25)
"""Sizes of the further views, as factors."""


class Teacher:
    """Labels images by a trained network.

    Args:
        segmenter: in inference mode.
        least: softmax below which a class is unsure, 0..1.
        agree: ask several views: the image, its mirror image, and both sizes of `SIZES`. The class
            is that of the mean softmax, and unsure where one of the views says another.
    """

    def __init__(self, segmenter: Segmenter, least: float = 0.5, *, agree: bool = False) -> None:
        self.segmenter = segmenter
        self.least = least
        self.agree = agree

    @torch.inference_mode()
    def label(self, image: Tensor) -> np.ndarray:
        """Return the most likely class, `IGNORE` where unsure, `(H, W)` uint8.

        Args:
            image: `(3, H, W)` uint8.

        Raises:
            ArithmeticError: the network answers NaN.
        """
        found = image[None].to(self.segmenter.device).float() / 255
        chances, agreed = (one[0] for one in self.chances(found))
        sureness, classes = chances.max(0)
        if not torch.isfinite(sureness).all():
            msg = (
                "the network's answer is not finite, so no class is sure; its weights may come "
                "from a training that diverged. Use others."
            )
            raise ArithmeticError(msg)
        unsure = ~agreed | (sureness < self.least)
        return classes.to(torch.uint8).masked_fill(unsure, IGNORE).cpu().numpy()

    def chances(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of the views' class probabilities, and where all name its class.

        Args:
            image: `(B, 3, H, W)` float in 0..1.

        Returns:
            `(B, K, H, W)` in 0..1, and `(B, H, W)` bool.
        """
        views = self._views(image)
        mean = torch.stack(views).mean(0)
        classes = mean.argmax(1)
        agreed = torch.ones_like(classes, dtype=torch.bool)
        for view in views:
            agreed &= view.argmax(1) == classes
        return mean, agreed

    def _views(self, image: Tensor) -> list[Tensor]:
        """Return each view's class probabilities on the image's own grid, `(B, K, H, W)`."""
        found = [self._chances(image)]
        if self.agree:
            found.append(self._chances(image.flip(-1)).flip(-1))
            found += [self._chances(_resized(image, factor), image.shape[-2:]) for factor in SIZES]
        return found

    def _chances(self, image: Tensor, size: torch.Size | None = None) -> Tensor:
        segmentation = self.segmenter(image)
        chances = segmentation.class_logits(segmentation.image_logits()).softmax(1)
        if size is not None:
            chances = functional.interpolate(chances, size, mode="bilinear", align_corners=False)
        return chances


def _resized(image: Tensor, factor: float) -> Tensor:
    height, width = (max(32, round(factor * side)) for side in image.shape[-2:])
    return functional.interpolate(
        image, (height, width), mode="bilinear", align_corners=False, antialias=factor < 1
    )
