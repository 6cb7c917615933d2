"""Which of several things that were learned from the tables name."""

from __future__ import annotations

from collections.abc import Iterable

FOREIGN = ("anomalies", "void", "negatives")
"""What shows real content that is no inlier."""

ORDER = (*FOREIGN, "synthetic negatives", "none")
"""What comes nearest to the test first."""


def foremost(found: Iterable[str]) -> str:
    """Return of several parts' supervision what a table names for all of them.

    A word of another's making comes first: nobody knows what it hides.

    >>> foremost(["none", "synthetic negatives", "negatives"])
    'negatives'
    """
    return min(found, key=lambda one: ORDER.index(one) if one in ORDER else -1, default="none")
