"""What detectors that read the image alone share: sizes, inlier pixels, pictures."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.drawn_sample import drawn_sample
from roadanomaly.detectors.padding import grown_to_multiple
from roadanomaly.types import IGNORE, Batch, Segmentation, is_inlier


class ImageDetector(Detector):
    """Learns to rebuild inlier images; no segmenter is run.

    Class facts:
        stride: what the sides of an image are grown to multiples of.
    """

    kind = "train"
    accepts = ("logits", "evidence")
    reads_segmentation = False
    stride: int = 1

    @abstractmethod
    def judge(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Rebuild images and score them.

        Args:
            image: `(B, 3, H, W)` float in 0..1, sides multiples of `stride`.

        Returns:
            the reconstruction, of the same shape, and the score `(B, H, W)`.
        """

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the score of each pixel, `(B, H, W)`."""
        del segmentation
        return self._judged(image)[1]

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the reconstruction, `(B, 3, H, W)` in 0..1."""
        del segmentation
        return {"reconstruction": self._judged(image)[0].float().clamp(0, 1)}

    def _judged(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `judge` says, without what the image was grown by; the score in float32."""
        self.require()
        found, score = self.judge(grown_to_multiple(image, self.stride))
        height, width = image.shape[-2:]
        return found[..., :height, :width], score[..., :height, :width].float()

    def grown(self, batch: Batch, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return images of a batch at a size that the network takes, and their labels.

        Args:
            batch: with labels.
            image: `batch.image` or `batch.original`.

        Returns:
            `(B, 3, H', W')`, and `(B, H', W')`, `IGNORE` in what was grown.
        """
        grown = grown_to_multiple(image, self.stride)
        height, width = batch.label.shape[-2:]
        beyond = (0, grown.shape[-1] - width, 0, grown.shape[-2] - height)
        return grown, functional.pad(batch.label, beyond, value=IGNORE)

    def inliers(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the images, `(B, 3, H', W')`, and where they show inliers, `(B, H', W')` bool."""
        image, label = self.grown(batch, batch.image)
        return image, is_inlier(label)


class CodeDetector(ImageDetector):
    """One whose codes are standard normal before an image is seen, so that it draws pictures, too.

    Class facts:
        bottleneck: channels of a code, which has a place for each `stride` x `stride` pixels.
    """

    bottleneck: int

    @abstractmethod
    def decode(self, code: Tensor) -> Tensor:
        """Return the image `(B, 3, H, W)` in 0..1 of a code `(B, bottleneck, h, w)`."""

    def sample(self, height: int, width: int, chance: torch.Generator) -> Tensor:
        """Return the image of a code that is drawn, `(1, 3, height, width)`.

        Args:
            height: in pixels, a multiple of `stride`.
            width: likewise.
            chance: a generator on the CPU.
        """
        size = (height // self.stride, width // self.stride)
        code = torch.randn(1, self.bottleneck, *size, generator=chance)
        return self.decode(code.to(next(self.parameters())))

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the reconstruction and a sample, `(B, 3, H, W)` in 0..1 each."""
        found = super().explain(segmentation, image)
        return {**found, **drawn_sample(self.sample, image, self.stride)}
