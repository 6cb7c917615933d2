"""A line that shows how far a walk has come, for whoever watches a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], what: str, unit: str = "frame", *, quiet: bool = False) -> tqdm[T]:
    """Show one line on standard error while `items` are walked over; none outside a terminal."""
    hidden = quiet or not sys.stderr.isatty()
    return tqdm(items, desc=what, unit=unit, disable=hidden, leave=False)
