"""A leaderboard whose children are forked from it, which has imported torch, and not started anew.

What a child's start proves is held by test_children.py.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import traceback
from subprocess import TimeoutExpired
from types import SimpleNamespace

from roadanomaly.cli.main import main
from roadanomaly.leaderboard import child, children


class Forked:
    """What `children` asks of `subprocess.Popen`."""

    def __init__(self, command, stdin, stdout, stderr, start_new_session, env):
        assert start_new_session
        reading, writing = os.pipe()
        self.returncode = None
        self.pid = os.fork()
        if self.pid == 0:
            os.close(writing)
            os.setsid()
            for number, end in enumerate((reading, stdout, stderr)):
                os.dup2(end, number)
            os._exit(run(command[3:]))
        os.close(reading)
        self.stdin = os.fdopen(writing, "wb")

    def poll(self):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout=None):
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def run(words):
    """Do what `python -m roadanomaly.leaderboard.child WORDS` does; return the exit code."""
    sys.stdin, sys.argv = os.fdopen(0), list(words)
    code = 0
    try:
        threading.Thread(target=child._watch, daemon=True).start()
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def leaderboard(*words):
    """Run `roadanomaly leaderboard WORDS`."""
    children.subprocess = SimpleNamespace(Popen=Forked, PIPE=-1, TimeoutExpired=TimeoutExpired)
    return main(["leaderboard", *words])
