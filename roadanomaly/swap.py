"""Put a new result in the place of an older one, so that a kill at any point loses neither.

The new result is made whole in `.partial/new/` of its folder. A journal then says what is to be
put where; from that moment the swap can be finished by whoever comes next. The older result waits
in `.partial/old/` until the new one stands. Within a file system renaming needs no room, so a disk
that is full stops nothing half-way.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from roadanomaly.errors import UserError
from roadanomaly.files import write_text
from roadanomaly.locks import holding

WORK = ".partial"
"""Hidden folder of what is not finished yet."""
MARK, JOURNAL = "here", "swap.json"
OWN = ("new", "old")
"""Folders in it of the swap itself; others keep what its command goes on from."""


def open_work(folder: Path) -> Path:
    """Return the hidden folder of what is not finished yet; it is made where there is none.

    Raises:
        UserError: a folder of that name is there that is not this program's.
        OSError: it cannot be written.
    """
    work = folder / WORK
    if work.exists() and not (work / MARK).exists() and any(work.iterdir()):
        msg = (
            f"--out {folder} holds a folder {WORK}, in which unfinished results are kept, and "
            "which is none of this program's. Name another folder, or move that one away."
        )
        raise UserError(msg)
    work.mkdir(parents=True, exist_ok=True)
    (work / MARK).touch()
    return work


def refuse_kept(folder: Path) -> None:
    """Refuse a folder in which an evaluation keeps scored frames that it could go on from.

    Raises:
        UserError: says how to go on.
    """
    work = folder / WORK
    for path in sorted(work.iterdir()) if (work / MARK).exists() else ():
        if path.name not in OWN and any(one.is_file() for one in path.rglob("*")):
            msg = (
                f"--out {folder} holds frames that an unfinished `evaluate` has scored "
                f"({path.relative_to(folder)}), and this command would delete them. Start that "
                "evaluation again, which finishes it, or name another folder with --out."
            )
            raise UserError(msg)


def new_result(folder: Path) -> Path:
    """Return the empty place in which the new result is made; errors as `open_work`."""
    new = open_work(folder) / "new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    return new


def swap(folder: Path, replaced: Iterable[str]) -> None:
    """Put everything that lies in `new_result` into the folder.

    Args:
        folder: of the result; the caller holds it (`locks.holding`).
        replaced: names within the folder that belong to the older result; those that the new one
            lacks are gone afterwards.

    Raises:
        UserError: the folder cannot be written; what was there still stands.
    """
    put = sorted(path.name for path in (folder / WORK / "new").iterdir())
    journal = {"put": put, "drop": sorted(set(replaced) - set(put))}
    shutil.rmtree(folder / WORK / "old", ignore_errors=True)
    write_text(folder / WORK / JOURNAL, json.dumps(journal) + "\n")
    finish(folder)


def settle(folder: Path) -> None:
    """Finish a swap that was cut off, before a result is read; nothing where none was.

    Raises:
        UserError: the folder is in use, or cannot be written.
    """
    if (folder / WORK / JOURNAL).exists():
        with holding(folder, ["(finishing a result)"]):
            finish(folder)


def finish(folder: Path) -> bool:
    """Take the steps of a swap that are left, then clear up; the caller holds the folder.

    Returns:
        whether there was a swap.

    Raises:
        UserError: the folder cannot be written.
    """
    work = folder / WORK
    journal = _read(work / JOURNAL)
    if journal is None:
        return False
    try:
        (work / "old").mkdir(exist_ok=True)
        for name in journal["put"]:
            if (work / "new" / name).exists():
                _put_away(folder, name)
                (work / "new" / name).rename(folder / name)
        for name in journal["drop"]:
            _put_away(folder, name)
        (work / JOURNAL).unlink()
    except OSError as error:
        msg = (
            f"{folder} cannot be written: {error.strerror}. Nothing is lost: the new result waits "
            f"in {work / 'new'}, and the next start puts it in its place."
        )
        raise UserError(msg) from error
    clear(folder)
    return True


def clear(folder: Path) -> None:
    """Remove what is not finished, and its mark last, so that a rest is known again."""
    work = folder / WORK
    for path in work.iterdir() if (work / MARK).exists() else ():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != MARK:
            path.unlink()
    with contextlib.suppress(OSError):
        (work / MARK).unlink()
        work.rmdir()


def _put_away(folder: Path, name: str) -> None:
    if (folder / name).exists():
        (folder / name).rename(folder / WORK / "old" / name)


def _read(path: Path) -> dict[str, list[str]] | None:
    """Return the journal, None where there is none.

    It was written whole or not at all, so a broken one comes from a failing disk or from somebody
    else, and nobody can tell any more which steps are left.

    Raises:
        UserError: it is broken, or names places outside its folder.
    """
    try:
        held = json.loads(path.read_text())
        names = [*held["put"], *held["drop"]]
        outside = any(name in ("", ".", "..") or "/" in name for name in names)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        work, folder = path.parent, path.parent.parent
        msg = (
            f"{path}, which says how a new result takes the place of an older one in {folder}, is "
            f"broken ({type(error).__name__}: {error}). Nothing was deleted: what of the new "
            f"result is not in its place lies in {work / 'new'}, what it replaced in "
            f"{work / 'old'}. Move what is to stand into {folder}, then delete {path}."
        )
        raise UserError(msg) from error
    if outside:
        msg = f"{path} names places outside its folder; delete {path.parent}."
        raise UserError(msg)
    return {"put": list(held["put"]), "drop": list(held["drop"])}
