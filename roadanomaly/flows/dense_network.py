"""The network inside DenseFlow's couplings: densely connected convolutions beside attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from roadanomaly.flows.networks import from_zero


class DenseLayer(nn.Module):
    """Adds `growth` channels to those that came in: 1x1, ReLU, 3x3, ReLU."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.ReLU(),
            nn.Conv2d(channels, growth, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, C + growth, H, W)`."""
        return torch.cat([x, self.layers(x)], 1)


class Gate(nn.Module):
    """A 1x1 convolution `a + b sigmoid(c)`, with a, b and c from one layer."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, 3 * outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, outputs, H, W)`."""
        a, b, c = self.layer(x).chunk(3, 1)
        return a + b * c.sigmoid()


class LandmarkAttention(nn.Module):
    """Attention of all pixels through four landmarks, linear in the number of pixels.

    The landmarks are the means of the four quarters of the image.

    Args:
        channels: of input and output.
        width: of queries, keys and values.

    Source: Xiong et al., 2021, Nystromformer, equation 13, with its iterative pseudo-inverse.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.enter = nn.Conv2d(channels, 3 * width, 1)
        self.leave = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, C, H, W)`."""
        tokens = self.enter(x)
        query, key, value = (part.flatten(2).mT for part in tokens.chunk(3, 1))
        marks = adaptive_avg_pool2d(tokens[:, : 2 * self.width], 2)
        query_marks, key_marks = (part.flatten(2).mT for part in marks.chunk(2, 1))
        scale = 1 / math.sqrt(self.width)
        outer = (scale * query @ key_marks.mT).softmax(-1)
        inner = (scale * query_marks @ key_marks.mT).softmax(-1)
        final = (scale * query_marks @ key.mT).softmax(-1) @ value
        attended = outer @ (pseudo_inverse(inner) @ final) + value
        return self.leave(attended.mT.unflatten(2, x.shape[-2:]))


def pseudo_inverse(matrix: Tensor, rounds: int = 6) -> Tensor:
    """Approximate the inverses of `(..., n, n)` matrices with rows that sum to 1."""
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    largest = matrix.sum(-2).amax(-1) * matrix.sum(-1).amax(-1)
    found = matrix.mT / largest[..., None, None]
    for _ in range(rounds):
        both = matrix @ found
        found = found @ (13 * identity - both @ (15 * identity - both @ (7 * identity - both))) / 4
    return found


class DenseNetwork(nn.Module):
    """What a coupling of DenseFlow computes; starts as 0.

    Args:
        inputs: channels that it reads.
        outputs: channels that it returns.
        width: between its parts.
        depth: dense layers.
        growth: channels that each of them adds.

    Source: Grcic, Grubisic, Segvic, 2021, Densely Connected Normalizing Flows, section 3.3 and the
    public code. Differs: group instead of batch normalisation, without which a density would
    depend on its batch and could not be inverted; landmarks are means of image quarters, and
    tokens are pixels (the public code reshapes without moving the channels last).
    """

    def __init__(
        self, inputs: int, outputs: int, width: int = 32, depth: int = 7, growth: int = 64
    ) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, width, 1)
        self.dense = nn.Sequential(
            *(DenseLayer(width + number * growth, growth) for number in range(depth)),
            Gate(width + depth * growth, width),
        )
        self.attention = LandmarkAttention(width, width // 2)
        self.join = nn.Sequential(
            nn.GroupNorm(math.gcd(8, 2 * width), 2 * width),
            nn.ReLU(),
            nn.Conv2d(2 * width, width, 1, bias=False),
        )
        self.leave = from_zero(nn.Conv2d(width, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, outputs, H, W)`."""
        x = self.enter(x)
        return self.leave(self.join(torch.cat([self.attention(x), self.dense(x)], 1)))
