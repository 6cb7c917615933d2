"""Which of several things that were learned from the tables name."""

from __future__ import annotations

from collections.abc import Iterable

FOREIGN = ("anomalies", "void", "negatives")
"""What shows real content that is no inlier."""

ORDER = (*FOREIGN, "synthetic negatives", "none")
"""What comes nearest to the test first."""


def foremost(found: Iterable[str | None]) -> str:
    """Return of several parts' supervision what a table names for all of them.

    A word of another's making comes first: nobody knows what it hides. One that says nothing counts
    for nothing.

    >>> foremost(["none", "synthetic negatives", None, "negatives"])
    'negatives'
    """
    said = (one for one in found if one)
    return min(said, key=lambda one: ORDER.index(one) if one in ORDER else -1, default="none")
