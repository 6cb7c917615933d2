"""PixelCNN: the bits of each pixel given those above it and to its left."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.detectors.drawn_sample import tiled
from roadanomaly.detectors.pixels.cell_density import CellDensity
from roadanomaly.detectors.pixels.cells import Cells
from roadanomaly.detectors.pixels.discretised import LEAST_LOG_SCALE, level_log_prob
from roadanomaly.errors import OptionError
from roadanomaly.types import as_grey_levels

BITS = 1 / math.log(2)
COLOURS = 3
SAMPLE_SIDE = 16
"""Of the squares of a sample at most, in pixels: each pixel takes a pass."""


class PixelCNN(CellDensity):
    """`-sum_i log2 P(x_i | x_1, ..., x_(i-1))` of squares of the image, a dimension.

    The grey levels of a pixel are mixtures of discretised logistics whose numbers come from
    convolutions that see the pixels above it and to its left; green is told red, and blue both, by
    a shift of the means. So the bits of all values sum to those of the square exactly, with no
    bound and no noise.

    Args:
        width: channels.
        blocks: residual blocks, each of two convolutions.
        mixture: logistics of each value.
        levels: grey levels that values are rounded to, 2 to 256; images have 256.
        cell: side of the squares in pixels, a multiple of `overlap`.
        overlap: lattices of squares along each side.
        complexity: subtract what a lossless coder takes; see `CellDensity`.

    Raises:
        OptionError: a value out of range.

    Source: Salimans et al., 2017, PixelCNN++, sections 2.1 and 2.2. Differs: one stack of gated
    convolutions whose window leaves out what comes later, as in PixelCNN (van den Oord et al.,
    2016), which cannot see some pixels above on the right, in place of two streams at three
    scales; small; no dropout.
    """

    paper = "Salimans et al., PixelCNN++, ICLR 2017"
    pieces = True

    def __init__(
        self,
        width: int = 32,
        blocks: int = 4,
        mixture: int = 5,
        levels: int = 256,
        cell: int = 32,
        overlap: int = 1,
        complexity: bool = False,
    ) -> None:
        super().__init__("pixelcnn", Cells(cell, overlap), complexity)
        if min(width, blocks, mixture) < 1 or not 2 <= levels <= 256:
            msg = (
                "pixelcnn: `width`, `blocks` and `mixture` must be at least 1 and `levels` in "
                f"2..256, not {width}, {blocks}, {mixture} and {levels}."
            )
            raise OptionError(msg)
        self.width, self.mixture, self.levels = width, mixture, levels
        self.first = Causal(COLOURS + 1, width, 5, own=False)
        self.blocks = nn.ModuleList(Gated(width) for _ in range(blocks))
        outputs = mixture * (1 + 2 * COLOURS + 3)
        self.last = nn.Conv2d(width, outputs, 1)
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "width": self.width,
            "blocks": len(self.blocks),
            "mixture": self.mixture,
            "levels": self.levels,
            **self.shared_options(),
        }

    def steps(self, squares: Tensor) -> Tensor:
        """Return the level of each value of images in 0..1, as a float in -1..1."""
        top = self.levels - 1
        shown = as_grey_levels(squares).to(self.last.weight.dtype) / 255
        return (shown * top).round() * (2 / top) - 1

    def log_prob(self, x: Tensor) -> Tensor:
        """Return `ln P` of each pixel given those before it, `(N, h, w)` nats, a sum over colours.

        One component of the mixture is meant by all three colours.

        Args:
            x: `(N, 3, h, w)`, what `steps` returned.
        """
        with torch.autocast(x.device.type, enabled=False):
            told = self.told(x)
            means = told.means(x)
            total = told.log_weight
            for colour, mean in enumerate(means):
                scale = told.log_scale[..., colour]
                total = total + level_log_prob(x[:, colour, ..., None], mean, scale, self.levels)
            return total.logsumexp(-1)

    def told(self, x: Tensor) -> Told:
        """Return what the pixels before each one say of it; `x` as in `log_prob`."""
        inside = torch.ones_like(x[:, :1])
        hidden = self.first(torch.cat([x, inside], 1))
        for block in self.blocks:
            hidden = block(hidden)
        raw = (
            self.last(functional.elu(hidden))
            .unflatten(1, (self.mixture, -1))
            .permute(0, 3, 4, 1, 2)
        )
        return Told(
            raw[..., 0].log_softmax(-1), raw[..., 1:4], raw[..., 4:7] - 2, raw[..., 7:].tanh()
        )

    def bits(self, squares: Tensor) -> Tensor:
        """Return the bits per dimension of squares, `(N,)`."""
        nats = self.log_prob(self.steps(squares)).flatten(1).mean(1)
        return -nats * (BITS / COLOURS)

    def cost(self, squares: Tensor) -> Tensor:
        """Return the same."""
        return self.bits(squares)

    def sample(self, height: int, width: int, chance: torch.Generator) -> Tensor:
        """Draw six small squares, side by side, whatever size is asked for."""
        del height, width
        side = min(self.cells.side, SAMPLE_SIDE)
        return tiled(self.draw(6, side, chance), 3)

    @torch.no_grad()
    def draw(self, count: int, side: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw squares pixel by pixel, `(count, 3, side, side)` in 0..1; a pass for each pixel.

        Args:
            count: of squares.
            side: of a square.
            generator: of chance, on the CPU; None takes torch's own.
        """
        x = self.last.weight.new_zeros(count, COLOURS, side, side)
        chances = torch.rand(side, side, count, self.mixture + COLOURS, generator=generator)
        chances = chances.to(x.device).clamp(1e-5, 1 - 1e-5)
        top = self.levels - 1
        for row in range(side):
            for column in range(side):
                here = self.told(x[:, :, : row + 1]).at(row, column)
                chance = chances[row, column]
                gumbel = -(-chance[:, : self.mixture].log()).log()
                one = (here.log_weight[:, 0, 0] + gumbel).argmax(1, keepdim=True)
                for colour in range(COLOURS):
                    pixel = x[:, :, row, column, None, None]
                    mean = here.means(pixel)[colour][:, 0, 0].gather(1, one)[:, 0]
                    scale = here.log_scale[:, 0, 0, :, colour].gather(1, one)[:, 0]
                    logistic = chance[:, self.mixture + colour].logit()
                    value = mean + scale.clamp_min(LEAST_LOG_SCALE).exp() * logistic
                    level = ((value.clamp(-1, 1) + 1) * (top / 2)).round()
                    x[:, colour, row, column] = level * (2 / top) - 1
        return (x + 1) / 2


