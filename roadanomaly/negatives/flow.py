"""Negatives that are samples of a flow, which learns together with the segmenter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.errors import OptionError
from roadanomaly.flows import FLOWS, ImageFlow
from roadanomaly.flows.store import load_flow
from roadanomaly.negatives.base import NegativeSource
from roadanomaly.negatives.checks import check_range
from roadanomaly.types import NEGATIVE, REPLACED, Batch, as_grey_levels

LIKELIHOOD = "flow_bits_per_dim"
"""Name of the flow's own loss term."""


class FlowSamples(NegativeSource):
    """Rectangles that a flow samples, of random size, pasted so that gradients reach the flow.

    Two forces act on the flow: its own loss, the cost in bits of the inlier crops that its samples
    cover, makes it sample what looks like an inlier; the detector's loss on the samples, which
    passes through them, pushes it to where the segmenter can be made uncertain. The samples end up
    at the border of the inliers.

    Args:
        start: run folder of a flow that was trained before (`roadanomaly flow train`).
        flow: instead, a new flow: its catalogue `name` and options; without both, a small Glow.
        side: least and greatest height and width of a sample, rounded to the flow's stride;
            both are drawn uniformly, for the whole batch.
        count: samples in a crop.
        probability: share of crops that get samples.
        temperature: deviation of the latents.
        likelihood: weight of the flow's own loss.
        detach_source: cut the gradient from the detector's loss to the flow, to measure what it is
            worth.

    Raises:
        OptionError: a value out of range, or both `start` and `flow`.
        DataError: no flow lies at `start`.

    Source: Grcic, Bevandic, Kalafatic, Segvic, 2024, Dense Out-of-Distribution Detection by Robust
    Learning on Synthetic Negative Data, section 4. Differs from the code that the same authors
    released for Mask2Former: samples stay floats in 0..1, so that the gradient exists (there, they
    end as integers); the likelihood is taken on grey levels 0..255 (there, 255 times them).
    """

    stage = "step"
    content = "synthetic negatives"

    def __init__(
        self,
        start: str | None = None,
        flow: Mapping[str, Any] | None = None,
        side: Sequence[float] = (16, 216),
        count: int = 1,
        probability: float = 1.0,
        temperature: float = 1.0,
        likelihood: float = 1.0,
        detach_source: bool = False,
    ) -> None:
        super().__init__()
        if start is not None and flow is not None:
            msg = "the source `flow`: give either `start`, a run folder, or `flow`, not both."
            raise OptionError(msg)
        check_range("side", side, 1, 100000)
        check_range("count", (count, count), 1, 100)
        check_range("probability", (probability, probability), 0, 1)
        check_range("temperature", (temperature, temperature), 0, 10)
        check_range("likelihood", (likelihood, likelihood), 0, 1e6)
        options = {"name": "glow"} if flow is None else dict(flow)
        self.flow: ImageFlow = (
            load_flow(start) if start else FLOWS.build(options.pop("name", "glow"), options)
        )
        self.start = start
        self.side = side
        self.count = count
        self.probability = probability
        self.temperature = temperature
        self.likelihood = likelihood
        self.detach_source = detach_source

    def mix(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Paste samples into each float crop; see `NegativeSource.mix`.

        Raises:
            TypeError: the images are not floats.
            OptionError: the crops are smaller than the flow's stride.
        """
        if not batch.image.is_floating_point():
            msg = (
                "a flow's samples are mixed into floats, inside the training step, not into "
                f"{batch.image.dtype}."
            )
            raise TypeError(msg)
        height, width = self._size(batch.image.shape, rng)
        chosen = np.flatnonzero(rng.random(len(batch.image)) < self.probability)
        crops = np.repeat(chosen, self.count)
        tops = rng.integers(0, batch.image.shape[2] - height + 1, len(crops))
        lefts = rng.integers(0, batch.image.shape[3] - width + 1, len(crops))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        original = batch.image if batch.original is None else batch.original
        if not len(crops):
            return replace(batch, original=original)
        samples = self._sample(len(crops), height, width, generator).to(batch.image.dtype)
        images, labels, replaced = list(batch.image), list(batch.label), []
        for sample, crop, top, left in zip(samples, crops, tops, lefts, strict=True):
            window = np.s_[..., top : top + height, left : left + width]
            replaced.append(batch.image[crop][window])
            images[crop], labels[crop] = paste(images[crop], labels[crop], sample, top, left)
        mixed = replace(
            batch, image=torch.stack(images), label=torch.stack(labels), original=original
        )
        return mixed.noted({REPLACED: torch.stack(replaced)})

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return the mean bits per dimension of the inlier content that the samples replaced."""
        replaced = batch.note(REPLACED)
        if replaced is None:  # every parameter takes part in every step of every process
            silent = [parameter.sum() * 0 for parameter in self.flow.parameters()]
            return {LIKELIHOOD: torch.stack(silent).sum()}
        bits = self.flow.bits_per_dim(as_grey_levels(replaced))
        return {LIKELIHOOD: self.likelihood * bits.mean()}

    def learned_flow(self) -> ImageFlow:
        """Return the flow."""
        return self.flow

    def record(self) -> dict[str, Any]:
        """Return the flow's name, options and size, and where it started."""
        return {
            "name": "flow",
            "flow": {"name": FLOWS.name_of(self.flow), **self.flow.options()},
            "parameters": sum(p.numel() for p in self.flow.parameters()),
            "start": self.start,
            "detach_source": self.detach_source,
        }

    def _size(self, shape: torch.Size, rng: np.random.Generator) -> tuple[int, int]:
        """Draw height and width, multiples of the stride that fit into the crop."""
        stride = self.flow.stride
        sides = []
        for room in shape[2:]:
            greatest = min(round(self.side[1] / stride), room // stride)
            if greatest < 1:
                msg = (
                    f"a crop of {shape[2]}x{shape[3]} has no room for a sample of this flow, whose "
                    f"sides are multiples of {stride}. Give a larger `crop` or `side`."
                )
                raise OptionError(msg)
            least = min(max(1, round(self.side[0] / stride)), greatest)
            sides.append(stride * int(rng.integers(least, greatest + 1)))
        return sides[0], sides[1]

    def _sample(self, count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.detach_source):
            return self.flow.sample(count, height, width, self.temperature, generator)


def paste(
    image: Tensor, label: Tensor, sample: Tensor, top: int, left: int
) -> tuple[Tensor, Tensor]:
    """Return a new image with a sample in it, and its label; gradients pass to both.

    Args:
        image: `(3, H, W)` float.
        label: `(H, W)` uint8.
        sample: `(3, h, w)` float; lies within the image.
        top: row of the sample's first row.
        left: column of the sample's first column.
    """
    height, width = sample.shape[-2:]
    border = (left, image.shape[-1] - left - width, top, image.shape[-2] - top - height)
    inside = functional.pad(torch.ones_like(sample[0], dtype=torch.bool), border)
    pasted = torch.where(inside, functional.pad(sample, border), image)
    return pasted, torch.where(inside, torch.full_like(label, NEGATIVE), label)
