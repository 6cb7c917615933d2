"""Which of several things that were learned from the tables name."""

from __future__ import annotations

from collections.abc import Iterable

ORDER = ("anomalies", "void", "negatives", "synthetic negatives", "none")
"""What comes nearest to the test first."""


def foremost(found: Iterable[str]) -> str:
    """Return of several parts' supervision what a table names for all of them.

    >>> foremost(["none", "synthetic negatives", "negatives"])
    'negatives'
    """
    return min(found, key=ORDER.index, default="none")
