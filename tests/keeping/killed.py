"""Stop a piece of work at its n-th change of the disk, as a kill would."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


class Killed(BaseException):
    """Nothing in the program may catch it and clear up; tests put back what would be cleared."""


class Killer:
    """Counts renames and removals, and stops before one of them.

    Args:
        monkeypatch: of pytest.
        at: number of the change that does not happen any more; None counts alone.
    """

    def __init__(self, monkeypatch, at=None):
        self.count, self.at, self.dead = 0, at, False
        for module, name in (
            (os, "rename"),
            (os, "replace"),
            (os, "unlink"),
            (os, "rmdir"),
            (shutil, "rmtree"),
        ):
            monkeypatch.setattr(module, name, self._before(getattr(module, name)))
        for name in ("rename", "replace", "unlink", "rmdir"):
            monkeypatch.setattr(Path, name, self._before(getattr(Path, name)))

    def _before(self, change):
        def step(*args, **options):
            if self.dead:  # a killed process changes nothing more
                raise Killed
            if self.at is not None and self.count == self.at:
                self.dead = True
                raise Killed
            self.count += 1
            return change(*args, **options)

        return step
