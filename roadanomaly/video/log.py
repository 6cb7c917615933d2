"""JSON Lines that lose nothing: each line is on the disk before the next frame."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from roadanomaly.errors import UserError


class LineLog:
    """Appends one JSON object a line. Lines that cannot be written are kept and tried again.

    Args:
        path: of the file, which begins empty; its folder is made.
        durable: wait for the disk after each line.

    Raises:
        UserError: the file cannot be written.
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        self.path = path
        self.durable = durable
        self.unsaved: list[str] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            msg = f"{path} cannot be written: {error.strerror}. Choose another place."
            raise UserError(msg) from error

    def write(self, values: dict[str, Any]) -> None:
        """Add a line."""
        self.unsaved.append(json.dumps(values) + "\n")
        self._flush()

    def _flush(self) -> str | None:
        """Write what is unsaved; return why it failed, or None."""
        try:
            while self.unsaved:
                line = self.unsaved[0].encode()
                done = self._file.write(line)
                if done < len(line):
                    self.unsaved[0] = line[done:].decode()
                    continue
                self.unsaved.pop(0)
            if self.durable:
                os.fsync(self._file.fileno())
        except OSError as error:
            return error.strerror or str(error) if self.unsaved else None
        return None

    def close(self) -> str | None:
        """Try once more and close; return what went wrong, with the lines that are not on disk."""
        reason = self._flush()
        self._file.close()
        if not self.unsaved:
            return None
        return f"{self.path}: {reason}; these lines are not in it:\n" + "".join(self.unsaved)
