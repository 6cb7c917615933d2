"""What several filters leave of a set, and which of them is to blame where that is nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from roadanomaly.data.cutouts import CutoutReader
from roadanomaly.data.cutouts.names import ROAD_CLASSES
from roadanomaly.errors import DataError, OptionError, nearest

T = TypeVar("T")


def excluded(reader: CutoutReader, exclude: Sequence[str] | None) -> frozenset[str]:
    """Return the class names that a source leaves out; None means those that roads have.

    Raises:
        OptionError: a name that the set does not define.
    """
    for name in exclude or ():
        if reader.names and name not in reader.names:
            msg = (
                f"`exclude` names the class {name!r}, which {str(reader.root)!r} does not define; "
                f"{nearest(name, reader.names)}"
            )
            raise OptionError(msg)
    return ROAD_CLASSES if exclude is None else frozenset(exclude)


def sift(
    items: Iterable[T], filters: Mapping[str, Callable[[T], bool]], what: str, root: Path
) -> list[T]:
    """Return the items that all filters keep, in their order.

    Args:
        items: of a set.
        filters: in the order in which they are asked, by the option that they stand for.
        what: one of them is, for the message.
        root: folder of the set.

    Raises:
        DataError: none is left; says how many each filter removed.
    """
    kept = list(items)
    count, removed = len(kept), {}
    for name, keep in filters.items():
        left = [item for item in kept if keep(item)]
        removed[name] = len(kept) - len(left)
        kept = left
    if not kept:
        by = ", ".join(f"`{name}` removed {number}" for name, number in removed.items() if number)
        msg = f"no {what} is left of the {count} in {str(root)!r}: {by}. Loosen that option."
        raise DataError(msg)
    return kept
