"""Processes of their own that are forked from one which has imported torch: that takes seconds.

Signals, locks, sockets and what they print are those of any process; tests where a command's very
start matters (`python -m`, torchrun, the installed script) start one in full instead.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PRELOADED = (
    "roadanomaly.cli.evaluate",
    "roadanomaly.cli.fit",
    "roadanomaly.cli.train",
    "roadanomaly.data.streets",
    "roadanomaly.segmenters.espnetv2",
    "roadanomaly.training.loop",
    "tests.drawn_before",
)
PATIENCE_S = 300


class Begun:
    """A function at work in a process of its own; the methods are those of `subprocess.Popen`.

    Args:
        work: a function of a module; what it returns is the exit code.
        given: its arguments.
        environment: variables that are changed for it.
    """

    def __init__(self, work: Callable[..., int | None], *given, **environment):
        self._said = tempfile.TemporaryDirectory(prefix="said-")
        self._ends = tuple(Path(self._said.name) / name for name in ("out", "err"))
        variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(PRELOADED))
        self._process = context.Process(target=_work, args=(self._ends, variables, work, given))
        self._process.start()
        atexit.register(self.kill)  # else a test that failed would be waited for

    @property
    def pid(self):
        return self._process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self._process.exitcode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def first_line(self, timeout=PATIENCE_S):
        """Wait for a line on standard output, and return it."""
        end = time.monotonic() + timeout
        while "\n" not in (said := self._read(0)):
            assert self.poll() is None, self.communicate()
            assert time.monotonic() < end, "nothing was said"
            time.sleep(0.02)
        return said.split("\n")[0]

    def _read(self, number):
        end = self._ends[number]
        return end.read_text() if end.exists() else ""

    def communicate(self, timeout=PATIENCE_S):
        """Wait for its end; return what it wrote to standard output and to standard error.

        Raises:
            AssertionError: it went on for too long, and was killed.
        """
        self._process.join(timeout)
        late = self.poll() is None
        self.kill()
        self._process.join()
        out, err = self._read(0), self._read(1)
        assert not late, f"still at work after {timeout} s\n{out}{err}"
        return out, err


def command(words, **environment):
    """Begin `roadanomaly WORDS`."""
    return Begun(_command, tuple(map(str, words)), **environment)


def _command(words):
    from roadanomaly.cli.main import main

    return main(words)


def _work(ends, variables, work, given):
    os.environ.clear()
    os.environ.update(variables)
    for number, end in enumerate(ends, 1):
        file = os.open(end, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import torch

    torch.set_num_threads(1)
    sys.exit(work(*given))
