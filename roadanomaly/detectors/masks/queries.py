"""Which queries of a mask network count, asked once an image batch."""

from __future__ import annotations

from torch import Tensor


def queries_of_any(chosen: Tensor) -> list[int]:
    """Return the queries that are chosen in any image of a batch.

    A GPU has to be waited for once; to enlarge the masks of all queries would cost more.

    Args:
        chosen: `(B, Q)` bool.
    """
    found: list[int] = chosen.any(0).nonzero()[:, 0].tolist()
    return found
