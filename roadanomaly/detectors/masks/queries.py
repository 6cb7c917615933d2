"""Which queries of a mask network count, asked once an image batch."""

from __future__ import annotations

import torch
from torch import Tensor


def queries_of_any(chosen: Tensor) -> list[int]:
    """Return the queries that are chosen in any image of a batch, or all for a graph.

    A GPU has to be waited for once; to enlarge the masks of all queries would cost more. A graph
    that is written for other runtimes holds all, since other images choose others; who asks must
    therefore multiply each mask by what is chosen in its image.

    Args:
        chosen: `(B, Q)` bool.
    """
    tracing = torch.jit.is_tracing()  # type: ignore[attr-defined]
    if tracing or torch.compiler.is_exporting():
        return list(range(chosen.shape[1]))
    found: list[int] = chosen.any(0).nonzero()[:, 0].tolist()
    return found
