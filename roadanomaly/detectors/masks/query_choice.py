"""Which queries of a mask network answer to anomalies, chosen on labelled pixels one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

LEAST = 1e-3
"""Average precision that a query has to add."""

Join = Callable[[Tensor, Tensor, Sequence[int], Sequence[int]], Tensor]
"""Score of pixels from the base `(N,)`, the masks `(N, Q)`, anomaly and inlier queries."""


def choose_queries(
    base: Tensor,
    masks: Tensor,
    strange: Tensor,
    weights: Tensor,
    most: Sequence[int],
    join: Join,
) -> tuple[list[int], list[int]]:
    """Choose anomaly queries, then inlier queries, each the one that adds most.

    What is judged is the average precision of the joined score; the choice ends where no query
    adds `LEAST`.

    Args:
        base: `(N,)`, the score without chosen queries.
        masks: `(N, Q)`, the queries' masks at the pixels, in 0..1.
        strange: `(N,)` bool, which pixels show an anomaly.
        weights: `(N,)`, how many pixels each stands for.
        most: greatest numbers of anomaly and of inlier queries.
        join: base, masks, anomaly queries and inlier queries to the score.
    """
    chosen: tuple[list[int], list[int]] = ([], [])
    best = average_precision(join(base, masks, *chosen), strange, weights)
    for part, limit in zip(chosen, most, strict=True):
        while len(part) < limit:
            found = []
            for query in range(masks.shape[1]):
                if query in chosen[0] or query in chosen[1]:
                    continue
                part.append(query)
                score = join(base, masks, *chosen)
                found.append((average_precision(score, strange, weights), query))
                part.pop()
            value, query = max(found, default=(0.0, -1), key=lambda one: one[0])
            if value < best + LEAST:
                break
            best = value
            part.append(query)
    return chosen


def average_precision(score: Tensor, strange: Tensor, weights: Tensor) -> float:
    """Return the weighted average precision, 0..1; equal scores are one threshold.

    Args:
        score: `(N,)`.
        strange: `(N,)` bool, at least one true.
        weights: `(N,)`, not negative.
    """
    order = score.argsort(descending=True)
    score, strange, weights = score[order], strange[order], weights[order].double()
    found, all_found = (weights * strange).cumsum(0), weights.cumsum(0)
    last = torch.cat([score[1:] != score[:-1], torch.ones_like(strange[:1])])
    found, precision = found[last], (found / all_found)[last]
    gained = torch.diff(found, prepend=found.new_zeros(1))
    return float((gained * precision).sum() / found[-1])
