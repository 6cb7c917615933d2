"""ODIN: what stays unsure even after a step of the image towards its own classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from roadanomaly.catalogue import called
from roadanomaly.detectors.base import Detector
from roadanomaly.errors import KindError, OptionError, nearest
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Masks, Segmentation

Sign = Literal["paper", "smiyc"]
SIGNS: tuple[str, ...] = ("paper", "smiyc")

STEPPED = "stepped"
"""Name of the stepped image's logits among the features of what `look` returns."""


class ODIN(Detector):
    """One minus the largest softmax probability of a stepped image, in 0..1.

    Args:
        temperature: `T` of the softmax; must be positive.
        epsilon: length of the step a colour, in an image of 0..1; not negative.
        sign: `paper` steps towards the predicted classes; `smiyc` as the benchmark's code does.

    Source: Liang et al., 2018, ODIN, equations 1 and 2: `S = max_k softmax(s / T)_k` of the image
    `x - epsilon sign(-grad ln S)`, sign flipped, since we score strangeness. Of a segmentation,
    `ln S` is the sum over the pixels, each with its own class, on logits at image size. Differs
    from the paper: colours lie in 0..1 and are not divided by their standard deviations, so that a
    step is as long in every colour. `sign: smiyc` follows the SegmentMeIfYouCan code, from which
    `T = 3` and `epsilon = 1e-4` come: the cross-entropy of the classes is taken on probabilities as
    if they were logits, and the image is stepped along its gradient, away from the classes.
    """

    kind = "posthoc"
    accepts = ("logits", "evidence")
    asks = ("gradients", "passes")
    paper = "Liang et al., Enhancing the Reliability of OOD Image Detection (ODIN), ICLR 2018"

    def __init__(
        self, temperature: float = 3.0, epsilon: float = 1e-4, sign: Sign = "paper"
    ) -> None:
        super().__init__()
        if temperature <= 0:
            msg = f"odin: `temperature` must be positive, not {temperature}."
            raise OptionError(msg)
        if epsilon < 0:
            msg = f"odin: `epsilon` must not be negative, got {epsilon}."
            raise OptionError(msg)
        if sign not in SIGNS:
            msg = f"odin: `sign` {sign!r} is unknown; {nearest(sign, SIGNS)}"
            raise OptionError(msg)
        self.temperature = temperature
        self.epsilon = epsilon
        self.sign = sign

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"temperature": self.temperature, "epsilon": self.epsilon, "sign": self.sign}

    def check_kind(self, segmenter: Segmenter) -> None:
        """Refuse a segmenter that no gradient passes through, too.

        Raises:
            KindError: says what is wanted and what there is.
        """
        super().check_kind(segmenter)
        if not segmenter.trainable:
            msg = (
                f"odin steps the image along a gradient, and none passes through "
                f"`{called(segmenter)}`: take the network it was made from, or msp."
            )
            raise KindError(msg)

    def look(self, segmenter: Segmenter, image: Tensor) -> Segmentation:
        """Segment the image, and put the stepped image's logits beside the features.

        While the segmenter is trained, one plain pass.
        """
        if self.training:
            return segmenter(image, self.needs)
        with torch.enable_grad():
            entering = image.detach().clone().requires_grad_()
            found = segmenter(entering)
            gain = self._log_confidence(found).sum()
            (slope,) = torch.autograd.grad(gain, entering)
        towards = 1 if self.sign == "paper" else -1
        with torch.no_grad():
            stepped = segmenter(image + towards * self.epsilon * slope.sign())
        there = stepped.class_logits(stepped.image_logits())
        return replace(_without_gradients(found), features={STEPPED: there})

    def _log_confidence(self, found: Segmentation) -> Tensor:
        """Return `ln S` of each pixel, `(B, H, W)`; of `smiyc` with the second softmax."""
        scaled = found.class_logits(found.image_logits()) / self.temperature
        if self.sign == "smiyc":
            scaled = scaled.softmax(1)
        return scaled.log_softmax(1).amax(1)

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `1 - max_k softmax(s / T)_k` of the stepped image, `(B, H, W)`."""
        logits = segmentation.features[STEPPED].float() / self.temperature
        return 1 - (logits.amax(1) - logits.logsumexp(1)).exp()

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return how much of the largest probability the step gave."""
        before = segmentation.class_logits(segmentation.image_logits()) / self.temperature
        after = 1 - self.score(segmentation, image)
        return {"confidence gained by the step": after - before.softmax(1).amax(1)}


def _without_gradients(found: Segmentation) -> Segmentation:
    masks = found.masks and Masks(found.masks.classes.detach(), found.masks.masks.detach())
    return replace(found, logits=found.logits.detach(), masks=masks)
