"""A few vectors that lie near all others: greedy k-centre selection."""

from __future__ import annotations

import torch
from torch import Tensor


def greedy_centres(vectors: Tensor, count: int, dimensions: int = 0) -> Tensor:
    """Pick centres one by one, each the vector that is farthest from those before.

    The largest distance of a vector to its nearest centre is at most twice the least that `count`
    centres can have (Gonzalez, 1985). With a random projection this holds of the projected
    vectors. Takes `count` passes over the vectors, and the memory of one copy of them.

    Args:
        vectors: `(N, C)`.
        count: of centres, 1 to N.
        dimensions: 0, or how many to project on with a Gaussian matrix of the torch seed
            (Johnson and Lindenstrauss), which makes many channels cheap.

    Returns:
        `(count,)` int64 on the vectors' device, different from each other, in the order they were
        picked; the first is drawn by the torch seed.

    Raises:
        ValueError: `count` is not in 1..N.

    Source: Roth et al., 2022, PatchCore, algorithm 1. Differs: a single first centre.
    """
    if not 1 <= count <= len(vectors):
        msg = f"{count} centres of {len(vectors)} vectors: give a number from 1 to that."
        raise ValueError(msg)
    points = vectors.float()
    if dimensions:
        matrix = torch.randn(points.shape[1], dimensions) / dimensions**0.5
        points = points @ matrix.to(points.device)
    points = points - points.mean(0)  # near the origin, so that few digits cancel below
    squares = points.square().sum(1)
    newest = torch.randint(len(points), (1,)).to(points.device)
    chosen = [newest]
    least = torch.full((len(points),), torch.inf, device=points.device)
    for _ in range(count - 1):
        distance = squares + squares[newest] - 2 * (points @ points[newest[0]])
        least = torch.minimum(least, distance).index_fill(0, newest, -1.0)
        newest = least.argmax(keepdim=True)
        chosen.append(newest)
    return torch.cat(chosen)
