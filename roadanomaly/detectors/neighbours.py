"""Exact nearest neighbours among many vectors, in blocks of bounded memory."""

from __future__ import annotations

import torch
from torch import Tensor

QUERIES, ROWS = 2048, 8192
"""Sides of a block of distances: 64 MB."""

SPARE = 8
"""Candidates of a block beyond the k that are wanted, against rounding."""


def nearest_rows(rows: Tensor, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k nearest rows of each query.

    A block's candidates come from `|r|^2 - 2 q r`, both about the mean of the rows; the distances
    by which they are ranked come from the differences, so that no digits cancel where a query is
    near to a row.

    Args:
        rows: `(N, C)`.
        queries: `(..., C)` on the same device.
        k: 1 to N.

    Returns:
        Euclidean distances `(..., k)` float32, rising, and the numbers of the rows `(..., k)`
        int64.

    Raises:
        ValueError: `k` is not in 1..N.
    """
    if not 1 <= k <= len(rows):
        msg = f"the {k} nearest of {len(rows)} vectors: give a `k` from 1 to their number."
        raise ValueError(msg)
    flat = queries.reshape(-1, queries.shape[-1])
    best = flat.new_empty(len(flat), 0, dtype=torch.float32)
    numbers = torch.empty(len(flat), 0, dtype=torch.long, device=flat.device)
    with torch.autocast(rows.device.type, enabled=False):
        middle = rows.float().mean(0)
        for first in range(0, len(rows), ROWS):
            block = rows[first : first + ROWS].float()
            parts = [_nearest(block, some.float(), middle, k) for some in flat.split(QUERIES)]
            best = torch.cat([best, torch.cat([squares for squares, _ in parts])], 1)
            places = torch.cat([found for _, found in parts]) + first
            best, order = best.topk(min(k, best.shape[1]), largest=False)
            numbers = torch.cat([numbers, places], 1).gather(1, order)
    shape = (*queries.shape[:-1], k)
    return best.sqrt().view(shape), numbers.view(shape)


def _nearest(block: Tensor, queries: Tensor, middle: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return squared distances of a block's best candidates, and their numbers, `(Q, K)`."""
    centred = block - middle
    roughly = torch.addmm(centred.square().sum(1), queries - middle, centred.T, alpha=-2)
    near = roughly.topk(min(k + SPARE, len(block)), largest=False).indices
    exact = [(block[column] - queries).square().sum(1) for column in near.unbind(1)]
    return torch.stack(exact, 1), near
