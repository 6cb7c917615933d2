"""Pieces of work that run commands one after the other, several pieces at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field

from roadanomaly.leaderboard.children import PATIENCE_S, Child, Command

Steps = Generator[Command, str, str]
"""Yields commands; is sent why each failed, or ""; returns why the whole failed, or ""."""
Share = Mapping[str, str]
"""Variables of the environment that say which part of the machine is meant."""
LOOK_S = 0.1


@dataclass(frozen=True)
class Piece:
    """A piece of work.

    Args:
        name: of its own.
        steps: begins it.
        needs: names of pieces, listed before it, that must have come to their end.
        alone: nothing else may run beside it, since it measures time or memory; it has the whole
            machine.
    """

    name: str
    steps: Callable[[], Steps]
    needs: Sequence[str] = ()
    alone: bool = False


@dataclass(frozen=True)
class Work:
    """A piece at work: its steps, the share that it was given, and its command."""

    steps: Steps
    share: int
    child: Child


@dataclass
class AtOnce:
    """Does pieces of work, as many at once as is allowed, in their order as far as their needs let.

    A piece that must be alone waits until nothing runs, and lets the others pass. A piece whose
    needs failed is begun all the same: its steps say so.

    Args:
        pieces: in the order that is wanted.
        ended: is told the name of each piece at its end, and why it failed, or "".
        shares: variables of the environment of each of the pieces that run at once, and so how many
            those may be.
    """

    pieces: Sequence[Piece]
    ended: Callable[[str, str], object]
    shares: Sequence[Share] = ({},)
    _at_work: dict[str, Work] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._lone = {piece.name for piece in self.pieces if piece.alone}

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
                    self._step(piece.name, piece.steps(), self._free(), None)
                self._look()
        except BaseException:
            for work in self._at_work.values():
                work.child.ask_to_stop()
            for work in self._at_work.values():
                work.child.end(PATIENCE_S)
            raise
        finally:
            for work in self._at_work.values():
                work.child.end()

    def _next(self, left: Sequence[Piece]) -> Piece | None:
        """Return what may be begun now."""
        if self._lone & set(self._at_work) or len(self._at_work) >= len(self.shares):
            return None
        open_ones = {piece.name for piece in left} | set(self._at_work)
        for piece in left:
            if not open_ones & set(piece.needs) and not (piece.alone and self._at_work):
                return piece
        return None

    def _free(self) -> int:
        """Return a share that no piece has."""
        taken = {work.share for work in self._at_work.values()}
        return next(number for number in range(len(self.shares)) if number not in taken)

    def _look(self) -> None:
        """Wait a little, and go on with the pieces whose command has ended."""
        time.sleep(LOOK_S)
        for name, work in list(self._at_work.items()):
            reason = work.child.reason()
            if reason is not None:
                del self._at_work[name]
                self._step(name, work.steps, work.share, reason)

    def _step(self, name: str, steps: Steps, share: int, reason: str | None) -> None:
        """Go on with a piece that was told how its last command ended."""
        try:
            command = next(steps) if reason is None else steps.send(reason)
        except StopIteration as end:
            self.ended(name, end.value)
        else:
            room = {} if name in self._lone else self.shares[share]
            self._at_work[name] = Work(steps, share, Child(command, room))
