"""The folder of a saved model: where it lies, and its description as it is written.

No network library is imported here, so that models can be listed at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from roadanomaly.errors import DataError
from roadanomaly.folders import standing

EXPORT = "export.json"
"""Description of an export, which is no saved model."""


def read_description(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no JSON object, or one that is nested too deeply.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        msg = f"{path.name} is nested too deeply"
        raise ValueError(msg) from error
    if not isinstance(held, dict):
        msg = f"{path.name} holds {_kind(held)}, and not an object"
        raise ValueError(msg)  # noqa: TRY004 (of the file, not of an argument)
    return held


def place_of(folder: Path) -> Path:
    """Return where a folder's model lies: in it, or in `model/` of a run folder."""
    path = standing(folder)
    below = standing(path / "model")
    return below if not is_model(path) and is_model(below) else path


def is_model(folder: Path) -> bool:
    """Return whether a folder holds the description of a model."""
    return (folder / "model.json").exists()


def require_no_export(folder: Path) -> None:
    """Refuse the folder of an export where a saved model is wanted.

    Raises:
        DataError: says which commands run exports.
    """
    if (folder / EXPORT).exists():
        msg = (
            f"{folder} holds an export, a graph of a model, which `video`, `serve` and `mine` run. "
            "Give the run or the saved model that it was made from."
        )
        raise DataError(msg)


def _kind(value: Any) -> str:
    return {list: "a list", str: "a word", type(None): "nothing"}.get(type(value), "a number")
