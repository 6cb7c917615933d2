"""What a mined folder was asked, so that no index holds the events of two models."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roadanomaly.errors import OptionError
from roadanomaly.files import write_text
from roadanomaly.mining.index import is_mined
from roadanomaly.models import folder_of
from roadanomaly.runtimes.exported import is_export

ASKED = "asked.json"
FORMAT = 1


def keep_asked(out: Path, asked: Mapping[str, Any]) -> None:
    """Put down what is asked; a folder that was mined otherwise is refused.

    A folder of an earlier version, which says nothing, is taken as it is.

    Args:
        out: folder of the index.
        asked: what decides which events are found, plain values.

    Raises:
        OptionError: names what differs.
        UserError: the folder cannot be written.
    """
    before = _read(out / ASKED) if is_mined(out) else {}
    differs = [
        f"`{key}` was {before[key]!r} and is {value!r}"
        for key, value in asked.items()
        if key in before and before[key] != value
    ]
    if differs:
        msg = (
            f"--out {out} holds clips that were mined otherwise: {'; '.join(differs)}. Their "
            "events would stand beside those of today: set it back, or name another folder."
        )
        raise OptionError(msg)
    write_text(out / ASKED, json.dumps({"format": FORMAT, "asked": asked}, indent=1) + "\n")


def model_hash(model: str) -> str:
    """Return what tells one model or export from another, 16 digits of its files' SHA-256.

    Args:
        model: as `--model` takes it.

    Raises:
        DataError: there is none.
    """
    folder = Path(model) if is_export(Path(model)) else folder_of(model)
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".md":
            digest.update(os.fsencode(path.name))
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _read(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return dict(held["asked"]) if held["format"] == FORMAT else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