@dataclass(frozen=True)
class Told:
    """What is known of pixels before their own values.

    Args:
        log_weight: `(N, h, w, K)` of the components.
        mean: `(N, h, w, K, 3)`.
        log_scale: `(N, h, w, K, 3)`.
        shift: `(N, h, w, K, 3)`: what red adds to green and to blue, and green to blue, per level.
    """

    log_weight: Tensor
    mean: Tensor
    log_scale: Tensor
    shift: Tensor

    def means(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the means of red, green and blue, `(N, h, w, K)`, given `x` `(N, 3, h, w)`."""
        red, green, _ = x[..., None].unbind(1)
        return (
            self.mean[..., 0],
            self.mean[..., 1] + self.shift[..., 0] * red,
            self.mean[..., 2] + self.shift[..., 1] * red + self.shift[..., 2] * green,
        )

    def at(self, row: int, column: int) -> Told:
        """Return the same of one pixel."""
        place = (slice(None), slice(row, row + 1), slice(column, column + 1))
        return Told(
            *(one[place] for one in (self.log_weight, self.mean, self.log_scale, self.shift))
        )


class Causal(nn.Module):
    """A convolution that sees rows above, and its own row up to a pixel.

    Args:
        inputs: channels that come in.
        outputs: channels.
        side: of the window, odd.
        own: whether it sees the pixel itself.
    """

    mask: Tensor

    def __init__(self, inputs: int, outputs: int, side: int, *, own: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, side, padding=side // 2)
        mask = torch.ones(side, side)
        mask[side // 2, side // 2 + own :] = 0
        mask[side // 2 + 1 :] = 0
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, inputs, h, w)` to `(N, outputs, h, w)`."""
        one = self.convolution
        return functional.conv2d(x, one.weight * self.mask, one.bias, padding=one.padding)


class Gated(nn.Module):
    """A residual block: two causal convolutions, the second one gated."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = Causal(width, width, 3, own=True)
        self.outer = Causal(width, 2 * width, 3, own=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, width, h, w)` to the same."""
        found, gate = self.outer(functional.elu(self.inner(functional.elu(x)))).chunk(2, 1)
        return x + found * gate.sigmoid()
