"""What runtimes and exporters say in their errors, as lines for people."""

from __future__ import annotations

import re

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""What turns a terminal's colour on or off."""


def lines_of(error: BaseException) -> list[str]:
    r"""Return the lines of an error, at least one: of one that says nothing, its kind.

    >>> lines_of(RuntimeError("no room\nat line 7")), lines_of(AssertionError())
    (['no room', 'at line 7'], ['AssertionError'])
    """
    return COLOUR.sub("", str(error)).strip().splitlines() or [type(error).__name__]
