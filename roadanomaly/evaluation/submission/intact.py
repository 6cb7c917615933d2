"""Whether the files of an export are still what was written; those that are not are put back."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from roadanomaly.evaluation.submission.archive import sha256
from roadanomaly.files import replacing

_CHUNK = 1 << 20


def digests(out: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of every file that the names stand for, by its path below `out`."""
    return {path.relative_to(out).as_posix(): sha256(path) for path in _files(out, names)}


def changed_files(out: Path, recorded: Mapping[str, str], archive: Path) -> list[str]:
    """Return the files that are gone or hold something else.

    Args:
        out: folder of the export.
        recorded: what `digests` returned; empty for an export that recorded none, whose files
            are compared with the archive.
        archive: that is known to be whole.
    """
    if recorded:
        return [name for name, digest in recorded.items() if not _holds(out / name, digest)]
    with zipfile.ZipFile(archive) as held:
        return [
            entry.filename
            for entry in held.infolist()
            if not entry.is_dir() and not _sums_to(out / entry.filename, entry)
        ]


def put_back(out: Path, names: Sequence[str], archive: Path) -> list[str]:
    """Write files anew from the archive; return those that it does not hold.

    Raises:
        UserError: a file cannot be written.
    """
    with zipfile.ZipFile(archive) as held:
        packed = set(held.namelist())
        for name in names:
            if name in packed:
                with (
                    replacing(out / name) as partial,
                    held.open(name) as source,
                    partial.open("wb") as target,
                ):
                    shutil.copyfileobj(source, target, _CHUNK)
    return [name for name in names if name not in packed]


def _files(out: Path, names: Sequence[str]) -> Iterator[Path]:
    for name in sorted(names):
        path = out / name
        if path.is_file():
            yield path
        below = sorted(path.rglob("*")) if path.is_dir() else []
        yield from (one for one in below if one.is_file() and not one.name.startswith("."))


def _holds(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path) == digest


def _sums_to(path: Path, entry: zipfile.ZipInfo) -> bool:
    if not path.is_file() or path.stat().st_size != entry.file_size:
        return False
    total = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            total = zlib.crc32(chunk, total)
    return total == entry.CRC
