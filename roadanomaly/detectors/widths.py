"""Check the channels of networks that halve the image level by level."""

from __future__ import annotations

from collections.abc import Sequence

from roadanomaly.errors import OptionError


def check_widths(detector: str, widths: Sequence[int], least: int = 1) -> None:
    """Refuse levels without channels, or too few of them.

    Raises:
        OptionError: says what is allowed.
    """
    if len(widths) < least or min(widths, default=0) < 1:
        msg = f"{detector}: `widths` is {list(widths)}; give {least} or more numbers from 1 on."
        raise OptionError(msg)
