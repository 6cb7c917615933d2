"""Write and read the state of a run, whole or not at all."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from roadanomaly.errors import DataError, UserError


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to a file beside `path`, then rename it.

    Where the disk is full in the middle of a tensor, torch's writer complains of a wrong position
    as it closes, over the system's own error.

    Raises:
        UserError: the folder cannot be written.
    """
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        fault = error if isinstance(error, OSError) else error.__context__
        if not isinstance(fault, OSError):
            raise
        msg = f"the checkpoint {path} cannot be written: {fault.strerror or fault}. Free the disk."
        raise UserError(msg) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; no code runs from the file.

    Raises:
        DataError: there is none, or it is broken.
    """
    if not path.exists():
        msg = f"nothing to resume: {path} does not exist. Start without --resume."
        raise DataError(msg)
    try:
        if not zipfile.is_zipfile(path):
            msg = "it is cut off, or no checkpoint at all."
            raise pickle.UnpicklingError(msg)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0]
        msg = (
            f"the checkpoint {path} is broken: {reason} Delete its run folder, or give another "
            "with --out, and start without --resume."
        )
        raise DataError(msg) from error
