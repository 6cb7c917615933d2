"""Likelihood: what a flow says that squares of the image cost, alone or beside a general flow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.detectors.losses import masked_mean
from roadanomaly.detectors.pixels.cell_density import CellDensity
from roadanomaly.detectors.pixels.cells import Cells
from roadanomaly.errors import Mistakes, OptionError
from roadanomaly.flows import FLOWS, ImageFlow
from roadanomaly.flows.image_flow import LEVELS
from roadanomaly.flows.store import load_flow
from roadanomaly.types import Batch, Segmentation, as_grey_levels

BITS = 1 / math.log(2)
TEMPERATURE = 0.7
"""Of samples."""


class Likelihood(CellDensity):
    """`-log2 p(x)` of squares of the image, a dimension, under a flow of inlier images.

    With a `general` flow the score is the log-likelihood ratio `-log2 p(x) / p_general(x)`: what
    any image has, above all that smooth squares are likely, then cancels.

    Args:
        flow: catalogue `name` of a flow and its options; or `{start: FOLDER}`, the run folder of a
            trained one, from which it learns on. None takes a small Glow.
        general: the same, of a flow of images of all kinds, which stays as it is; None for no
            ratio.
        cell: side of the squares in pixels, a multiple of `overlap` and of the flow's stride.
        overlap: lattices of squares along each side.
        last_scale: count the flow's last level alone, in bits per dimension of its latents; with
            `general` of both flows.
        complexity: subtract what a lossless coder takes; see `CellDensity`.
        outlier: weight of the loss on squares of negatives, which pushes their likelihood below
            that of the general flow, or below the mean of the batch's inlier squares; 0 for none.
        temperature: of that loss, in bits per dimension.

    Raises:
        OptionError: a value out of range, or a flow that does not fit the squares.
        DataError: no flow lies at a `start`.

    Source: Kingma and Dhariwal, 2018, for the density; Schirrmeister et al., 2020, for ratio, last
    scale and outlier loss; Serra et al., 2020, for complexity. Differs: squares of the frame in
    place of whole pictures; grey levels are taken at their middle, without noise, so that a score
    does not change from call to call; of a DenseFlow it does, since noise is a part of it.
    """

    paper = "Schirrmeister et al., Understanding Anomaly Detection with Deep Invertible Networks"

    def __init__(
        self,
        flow: Mapping[str, Any] | None = None,
        general: Mapping[str, Any] | None = None,
        cell: int = 32,
        overlap: int = 2,
        last_scale: bool = False,
        complexity: bool = False,
        outlier: float = 0.0,
        temperature: float = 0.5,
    ) -> None:
        super().__init__("likelihood", Cells(cell, overlap), complexity)
        if outlier < 0 or temperature <= 0:
            msg = (
                "likelihood: `outlier` must not be negative and `temperature` must be above 0, not "
                f"{outlier:g} and {temperature:g}."
            )
            raise OptionError(msg)
        self.last_scale, self.outlier, self.temperature = last_scale, outlier, temperature
        self.supervision = "negatives" if outlier else "none"  # type: ignore[misc]
        mistakes = Mistakes()
        with mistakes.noted():
            self.flow = _built("flow", flow or {"name": "glow"}, cell)
        with mistakes.noted():
            self.general = None if general is None else _built("general", general, cell)
        mistakes.refuse()
        self.stride = self.flow.stride
        if self.general is not None:
            self.general.requires_grad_(False).eval()

    def options(self) -> dict[str, Any]:
        """Return the constructor options; the flows' weights are among this detector's."""
        return {
            "flow": _described(self.flow),
            "general": None if self.general is None else _described(self.general),
            **self.shared_options(),
            "last_scale": self.last_scale,
            "outlier": self.outlier,
            "temperature": self.temperature,
        }

    def learned_flow(self) -> ImageFlow:
        """Return the flow of inlier images."""
        return self.flow

    def train(self, mode: bool = True) -> Likelihood:
        """Set the mode; the general flow stays in inference mode."""
        super().train(mode)
        if self.general is not None:
            self.general.eval()
        return self

    def bits(self, squares: Tensor) -> Tensor:
        """Return the bits of squares under the flow, less those under the general one."""
        middle = (as_grey_levels(squares).to(self.flow.dtype) + 0.5) / LEVELS
        found = flow_bits(self.flow, middle, last_scale=self.last_scale)
        if self.general is None:
            return found
        return found - flow_bits(self.general, middle, last_scale=self.last_scale)

    def cost(self, squares: Tensor) -> Tensor:
        """Return the bits per dimension of squares with noise, `(N,)`."""
        return self.flow.bits_per_dim(as_grey_levels(squares))

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the cost of inlier squares, and where asked what separates negatives from them."""
        del segmentation
        self.ready = True
        squares, inlier, strange = self.squares(batch)
        cost = self.cost(squares)
        terms = {"bits_per_dim": masked_mean(cost, inlier)}
        if self.outlier:
            if self.general is None:
                reference = terms["bits_per_dim"].detach()
            else:
                with torch.no_grad():
                    reference = self.general.bits_per_dim(as_grey_levels(squares))
            unsure = functional.softplus(-(cost - reference) / self.temperature)
            terms["outlier"] = self.outlier * masked_mean(unsure, strange)
        return terms

    def sample(self, height: int, width: int, chance: torch.Generator) -> Tensor:
        """Draw from the flow of inlier images, at a temperature of 0.7."""
        return self.flow.sample(1, height, width, TEMPERATURE, generator=chance)


def flow_bits(flow: ImageFlow, x: Tensor, *, last_scale: bool = False) -> Tensor:
    """Return the bits per dimension of the grey levels of images, `(B,)` float32.

    Args:
        flow: a density of them.
        x: `(B, C, H, W)` in 0..1, the middles of grey levels.
        last_scale: of the last level alone, a dimension of its latents.
    """
    if not last_scale:
        dimensions = x[0].numel()
        return (-flow.log_prob(x) * (BITS / dimensions) + math.log2(LEVELS)).float()
    channels, height, width = flow.latent_shapes(*x.shape[-2:])[-1]
    nats = -flow.level_log_probs(x)[:, -1]
    return (nats * (BITS / (channels * height * width)) + math.log2(LEVELS)).float()


def _built(option: str, spec: Mapping[str, Any], cell: int) -> ImageFlow:
    """Build or load a flow of colour images that takes squares of a side."""
    flow = load_flow(spec["start"]) if set(spec) == {"start"} else FLOWS.from_spec(spec)
    if flow.channels != 3 or cell % flow.stride:
        msg = (
            f"likelihood: `{option}` has {flow.channels} channels and takes sides that are "
            f"multiples of {flow.stride}; images have 3, and `cell` is {cell}."
        )
        raise OptionError(msg)
    return flow


def _described(flow: ImageFlow) -> dict[str, Any]:
    return {"name": FLOWS.name_of(flow), **flow.options()}
