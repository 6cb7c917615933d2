"""Run a module as `python -m` does, and end at once when the process that asked for it is gone.

    python -m roadanomaly.leaderboard.child MODULE [WORD ...]

The asker holds the other end of standard input, and never writes: it closes when the asker ends,
however that happens. What runs here is made to be killed at any time, and goes on later.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

LEFT_ALONE = 75


def _watch() -> None:
    while True:
        if not os.read(sys.stdin.fileno(), 1024):
            os._exit(LEFT_ALONE)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background work ignores it
    threading.Thread(target=_watch, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
