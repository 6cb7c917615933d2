"""Which files of a set are held out: the same everywhere and for ever, by a hash of their names."""

from __future__ import annotations

import hashlib
import os

from roadanomaly.errors import OptionError, nearest

PARTS = ("all", "train", "held_out")


def in_part(name: str, part: str, held_out: float) -> bool:
    """Say whether a file belongs to a part of its set.

    Args:
        name: of the file, without folder and suffix; its hash decides.
        part: `"train"`, `"held_out"`, or `"all"` for both.
        held_out: share of the files that are held out.
    """
    return part == "all" or (place_of(name) < held_out) == (part == "held_out")


def place_of(name: str) -> float:
    """Return a name's place in 0..1, by its hash; a share of a set is what lies below it."""
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "big") / 2**64


def check_part(part: str, held_out: float) -> None:
    """Refuse an unknown part, or a share outside 0..1.

    Raises:
        OptionError: names the option, the value and what is allowed.
    """
    if part not in PARTS:
        msg = f"`part` is {part!r}; {nearest(part, PARTS)}"
        raise OptionError(msg)
    if not 0 <= held_out <= 1:
        msg = f"`held_out` is {held_out:g}; it is a share and must lie between 0 and 1."
        raise OptionError(msg)
