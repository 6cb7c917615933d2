"""A U-Net that sees a noisy image and the step, and tells the noise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.diffusion.schedule import time_code

CODE = 32
GROUPS = 4


class ImageDenoiser(nn.Module):
    """Residual blocks at each size, halved and doubled between, both ways joined.

    Args:
        channels: of the image.
        widths: channels at full size and at each halving after it, multiples of 4; the image's
            sides are multiples of `2^(len(widths) - 1)`.

    Source: Ho et al., 2020, Denoising Diffusion Probabilistic Models, appendix B. Differs: small,
    one block a size, no attention.
    """

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        wide = 4 * CODE
        self.time = nn.Sequential(nn.Linear(CODE, wide), nn.SiLU(), nn.Linear(wide, wide))
        self.enter = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            Block(before, after, wide) for before, after in pairwise([widths[0], *widths])
        )
        self.middle = Block(widths[-1], widths[-1], wide)
        coarse = list(reversed(widths))
        self.up = nn.ModuleList(
            Block(before + skip, skip, wide)
            for before, skip in zip([coarse[0], *coarse[:-1]], coarse, strict=True)
        )
        self.leave = nn.Sequential(
            nn.GroupNorm(GROUPS, widths[0]), nn.SiLU(), nn.Conv2d(widths[0], channels, 3, padding=1)
        )

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        """Return the noise in `x` `(N, C, h, w)` at steps `(N,)` int64."""
        time = self.time(time_code(step, CODE))
        hidden = self.enter(x)
        seen = []
        for number, block in enumerate(self.down):
            hidden = block(functional.avg_pool2d(hidden, 2) if number else hidden, time)
            seen.append(hidden)
        hidden = self.middle(hidden, time)
        for number, block in enumerate(self.up):
            if number:
                hidden = functional.interpolate(hidden, scale_factor=2.0)
            hidden = block(torch.cat([hidden, seen.pop()], 1), time)
        return self.leave(hidden)


class Block(nn.Module):
    """Two convolutions, told the step between, added to what came in."""

    def __init__(self, inputs: int, outputs: int, time: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.GroupNorm(GROUPS, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1)
        )
        self.time = nn.Linear(time, outputs)
        self.second = nn.Sequential(
            nn.GroupNorm(GROUPS, outputs), nn.SiLU(), nn.Conv2d(outputs, outputs, 3, padding=1)
        )
        self.past = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Map `(N, inputs, h, w)` to `(N, outputs, h, w)`."""
        hidden = self.first(x) + self.time(time)[:, :, None, None]
        return self.past(x) + self.second(hidden)
