"""Refusals that negative sources share: a range, a word, a part of a set."""

from __future__ import annotations

from collections.abc import Sequence

from roadanomaly.errors import OptionError, nearest

PARTS = ("all", "train", "held_out")


def check_range(name: str, value: Sequence[float], low: float, high: float) -> None:
    """Refuse an option that is no rising pair within limits.

    Raises:
        OptionError: names the option, the value and the limits.
    """
    if len(value) != 2 or not low <= value[0] <= value[1] <= high:
        msg = (
            f"`{name}` is {list(value)}; it must lie between {low} and {high}, a range as "
            "[least, greatest]."
        )
        raise OptionError(msg)


def check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a word that is not among the allowed ones.

    Raises:
        OptionError: with the nearest word.
    """
    if value not in allowed:
        msg = f"`{name}` is {value!r}; {nearest(value, allowed)}"
        raise OptionError(msg)


def check_part(part: str, held_out: float) -> None:
    """Refuse an unknown part or a held-out share outside 0..1."""
    check_choice("part", part, PARTS)
    check_range("held_out", (held_out, held_out), 0, 1)
