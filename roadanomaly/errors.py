"""Every mistake a user can make is one of these; the command line prints it and exits with 2."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


class UserError(Exception):
    """A mistake in what was given: says what was wrong, the value, what is allowed, what next.

    Attributes:
        mistakes: those that it joins; empty of a single one.
    """

    mistakes: tuple[UserError, ...] = ()


class UnknownName(UserError):
    """A name that no catalogue holds."""


class OptionError(UserError):
    """A part was given an option that it lacks, or a value outside its range."""


class DataError(UserError):
    """A data root, image or label that cannot be used."""


class ClassesError(DataError):
    """Weights or a network made for other classes than were named."""


class NotFitted(UserError):
    """A detector was asked for scores before it was fitted or trained."""


class NotCalibrated(UserError):
    """A mask was asked of a model that has no threshold yet."""


class FeatureError(UserError):
    """A detector needs a feature that the segmenter does not offer."""


class KindError(UserError):
    """A detector needs logits, evidence or masks, and the segmenter answers something else."""


class MissingExtra(UserError):
    """A part needs a package that is installed with an extra of this one."""


class TrainingDiverged(UserError):
    """A loss or a gradient became NaN or infinite."""


def joined(mistakes: Sequence[UserError]) -> UserError:
    """Return one mistake that tells all; what two say alike is said once.

    Args:
        mistakes: one or more, each as it would have stopped the work alone.

    Returns:
        it is of their class where all have the same, and a `UserError` where not.
    """
    distinct = list({str(one): one for one in mistakes}.values())
    if len(distinct) == 1:
        return distinct[0]
    kinds = {type(one) for one in distinct}
    lines = "".join(f"\n  - {one}" for one in distinct)
    made = (kinds.pop() if len(kinds) == 1 else UserError)(
        f"{len(distinct)} things are missing or wrong:{lines}"
    )
    made.mistakes = tuple(distinct)
    return made


class Mistakes:
    """Collects what is wrong with things that do not hang together, to tell all at once.

    >>> mistakes = Mistakes()
    >>> for name in ("weights", "data"):
    ...     with mistakes.noted():
    ...         raise DataError(f"no {name}.")
    >>> mistakes.refuse()
    Traceback (most recent call last):
    roadanomaly.errors.DataError: 2 things are missing or wrong:
      - no weights.
      - no data.
    """

    def __init__(self) -> None:
        self.found: list[UserError] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Keep a user's mistake for `refuse`, and go on behind the block."""
        try:
            yield
        except UserError as error:
            self.found += error.mistakes or (error,)

    def refuse(self) -> None:
        """Raise what was noted, if anything was.

        Raises:
            UserError: as `joined` puts it.
        """
        if self.found:
            raise joined(self.found)


def make_all(make: Callable[[A], B], items: Iterable[A]) -> list[B]:
    """Make something of each item, or say what is wrong with all of them.

    Raises:
        UserError: as `Mistakes.refuse`.
    """
    mistakes, made = Mistakes(), []
    for one in items:
        with mistakes.noted():
            made.append(make(one))
    mistakes.refuse()
    return made


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known word, or lists all when none is close.

    >>> nearest("enrgy", ["energy", "entropy"])
    'did you mean `energy`?'
    >>> nearest("zebra", ["energy", "entropy"])
    'known: energy, entropy'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean `{close[0]}`?" if close else "known: " + ", ".join(names)
