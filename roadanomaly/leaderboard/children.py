"""Commands of the package in processes of their own: a log file, a reason where one failed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from roadanomaly.errors import UserError

PATIENCE_S = 120
"""How long a child that was asked to stop may take to save its state."""


@dataclass(frozen=True)
class Command:
    """A module that is to be run.

    Args:
        module: as `python -m` takes it.
        words: its arguments.
        log: where its output goes; replaced.
    """

    module: str
    words: Sequence[str]
    log: Path


class Child:
    """A command at work, in a session of its own.

    Args:
        command: starts at once.
        variables: of its environment, over those of this process.

    Raises:
        UserError: the log cannot be written.
    """

    def __init__(self, command: Command, variables: Mapping[str, str]) -> None:
        self.command = command
        words = [sys.executable, "-m", "roadanomaly.leaderboard.child"]
        words += [command.module, *command.words]
        try:
            command.log.parent.mkdir(parents=True, exist_ok=True)
            with command.log.open("wb") as file:
                self._process = subprocess.Popen(
                    words,
                    stdin=subprocess.PIPE,
                    stdout=file.fileno(),
                    stderr=file.fileno(),
                    start_new_session=True,
                    env={**os.environ, **variables},
                )
        except OSError as error:
            msg = f"{command.log} cannot be written, or no process started: {error.strerror}."
            raise UserError(msg) from error

    def reason(self) -> str | None:
        """Return None while it is at work, then why it failed, a sentence, or "" where not."""
        code = self._process.poll()
        if code is None:
            return None
        self._let_go()
        return "" if code == 0 else reason_of(self.command.log, code)

    def ask_to_stop(self) -> None:
        """Ask it to save its state and end."""
        self._process.send_signal(signal.SIGINT)

    def end(self, patience_s: float = 0.0) -> None:
        """See it ended: wait for so many seconds, then kill it."""
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._let_go()

    def _let_go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def reason_of(log: Path, code: int) -> str:
    """Say why a child failed: its last words, or the signal that ended it."""
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if code < 0:
        name = signal.Signals(-code).name
        return f"it was ended by {name}; where nobody did that, memory ran out."
    last = lines[-1] if lines else f"it ended with code {code} and said nothing"
    if last.startswith("roadanomaly "):  # `roadanomaly train: what was wrong`
        return last.split(": ", 1)[-1]
    return last
