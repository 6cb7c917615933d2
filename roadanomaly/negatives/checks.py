"""Refusals that negative sources share: a range, a word."""

from __future__ import annotations

from collections.abc import Sequence

from roadanomaly.errors import OptionError, nearest


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
