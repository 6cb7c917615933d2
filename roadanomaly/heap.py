"""Memory that a command frees stays with it, so that the next tensor needs no new pages.

glibc hands large blocks back to the system and asks for them anew; at each pass of a network the
system then clears tens of thousands of pages, one fault each. benchmarks/heap.py measures that.
"""

from __future__ import annotations

import ctypes
import os

TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8
"""Parameters of glibc's `mallopt`."""

NEVER = -1
SET_OUTSIDE = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
"""Variables, by how they begin, of one who has set up the heap already."""


def keep_freed() -> bool:
    """Let the heap keep what is freed, for as long as the process lives; call before threads start.

    Needs glibc, so Linux; a heap that environment variables set up (`MALLOC_...`, `GLIBC_TUNABLES`)
    or that was put in its place (`LD_PRELOAD`) is left alone. The process then holds as much memory
    as it once needed at the same time.

    Returns:
        whether the heap was set up.
    """
    if any(name.startswith(SET_OUTSIDE) for name in os.environ):
        return False
    if os.name != "posix":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    for parameter, value in ((MMAP_MAX, 0), (TRIM_THRESHOLD, NEVER), (ARENA_MAX, 1)):
        library.mallopt(parameter, value)
    return True
