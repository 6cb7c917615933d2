"""A network that sees a noisy vector and the step, and tells the noise."""

from __future__ import annotations

from torch import Tensor, nn

from roadanomaly.diffusion.schedule import time_code

CODE = 32


class VectorDenoiser(nn.Module):
    """Residual blocks down and up again, all of one width, the way up joined with the way down.

    Args:
        channels: C of the vectors.
        width: of the blocks.
        levels: blocks on each way.

    Source: Galesso et al., 2024, DOoD, whose network has six levels of the features' own width.
    """

    def __init__(self, channels: int, width: int, levels: int) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(CODE, width), nn.SiLU(), nn.Linear(width, width))
        self.enter = nn.Linear(channels, width)
        self.down = nn.ModuleList(Block(width) for _ in range(levels))
        self.middle = Block(width)
        self.up = nn.ModuleList(Block(width) for _ in range(levels))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, channels))

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        """Return the noise in `x`.

        Args:
            x: `(..., N, C)`.
            step: `(N,)` int64.
        """
        time = self.time(time_code(step, CODE))
        hidden = self.enter(x)
        seen = []
        for block in self.down:
            hidden = block(hidden, time)
            seen.append(hidden)
        hidden = self.middle(hidden, time)
        for block in self.up:
            hidden = block(hidden + seen.pop(), time)
        return self.leave(hidden)


class Block(nn.Module):
    """Normalisation, SiLU and a linear map, twice, told the step between; added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, width))
        self.second = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Map `(..., N, width)` to the same; `time` is `(N, width)`."""
        return x + self.second(self.first(x) + time)
