"""What an export set out to do, kept in its folder so that only the same one continues it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from roadanomaly.errors import DataError, UserError
from roadanomaly.files import write_text
from roadanomaly.locks import LOCK

WORK = ".export"
"""Folder of the plan and of the kept scores, below the export's own; gone when it is whole."""

CARD = "submission.json"


class State(Enum):
    """How far an export is."""

    NEW = "new"
    BEGUN = "begun"
    WHOLE = "whole"


def fingerprint(paths: Mapping[str, Path]) -> str:
    """Return a digest of ids, names, sizes and modification times of files, 16 digits."""
    digest = hashlib.sha256()
    for key in sorted(paths):
        status = paths[key].stat()
        entry = f"{key}\0{paths[key].name}\0{status.st_size}\0{status.st_mtime_ns}\n"
        digest.update(os.fsencode(entry))
    return digest.hexdigest()[:16]


def find_state(out: Path, plan: Mapping[str, Any]) -> State:
    """Tell whether a folder is free for an export, or holds this very one.

    Args:
        out: the export's folder.
        plan: plain values that say what is exported.

    Raises:
        UserError: it holds another export, or files that are of none.
    """
    if (out / CARD).exists():
        _require_same(out, _read(out / CARD).get("plan", {}), plan)
        return State.WHOLE
    if (out / WORK / "plan.json").exists():
        _require_same(out, _read(out / WORK / "plan.json"), plan)
        return State.BEGUN
    if out.exists() and not out.is_dir():
        msg = f"--out {out} is a file; give a folder."
        raise UserError(msg)
    held = sorted(path.name for path in out.iterdir()) if out.exists() else []
    held = [name for name in held if name not in (WORK, LOCK)]
    if held:
        msg = (
            f"--out {out} holds files that are of no export ({', '.join(held[:3])}); give an "
            "empty folder or a new one."
        )
        raise UserError(msg)
    return State.NEW


def begin(out: Path, plan: Mapping[str, Any]) -> None:
    """Write the plan.

    Raises:
        UserError: the folder cannot be written.
    """
    write_text(out / WORK / "plan.json", json.dumps(plan, indent=1) + "\n")


def restart(out: Path, plan: Mapping[str, Any]) -> None:
    """Remove an export, whole or begun, and nothing else; begin with another plan in its place.

    Raises:
        UserError: something cannot be removed.
    """
    plans = [out / WORK / "plan.json", out / CARD]
    found = next((path for path in plans if path.exists()), None)
    if found is None:
        return
    contents = _contents(found)
    try:
        for name in [CARD, *contents, WORK]:
            path = out / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        msg = f"{error.filename} cannot be removed: {error.strerror}. Give another --out."
        raise UserError(msg) from error
    begin(out, plan)


def _contents(card: Path) -> list[str]:
    """Return the names that a plan or card says are the export's own.

    Raises:
        DataError: it is no export's, or names something outside its folder.
    """
    read = _read(card)
    plan = read.get("plan", read)
    names = plan.get("contents") if isinstance(plan, dict) else None
    if not isinstance(names, list) or not all(_is_child(name) for name in names):
        msg = (
            f"{card} was not written by `export submission`, so nothing of it is removed; give "
            "another --out."
        )
        raise DataError(msg)
    return names


def _is_child(name: object) -> bool:
    return isinstance(name, str) and name not in ("", ".", "..") and "/" not in name


def _read(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        msg = f"{path} cannot be read ({error}); delete the folder, or give another --out."
        raise DataError(msg) from error
    return held if isinstance(held, dict) else {}


def _require_same(out: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    first, second = _flat(before), _flat(json.loads(json.dumps(now)))
    for key in first | second:
        if key != "contents" and first.get(key) != second.get(key):
            msg = (
                f"--out {out} holds an export of something else: {key} was {first.get(key)!r} and "
                f"is {second.get(key)!r} now. Give another --out, or begin anew with --restart, "
                "which removes that export."
            )
            raise UserError(msg)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key} ")
        else:
            flat[prefix + key] = value
    return flat
