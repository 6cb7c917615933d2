"""How far a walk has come: one line that moves in a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Protocol, TypeVar

from tqdm import tqdm

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

PAUSE = 10.0
"""Seconds between two lines outside a terminal, at least; shorter walks say nothing there."""


class Counted(Sized, Iterable[T_co], Protocol[T_co]):
    """What can be walked over, and says how long that is."""


def progress(
    items: Counted[T], what: str, unit: str = "frame", *, quiet: bool = False
) -> Iterator[T]:
    """Show on standard error how far a walk over `items` is, as `counting` does."""
    with counting(len(items), what, unit, quiet=quiet) as step:
        for one in items:
            yield one
            step()


@contextmanager
def counting(
    total: int, what: str, unit: str = "frame", *, quiet: bool = False
) -> Iterator[Callable[[], object]]:
    """Yield what is called after each of `total` steps, and show how far that is.

    Args:
        total: number of steps.
        what: is done, in a word.
        unit: of a step, in the singular.
        quiet: show nothing.
    """
    if not sys.stderr.isatty():
        yield _Lines(0 if quiet else total, what, unit).step
        return
    with tqdm(total=total, desc=what, unit=unit, disable=quiet, leave=False) as bar:
        yield bar.update


class _Lines:
    """At each tenth a line for logs: `energies: 74 of 367 frames, 0.4 min, 1.6 min left`.

    Args:
        total: number of steps; 0 says nothing.
        what: is done.
        unit: of a step.
    """

    def __init__(self, total: int, what: str, unit: str) -> None:
        self.total, self.what, self.unit = total, what, unit
        self.done = self.tenths = 0
        self.began = self.said = time.perf_counter()

    def step(self) -> None:
        """Count a step, and say so where a tenth is full and the last line is long ago."""
        self.done += 1
        tenths = 10 * self.done // self.total if self.total else 0
        now = time.perf_counter()
        if tenths == self.tenths or now - self.said < PAUSE:
            return
        self.tenths, self.said = tenths, now
        spent = (now - self.began) / 60
        left = spent / self.done * (self.total - self.done)
        sys.stderr.write(
            f"{self.what}: {self.done} of {self.total} {self.unit}s, {spent:.1f} min, "
            f"{left:.1f} min left\n"
        )
        sys.stderr.flush()
