"""Local adversarial attacks: pixels that the segmenter is made to get wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.catalogue import called
from roadanomaly.errors import OptionError
from roadanomaly.negatives.base import NegativeSource
from roadanomaly.negatives.checks import check_choice, check_range
from roadanomaly.negatives.outlines import KINDS, random_mask
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Batch, is_known

ATTACKED = "attacked"
"""Note of a batch: `(B, H, W)` bool, pixels that were attacked; their labels say what they show."""

Mode = Literal["min", "max"]
Shape = Literal["blob", "square", "all"]
NO_CLASS = -100


class LocalAttack(NegativeSource):
    """Moves the pixels of a region one step along the slope of the segmenter's loss.

    With a region M and the cross-entropy L summed over it, the image is `x + n` in M, n normal
    noise, then `x + n + epsilon sign(dL/dx)`; outside M nothing changes. `min` raises L of the true
    class, so that its probability falls; `max` lowers L of one class drawn for each crop, so that
    its probability rises. The pixels keep the class that they show: what an observer learns is that
    the segmenter errs there (`obsnet`). The note `ATTACKED` says which they are.

    Args:
        mode: `"min"` or `"max"`.
        epsilon: of the step, in image units of 0..1.
        noise: standard deviation of the noise before it, in the same units; 0 for none.
        shape: of the region: `"blob"`, several random outlines in a window; `"square"`, the window;
            `"all"`, the crop.
        window: side of the window, in pixels; a smaller crop is filled.
        side: least and greatest longest side of an outline, in pixels.
        count: fewest and most outlines in a window.
        probability: share of crops that are attacked.

    Raises:
        OptionError: a value out of range, an unknown word, or a network that passes no gradients.

    Source: Besnier et al., 2021, Triggering Failures, whose steps are taken on normalised images:
    epsilon 0.025 and noise 0.03 there are 0.0056 and 0.0067 here, at the deviation 0.225 of
    ImageNet's colours. Differs: the result is held in 0..1; the loss is that of the region and not
    of the crop; the given batch is left as it was; the attack is computed in float32.
    """

    stage = "step"
    content = "synthetic negatives"
    keeps_labels = True

    def __init__(
        self,
        mode: Mode = "min",
        epsilon: float = 0.0056,
        noise: float = 0.0067,
        shape: Shape = "blob",
        window: int = 128,
        side: Sequence[float] = (60, 80),
        count: Sequence[int] = (6, 10),
        probability: float = 1.0,
    ) -> None:
        super().__init__()
        check_choice("mode", mode, ("min", "max"))
        check_choice("shape", shape, ("blob", "square", "all"))
        check_range("epsilon", (epsilon, epsilon), 0, 1)
        check_range("noise", (noise, noise), 0, 1)
        check_range("window", (window, window), 4, 100000)
        check_range("side", side, 4, 100000)
        check_range("count", count, 1, 1000)
        check_range("probability", (probability, probability), 0, 1)
        self.mode, self.epsilon, self.noise, self.shape = mode, epsilon, noise, shape
        self.window, self.side, self.count, self.probability = window, side, count, probability
        self.attacked: tuple[Segmenter, ...] = ()

    def attach(self, segmenter: Segmenter) -> None:
        """Take the segmenter that is attacked.

        Raises:
            OptionError: it passes no gradients.
        """
        if not segmenter.trainable:
            msg = (
                f"laa follows the gradients of the segmenter, and `{called(segmenter)}` "
                "passes none: take the network it was made from, or other negatives, such as paste."
            )
            raise OptionError(msg)
        self.attacked = (segmenter,)

    def mix(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Attack the batch; see `NegativeSource.mix`."""
        inside = self._regions(batch, rng)
        given = batch.image.detach()
        noise = self.noise * _normal(given, rng)
        start = torch.where(inside[:, None], given + noise, given)
        slope = self._slope(start, self._targets(batch, inside, rng))
        step = self.epsilon * slope.sign()
        moved = (start + step if self.mode == "min" else start - step).clamp(0, 1)
        mixed = replace(
            batch,
            image=torch.where(inside[:, None], moved, given),
            original=batch.image if batch.original is None else batch.original,
        )
        return mixed.noted({ATTACKED: inside})

    def record(self) -> dict[str, Any]:
        """Return how is attacked, and where."""
        return {
            "name": "laa",
            "mode": self.mode,
            "epsilon": self.epsilon,
            "noise": self.noise,
            "shape": self.shape,
        }

    def _slope(self, image: Tensor, target: Tensor) -> Tensor:
        """Return the slope of the summed cross-entropy, shaped as the image.

        The weights' gradients stay as they are.
        """
        (segmenter,) = self.attacked
        with torch.enable_grad(), torch.autocast(image.device.type, enabled=False):
            entering = image.detach().requires_grad_()
            found = segmenter(entering)
            logits = found.class_logits(found.image_logits())
            loss = functional.cross_entropy(logits, target, ignore_index=NO_CLASS, reduction="sum")
            (slope,) = torch.autograd.grad(loss, entering)
        return slope

    def _targets(self, batch: Batch, inside: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the class whose probability the attack moves, `(B, H, W)` int64."""
        if self.mode == "min":
            return batch.label.long().masked_fill(~(inside & is_known(batch.label)), NO_CLASS)
        (segmenter,) = self.attacked
        drawn = torch.from_numpy(rng.integers(len(segmenter.classes), size=len(inside)))
        classes = drawn.to(inside.device, non_blocking=True)[:, None, None]
        return classes.expand(inside.shape).masked_fill(~inside, NO_CLASS)

    def _regions(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        """Draw where each crop is attacked, `(B, H, W)` bool."""
        height, width = batch.image.shape[-2:]
        regions = np.zeros((len(batch.image), height, width), bool)
        for region in regions:
            if rng.random() < self.probability:
                self._draw(region, rng)
        return torch.from_numpy(regions).to(batch.image.device, non_blocking=True)

    def _draw(self, region: np.ndarray, rng: np.random.Generator) -> None:
        """Mark the attacked pixels of one crop, `(H, W)` bool."""
        if self.shape == "all":
            region[:] = True
            return
        window = _place(region, (self.window, self.window), rng)
        if self.shape == "square":
            window[:] = True
            return
        for _ in range(int(rng.integers(self.count[0], self.count[1] + 1))):
            longest = min(round(rng.uniform(self.side[0], self.side[1])), *window.shape)
            outline = random_mask(str(rng.choice(list(KINDS))), max(4, longest), rng) >= 0.5
            part = _place(window, outline.shape, rng)
            part |= outline[: part.shape[0], : part.shape[1]]


def _place(region: np.ndarray, size: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return a view of a random part of a region, of this size or as large as there is."""
    rows, columns = (min(want, have) for want, have in zip(size, region.shape, strict=True))
    top = int(rng.integers(region.shape[0] - rows + 1))
    left = int(rng.integers(region.shape[1] - columns + 1))
    return region[top : top + rows, left : left + columns]


def _normal(image: Tensor, rng: np.random.Generator) -> Tensor:
    drawn = torch.from_numpy(rng.standard_normal(tuple(image.shape), np.float32))
    return drawn.to(image.device, non_blocking=True)
