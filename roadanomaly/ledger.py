"""What this program wrote into a folder, so that nothing else is ever replaced there."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath

from roadanomaly.errors import UserError
from roadanomaly.files import write_text

LEDGER = ".roadanomaly.json"
FORMAT = 1
JUNK = (".DS_Store", "Thumbs.db", "desktop.ini")
"""What file browsers leave in folders that somebody looked into."""


class Ledger:
    """The list of the files that were written into an output folder, kept in a hidden file there.

    Names are put down before the files are written, so a killed program leaves none out. A name
    that ends in a slash stands for all that a folder holds.

    Args:
        folder: of the outputs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LEDGER

    def names(self) -> set[str]:
        """Return the paths of the files below the folder, with slashes; none where it is broken."""
        try:
            held = json.loads(self.path.read_text())
            return {str(name) for name in held["files"]} if held["format"] == FORMAT else set()
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return set()

    def add(self, names: Iterable[str]) -> None:
        """Put further files down.

        Raises:
            UserError: the folder cannot be written.
        """
        known = self.names()
        if not known.issuperset(added := set(names)):
            self.write(known | added)

    def write(self, names: Iterable[str]) -> None:
        """Put down these files and no others.

        Raises:
            UserError: the folder cannot be written.
        """
        held = {"format": FORMAT, "written_by": "roadanomaly", "files": sorted(names)}
        write_text(self.path, json.dumps(held, indent=0) + "\n")

    def claim(self, names: Collection[str], own: Collection[str] = ()) -> None:
        """Refuse to replace what somebody else put into the folder; then put the names down.

        Args:
            names: files that will be written.
            own: further files of the folder that are known to be this program's.

        Raises:
            UserError: one of them is there and is not known, or the folder cannot be written.
        """
        self.refuse_strangers(names, own)
        self.add(names)

    def refuse_strangers(self, names: Iterable[str], own: Collection[str] = ()) -> None:
        """Refuse a folder in which a file would be replaced that this program did not write.

        Args:
            names: files and folders that will be replaced.
            own: further files that are known to be this program's.

        Raises:
            UserError: names the first such file.
        """
        known: set[str] | None = None
        for name in names:
            for found in self._below(name):
                known = self.names() | set(own) if known is None else known
                if not _is_known(found, known):
                    raise UserError(self._refusal(found))

    def holds(self, name: str) -> bool:
        """Whether this program wrote a file, or a folder (`name/`), and it is still there."""
        return (self.folder / name).exists() and name in self.names()

    def refuse_results(self, of: Mapping[str, str]) -> None:
        """Refuse a folder that holds the results of another command, which share names with ours.

        Args:
            of: what such a folder holds, in words, by a name that only that command writes.

        Raises:
            UserError: says what it holds.
        """
        for name, what in of.items():
            if self.holds(name):
                msg = (
                    f"--out {self.folder} holds {what} ({name}), and this command would replace "
                    "part of that. Name another folder with --out."
                )
                raise UserError(msg)

    def _below(self, name: str) -> list[str]:
        """Return the files that a name stands for; a folder without any stands for nothing."""
        path = self.folder / name
        if path.is_dir() and not path.is_symlink():
            below = sorted(path.rglob("*"))
            return [
                one.relative_to(self.folder).as_posix()
                for one in below
                if (one.is_symlink() or not one.is_dir()) and not _is_junk(one)
            ]
        return [name] if path.is_symlink() or path.exists() else []

    def _refusal(self, name: str) -> str:
        return (
            f"--out {self.folder} holds {name}, which this command would replace and which none of "
            "this program's commands is known to have written there. Name another folder, or move "
            "that file away."
        )


def _is_known(name: str, known: Collection[str]) -> bool:
    """Whether a file is listed, or lies in a folder that is: `folder/`."""
    return name in known or any(f"{one}/" in known for one in _parents(name))


def _parents(name: str) -> list[str]:
    return [parent.as_posix() for parent in PurePosixPath(name).parents]


def _is_junk(path: Path) -> bool:
    return path.name in JUNK or (path.name.startswith(".") and path.name.endswith(".partial"))
