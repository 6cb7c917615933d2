"""Write a small folder of files, such as a saved model, whole or not at all.

The new folder is written beside the old one. Two renames put it in its place; a kill between them
leaves the old one under a hidden name, where readers find it (`standing`) and the next writer puts
it back.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from roadanomaly.errors import UserError
from roadanomaly.files import PARTIAL
from roadanomaly.ledger import JUNK

try:
    import fcntl
except ImportError:  # a system without POSIX: two writers are not kept apart there
    fcntl = None  # type: ignore[assignment]


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder beside the old one, then put it in its place.

    Of two writers at a time one waits for the other.

    Args:
        folder: where to; one that holds the same kind of files is replaced.
        files: name to content; the description, `<kind>.json` with a `format`, marks the kind.

    Raises:
        UserError: it cannot be written, or holds files that are not of that kind, which would be
            lost.
    """
    target = folder.resolve()
    old = _older(target)
    with _told(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.parent) as alone, _partial(target, alone=alone) as partial:
            _require_kinds(target, files)
            if old.exists() and not target.exists():
                old.rename(target)
            for name, content in files.items():
                (partial / name).write_bytes(content)
            shutil.rmtree(old, ignore_errors=True)
            if target.exists():
                target.rename(old)
            partial.rename(target)
            shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _told(target: Path) -> Iterator[None]:
    """Say what could not be written.

    Raises:
        UserError: for the system's refusal.
    """
    try:
        yield
    except OSError as error:
        msg = (
            f"the files of {target.name} cannot be written to {target}: {error.strerror}. Choose "
            "another output folder, or make the one that this lies in writable."
        )
        raise UserError(msg) from error


def require_replaceable(folder: Path, files: Collection[str]) -> None:
    """Refuse, before any work is done, what `write_folder` would refuse.

    Args:
        folder: where to.
        files: names that will be written.

    Raises:
        UserError: it is a file, holds files that are not of that kind, or cannot be written.
    """
    target = folder.resolve()
    _require_kinds(target, files)
    with _told(target):
        nearest = next(place for place in target.parents if place.exists())
        tempfile.TemporaryDirectory(PARTIAL, f".{target.name}.", nearest).cleanup()


def _require_kinds(target: Path, files: Collection[str]) -> None:
    for place in (target, _older(target)):
        _require_kind(place, files)


def standing(folder: Path) -> Path:
    """Return where a folder's files lie: in it, or where a writer that was killed left them."""
    old = _older(folder.resolve())
    return old if not folder.exists() and old.is_dir() else folder


def _older(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


@contextlib.contextmanager
def _alone(parent: Path) -> Iterator[bool]:
    """Keep other writers out of a folder; yields whether its file system can do that."""
    if fcntl is None:
        yield False
        return
    handle = os.open(parent, os.O_RDONLY)
    try:
        able = False
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
            able = True
        yield able
    finally:
        os.close(handle)


@contextlib.contextmanager
def _partial(target: Path, *, alone: bool) -> Iterator[Path]:
    """Make a folder beside the target that no other writer uses; it is gone afterwards.

    Where no other writer can be at work, what killed ones left is removed first.
    """
    prefix = f".{target.name}."
    if alone:
        for left in target.parent.glob(f"{glob.escape(prefix)}*{PARTIAL}"):
            shutil.rmtree(left, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(PARTIAL, prefix, target.parent))
    try:
        mask = os.umask(0)
        os.umask(mask)
        partial.chmod(0o777 & ~mask)
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _require_kind(place: Path, files: Collection[str]) -> None:
    """Refuse a folder that holds anything but files of these names with their description.

    What file browsers leave there counts for nothing.

    Raises:
        UserError: names a file of it.
    """
    held = [one.name for one in place.iterdir() if one.name not in JUNK] if place.is_dir() else []
    if place.exists() and not place.is_dir():
        msg = f"nothing can be written to {place}: it is a file. Give a folder."
        raise UserError(msg)
    others = [name for name in held if name not in files]
    descriptions = [name for name in files if name.endswith(".json")]
    if not held or (not others and any(_is_description(place / name) for name in descriptions)):
        return
    msg = (
        f"nothing can be written to {place}: it holds other files ({min(others or held)}), which "
        "would be lost. Give a folder of its own."
    )
    raise UserError(msg)


def _is_description(path: Path) -> bool:
    try:
        held = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(held, dict) and "format" in held
