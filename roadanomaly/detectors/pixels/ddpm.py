"""DDPM: a bound on the bits of squares of the image, from how well noise is told from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.special import ndtr

from roadanomaly.detectors.drawn_sample import tiled
from roadanomaly.detectors.losses import masked_mean
from roadanomaly.detectors.pixels.cell_density import CellDensity
from roadanomaly.detectors.pixels.cells import Cells
from roadanomaly.detectors.widths import check_widths
from roadanomaly.diffusion.drawing import denoised
from roadanomaly.diffusion.image_denoiser import GROUPS, ImageDenoiser
from roadanomaly.diffusion.schedule import Schedule
from roadanomaly.errors import OptionError
from roadanomaly.types import Batch, Segmentation, as_grey_levels

BITS = 1 / math.log(2)
GREYS = 255
SAMPLE_SIDE = 32
"""Of the squares of a sample at most, in pixels, but for the U-Net's stride."""
PASSES = 20
"""Of the denoiser for a sample."""


class DDPM(CellDensity):
    """The negative evidence lower bound of squares of the image, in bits per dimension.

    A U-Net tells the noise in a noisy square. The bound adds the bits of the grey levels given the
    first step, the Kullback-Leibler divergences of the steps, and that of the last step from pure
    noise. Of the divergences `terms` are computed, at steps evenly spaced on a logarithmic scale,
    each for the steps about it; the noise is the same in every square and call.

    Args:
        widths: channels of the U-Net at full size and at each halving, multiples of 4.
        steps: of the diffusion, T.
        terms: divergences that are computed, 1 to `steps` - 1; all of them give the exact sum of
            one draw of noise.
        cell: side of the squares in pixels, a multiple of `overlap` and of the U-Net's stride.
        overlap: lattices of squares along each side.
        complexity: subtract what a lossless coder takes; see `CellDensity`.

    Raises:
        OptionError: a value out of range.

    Source: Ho et al., 2020, Denoising Diffusion Probabilistic Models, equations 5, 12 to 14.
    Differs: the posterior's own variance in all steps, and fewer terms than steps at inference.
    """

    paper = "Ho et al., Denoising Diffusion Probabilistic Models, NeurIPS 2020"
    pieces = True

    noise: Tensor

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 64),
        steps: int = 1000,
        terms: int = 8,
        cell: int = 64,
        overlap: int = 1,
        complexity: bool = False,
    ) -> None:
        super().__init__("ddpm", Cells(cell, overlap), complexity)
        check_widths("ddpm", widths)
        stride = 2 ** (len(widths) - 1)
        if any(one % GROUPS for one in widths) or cell % stride:
            msg = (
                f"ddpm: `widths` must be multiples of {GROUPS} and `cell` one of {stride}, not "
                f"{list(widths)} and {cell}."
            )
            raise OptionError(msg)
        self.schedule = Schedule(steps)
        if not 1 <= terms < steps:
            msg = f"ddpm: `terms` must lie in 1..{steps - 1}, below `steps`, not {terms}."
            raise OptionError(msg)
        self.widths, self.terms = list(widths), terms
        self.denoiser = ImageDenoiser(3, widths)
        self.parts = shares(self.schedule.bound_weights(), terms)
        chance = torch.Generator().manual_seed(0)
        drawn = torch.randn(len(self.parts) + 1, 3, cell, cell, generator=chance)
        self.register_buffer("noise", drawn, persistent=False)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "widths": self.widths,
            "steps": len(self.schedule),
            "terms": self.terms,
            **self.shared_options(),
        }

    def error(self, x: Tensor, step: Tensor, noise: Tensor) -> Tensor:
        """Return `|e - e'|^2`, `(N,)`, of squares in -1..1 at steps `(N,)`."""
        found = self.denoiser(self.schedule.noised(x, step, noise), step)
        return (found.float() - noise).square().flatten(1).sum(1)

    def grey_term(self, x: Tensor, noise: Tensor) -> Tensor:
        """Return `-ln P(x | x_1)` of grey levels in -1..1, `(N,)` nats.

        A level has the normal probability of its interval; the first and the last take the rest.
        """
        one = torch.ones(len(x), dtype=torch.int64, device=x.device)
        noisy = self.schedule.noised(x, one, noise)
        mean, deviation = self.schedule.first_mean(noisy, self.denoiser(noisy, one).float())
        half = 1 / GREYS
        above = torch.where(x > 1 - half, 1.0, ndtr((x + half - mean) / deviation))
        below = torch.where(x < -1 + half, 0.0, ndtr((x - half - mean) / deviation))
        return -(above - below).clamp_min(1e-12).log().flatten(1).sum(1)

    def bits(self, squares: Tensor) -> Tensor:
        """Return the bound on the bits per dimension of squares, `(N,)`."""
        x = as_grey_levels(squares).float() * (2 / GREYS) - 1
        first, *others = self.noise
        nats = self.grey_term(x, first.expand_as(x)) + self.schedule.last_term(x)
        for (step, weight), noise in zip(self.parts, others, strict=True):
            at = torch.full((len(x),), step, dtype=torch.int64, device=x.device)
            nats = nats + weight * self.error(x, at, noise.expand_as(x))
        return nats * (BITS / x[0].numel())

    def sample(self, height: int, width: int, chance: torch.Generator) -> Tensor:
        """Draw six squares, side by side, whatever size is asked for; see `denoised`."""
        del height, width
        side = min(self.cells.side, max(SAMPLE_SIDE, 2 ** (len(self.widths) - 1)))
        noise = torch.randn(6, 3, side, side, generator=chance).to(self.noise.device)
        passes = min(PASSES, len(self.schedule))
        return (tiled(denoised(self.denoiser, self.schedule, noise, passes), 3) + 1) / 2

    def cost(self, squares: Tensor) -> Tensor:
        """Return the mean squared error of the noise at a step that is drawn for each, `(N,)`."""
        x = as_grey_levels(squares).float() * (2 / GREYS) - 1
        step = torch.randint(1, len(self.schedule) + 1, (len(x),), device=x.device)
        return self.error(x, step, torch.randn_like(x)) / x[0].numel()

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the mean squared error of the noise in squares that show inliers."""
        del segmentation
        self.ready = True
        squares, inlier, _ = self.squares(batch)
        return {"noise": masked_mean(self.cost(squares), inlier)}


def shares(weights: Tensor, terms: int) -> list[tuple[int, float]]:
    """Choose steps on a logarithmic scale, each with the weights of the steps about it.

    Args:
        weights: `(T - 1,)` of the steps 2 to T.
        terms: steps that are chosen, at most.

    Returns:
        pairs of a step and the sum of the weights that it stands for; all steps, each with its own,
        where `terms` is `T - 1`.
    """
    count = len(weights)
    edges = torch.logspace(0, math.log10(count + 1), terms + 1).round().long() - 1
    if terms == count:
        edges = torch.arange(count + 1)
    pairs = []
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if high > low:
            pairs.append((2 + (low + high - 1) // 2, float(weights[low:high].sum())))
    return pairs
