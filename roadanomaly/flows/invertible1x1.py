"""The invertible 1x1 convolution: a learned mixing of channels, kept as an LU product."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from roadanomaly.flows.layer import Layer


class Invertible1x1(Layer):
    """`y = W x` at every pixel, with `W = P L (U + diag(sign exp(log_diagonal)))`.

    `P` is a fixed permutation, `L` lower triangular with ones and `U` strictly upper triangular, so
    the determinant is a sum. L and U share one matrix of parameters. `W` starts as a random
    rotation. Its inverse is computed in double precision, by two triangular solves.

    Args:
        channels: of the input.

    Source: Kingma and Dhariwal, 2018, Glow, section 3.2.
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels))[0]
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", diagonal.sign())
        self.triangles = nn.Parameter(lower.tril(-1) + upper.triu(1))
        self.log_diagonal = nn.Parameter(diagonal.abs().log())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return `W x` and `H W sum(log_diagonal)`."""
        lower, upper = self._factors()
        weight = self.permutation @ lower @ upper
        log_det = (x.shape[-2] * x.shape[-1] * self.log_diagonal.sum()).expand(len(x))
        return _mix(weight, x), log_det

    def inverse(self, y: Tensor) -> Tensor:
        """Return `W^-1 y`."""
        lower, upper = (factor.double() for factor in self._factors())
        right = self.permutation.double().T
        half = torch.linalg.solve_triangular(lower, right, upper=False, unitriangular=True)
        weight = torch.linalg.solve_triangular(upper, half, upper=True).to(y.dtype)
        return _mix(weight, y)

    def _factors(self) -> tuple[Tensor, Tensor]:
        ones = torch.diag(torch.ones_like(self.log_diagonal))
        diagonal = torch.diag(self.sign * self.log_diagonal.exp())
        return self.triangles.tril(-1) + ones, self.triangles.triu(1) + diagonal


def _mix(weight: Tensor, x: Tensor) -> Tensor:
    """Multiply every pixel with a matrix; for so few channels faster than a convolution."""
    return (weight @ x.flatten(2)).view(x.shape)
