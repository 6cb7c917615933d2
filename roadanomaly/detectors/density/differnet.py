"""DifferNet: where the image must change for the features of its surroundings to be likely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.catalogue import called
from roadanomaly.detectors.density.layer_density import LayerDensity, VectorDensity
from roadanomaly.detectors.density.layered import LayeredDensity, LayerOptions
from roadanomaly.errors import KindError, OptionError
from roadanomaly.refiners.blur import gaussian_mean
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Segmentation

POOLED, SLOPE = "pooled", "differnet slope"


class DifferNet(LayeredDensity):
    """Gradient of the negative log-likelihood of pooled features with respect to the image.

    The levels are put together and averaged over windows, half overlapping; a Real NVP learns the
    density of these vectors. The score is the magnitude of the gradient of their negative
    log-likelihoods' sum, added over the colours and blurred.

    Args:
        features: the segmenter's maps, the finest first; None takes its default.
        encoder: catalogue `name` of an encoder and its options, in place of the segmenter's maps.
        window: side of the windows, in cells of the finest map.
        dimensions: greatest number of principal components, 2 to 64.
        couplings: of the flow.
        hidden: width of the couplings' networks.
        vectors: greatest number of vectors that statistics are taken from.
        per_frame: vectors drawn from a frame, or from a crop in a training step.
        noise: deviation of the noise that is added to the whitened vectors in training.
        blur: side of the Gaussian window over which the gradient is averaged, in pixels, odd; its
            deviation is a quarter of that.

    Raises:
        OptionError: a value out of range.

    Source: Rudolph et al., 2021, Same Same But DifferNet, sections 3 and 3.4. Differs: windows in
    place of the whole image, which is one of thousands of a road and hardly ever the same; levels
    of the network in place of three sizes of the image; no rotations.
    """

    asks = ("gradients",)
    paper = "Rudolph et al., Same Same But DifferNet, WACV 2021"

    def __init__(
        self,
        features: Sequence[str] | None = None,
        encoder: Mapping[str, Any] | None = None,
        window: int = 8,
        dimensions: int = 32,
        couplings: int = 8,
        hidden: int = 64,
        vectors: int = 50_000,
        per_frame: int = 64,
        noise: float = 0.05,
        blur: int = 17,
    ) -> None:
        if window < 2:
            msg = f"differnet: `window` must be at least 2 cells, not {window}."
            raise OptionError(msg)
        if blur < 1 or blur % 2 == 0:
            msg = f"differnet: `blur` must be an odd number of pixels, 1 for none, not {blur}."
            raise OptionError(msg)
        plan = LayerOptions(
            features,
            encoder,
            dimensions,
            couplings,
            hidden,
            vectors=vectors,
            per_frame=per_frame,
            noise=noise,
        )
        super().__init__("differnet", plan)
        self.window, self.blur = window, blur

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        shared = ("dimensions", "couplings", "hidden", "vectors", "per_frame", "noise")
        return {**self.shared_options(*shared), "window": self.window, "blur": self.blur}

    def check_kind(self, segmenter: Segmenter) -> None:
        """Refuse a segmenter that no gradient passes through, where its maps are read.

        Raises:
            KindError: says what is wanted and what there is.
        """
        super().check_kind(segmenter)
        if self.source.encoder is None and not segmenter.trainable:
            msg = (
                "differnet takes gradients of the image, and none passes through "
                f"`{called(segmenter)}`: give an `encoder`, or take fastflow."
            )
            raise KindError(msg)

    def widths(self, segmenter: Segmenter) -> dict[str, int]:
        """Return the channels of all levels together."""
        del segmenter
        return {POOLED: sum(self.source.channels)}

    def density(self, width: int) -> LayerDensity:
        """Return the density of a window's vector."""
        plan = self.plan
        return VectorDensity(width, min(plan.dimensions, width), plan.couplings, plan.hidden)

    def layers(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the means over windows, `(B, C, h', w')`."""
        maps = list(super().layers(segmentation, image).values())
        # half a cell inside for every network: what flows were trained with stays theirs
        cells = self.source.joined(replace(segmentation, align_corners=False), maps)
        sides = [min(self.window, side) for side in cells.shape[-2:]]
        steps = [max(1, side // 2) for side in sides]
        return {POOLED: functional.avg_pool2d(cells, sides, steps, ceil_mode=True)}

    def look(self, segmenter: Segmenter, image: Tensor) -> Segmentation:
        """Segment the image, and put the gradient's magnitude beside the features.

        While it learns, and before, one plain pass.
        """
        if self.training or not self.ready:
            return segmenter(image, self.needs)
        with torch.enable_grad():
            entering = image.detach().clone().requires_grad_()
            seen = segmenter(entering, self.needs)
            pooled = self.layers(seen, entering)[POOLED]
            (slope,) = torch.autograd.grad(self._layer(POOLED).cost(pooled).sum(), entering)
        with torch.no_grad():
            found = segmenter(image, self.needs)
        size = slope.abs().sum(1, keepdim=True)
        return replace(found, features={**found.features, SLOPE: size})

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the blurred magnitude of the gradient, `(B, H, W)`."""
        del image
        self.require()
        size = segmentation.features[SLOPE].float()[:, 0]
        with torch.autocast(size.device.type, enabled=False):
            return gaussian_mean(size, self.blur, self.blur / 4)

    def aggregated(self, costs: Tensor) -> Tensor:
        """Return the one level's cost."""
        return costs[..., 0]
