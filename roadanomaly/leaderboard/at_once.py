"""Pieces of work that run commands one after the other, several pieces at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from roadanomaly.leaderboard.children import PATIENCE_S, Child, Command

Steps = Generator[Command, str, str]
"""Yields commands; is sent why each failed, or ""; returns why the whole failed, or ""."""
LOOK_S = 0.1


@dataclass(frozen=True)
class Piece:
    """A piece of work.

    Args:
        name: of its own.
        steps: begins it.
        needs: names of pieces, listed before it, that must have come to their end.
        alone: nothing else may run beside it, since it measures time or memory.
    """

    name: str
    steps: Callable[[], Steps]
    needs: Sequence[str] = ()
    alone: bool = False


@dataclass
class AtOnce:
    """Does pieces of work, as many at once as is allowed, in their order as far as their needs let.

    A piece that must be alone waits until nothing runs, and lets the others pass. A piece whose
    needs failed is begun all the same: its steps say so.

    Args:
        pieces: in the order that is wanted.
        ended: is told the name of each piece at its end, and why it failed, or "".
        jobs: how many at once.
        threads: that each computes with; None leaves that to it.
    """

    pieces: Sequence[Piece]
    ended: Callable[[str, str], object]
    jobs: int = 1
    threads: int | None = None
    _at_work: dict[str, tuple[Steps, Child]] = field(default_factory=dict, init=False)

    def go(self) -> None:
        """Do it all.

        Raises:
            UserError: a log cannot be written.
            KeyboardInterrupt: asked to stop.
            Whichever it is, all that was at work has saved its state.
        """
        left = list(self.pieces)
        try:
            while left or self._at_work:
                while piece := self._next(left):
                    left.remove(piece)
                    self._step(piece.name, piece.steps(), None)
                self._look()
        except BaseException:
            for _, child in self._at_work.values():
                child.ask_to_stop()
            for _, child in self._at_work.values():
                child.end(PATIENCE_S)
            raise
        finally:
            for _, child in self._at_work.values():
                child.end()

    def _next(self, left: Sequence[Piece]) -> Piece | None:
        """Return what may be begun now."""
        lone = any(piece.alone and piece.name in self._at_work for piece in self.pieces)
        if lone or len(self._at_work) >= self.jobs:
            return None
        open_ones = {piece.name for piece in left} | set(self._at_work)
        for piece in left:
            if not open_ones & set(piece.needs) and not (piece.alone and self._at_work):
                return piece
        return None

    def _look(self) -> None:
        """Wait a little, and go on with the pieces whose command has ended."""
        time.sleep(LOOK_S)
        for name, (steps, child) in list(self._at_work.items()):
            reason = child.reason()
            if reason is not None:
                del self._at_work[name]
                self._step(name, steps, reason)

    def _step(self, name: str, steps: Steps, reason: str | None) -> None:
        """Go on with a piece that was told how its last command ended."""
        try:
            command = next(steps) if reason is None else steps.send(reason)
        except StopIteration as end:
            self.ended(name, end.value)
        else:
            self._at_work[name] = steps, Child(command, self.threads)


def threads_each(jobs: int) -> int | None:
    """Return how many threads each of so many jobs computes with; None where one has them all."""
    if jobs == 1:
        return None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max((cores or 1) // jobs, 1)
