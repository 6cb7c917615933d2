"""Autoencoder: what does not pass a narrow code is not rebuilt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.detectors.losses import masked_mean
from roadanomaly.detectors.reconstruction.image_detector import ImageDetector
from roadanomaly.detectors.reconstruction.networks import Down, Up
from roadanomaly.detectors.reconstruction.similarity import dissimilarity, squared_error
from roadanomaly.detectors.widths import check_widths
from roadanomaly.errors import OptionError
from roadanomaly.refiners.smoothing import check_window, window_mean
from roadanomaly.types import Batch, Segmentation


class Autoencoder(ImageDetector):
    """`l2 mean_c (x - y)^2 + ssim (1 - SSIM(x, y)) / 2` of the image and its reconstruction.

    Strided convolutions squeeze the image into a map of few channels, and others rebuild it. It is
    trained to make the same difference small on inlier pixels.

    Args:
        widths: channels of the levels, each half as fine as the one before.
        bottleneck: channels of the code.
        l2: weight of the squared error.
        ssim: weight of the structural dissimilarity.
        sparse: weight of the mean magnitude of the code in the loss (a sparse autoencoder); 0 for
            none.
        denoise: deviation of the noise that is added to the image that is encoded in training, and
            not to the one that is to be rebuilt (a denoising autoencoder); 0 for none.
        smooth: side of the window, in pixels, odd, over which the score is averaged.

    Raises:
        OptionError: a value out of range.

    Source: Bergmann et al., 2019, Improving Unsupervised Defect Segmentation by Applying Structural
    Similarity to Autoencoders; sparse and denoising as in Vincent et al., 2010, sections 2.3 and
    3. Differs: a code with a place for each 16x16 pixels, so that images of any size can be
    rebuilt; BatchNorm; both terms together.
    """

    paper = "Bergmann et al., Applying Structural Similarity to Autoencoders, VISAPP 2019"

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 96, 128),
        bottleneck: int = 64,
        l2: float = 1.0,
        ssim: float = 1.0,
        sparse: float = 0.0,
        denoise: float = 0.0,
        smooth: int = 11,
    ) -> None:
        super().__init__()
        check_widths("autoencoder", widths)
        check_window("autoencoder", "smooth", smooth)
        if bottleneck < 1 or min(l2, ssim, sparse, denoise) < 0 or l2 + ssim == 0:
            msg = (
                "autoencoder: `bottleneck` must be at least 1, no weight negative and `l2` or "
                f"`ssim` above 0, not {bottleneck}, l2 {l2:g}, ssim {ssim:g}, sparse {sparse:g}, "
                f"denoise {denoise:g}."
            )
            raise OptionError(msg)
        self.widths, self.bottleneck, self.smooth = list(widths), bottleneck, smooth
        self.l2, self.ssim, self.sparse, self.denoise = l2, ssim, sparse, denoise
        self.stride = 2 ** len(widths)
        self.encoder = Down(3, widths)
        self.code = nn.Conv2d(widths[-1], bottleneck, 1)
        self.decoder = Up(bottleneck, list(reversed(widths)), 3)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "widths": self.widths,
            "bottleneck": self.bottleneck,
            "l2": self.l2,
            "ssim": self.ssim,
            "sparse": self.sparse,
            "denoise": self.denoise,
            "smooth": self.smooth,
        }

    def encode(self, image: Tensor) -> Tensor:
        """Return the code, `(B, bottleneck, h, w)`."""
        return self.code(self.encoder(image - 0.5)[-1])

    def decode(self, code: Tensor) -> Tensor:
        """Return the image of a code, `(B, 3, H, W)` in 0..1."""
        return self.decoder(code).sigmoid()

    def judge(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the image of its code, and the weighted differences averaged over the window."""
        found = self.decode(self.encode(image))
        error = self.l2 * squared_error(image, found) + self.ssim * dissimilarity(image, found)
        return found, window_mean(error, self.smooth)

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the differences at inlier pixels, and the code's magnitude."""
        del segmentation
        self.ready = True
        image, inlier = self.inliers(batch)
        noise = self.denoise * torch.randn_like(image) if self.denoise else 0
        code = self.encode(image + noise)
        found = self.decode(code)
        terms = {
            "l2": self.l2 * masked_mean(squared_error(image, found), inlier),
            "ssim": self.ssim * masked_mean(dissimilarity(image, found), inlier),
        }
        if self.sparse:
            terms["sparse"] = self.sparse * code.float().abs().mean()
        return terms
