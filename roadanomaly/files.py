"""Find files by what users type; write a file whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from roadanomaly.errors import DataError, UserError

STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}
"""Names of open files of every process, and their numbers."""

PARTIAL = ".partial"
"""How the names of files end that are not whole yet."""


def expanded(path: str | Path) -> Path:
    """Return a path from the home folder that `~` names; of a user who has none, as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no home folder
        return Path(path)


def file_name(text: str) -> str:
    """Return a file name for any text; slashes and the like are written as in an address.

    >>> file_name("seq 1/frame:7")
    'seq 1%2Fframe%3A7'
    """
    name = quote(text, safe=" ()+,=@", errors="surrogateescape")
    return name if len(name) <= LONGEST else _cut(name, text)


def shortened(name: str) -> str:
    """Return a file name that leaves room for an ending; one that was cut ends in a hash of it."""
    return name if len(os.fsencode(name)) <= LONGEST else _cut(name, name)


def _cut(name: str, text: str) -> str:
    kept = os.fsencode(name)[: LONGEST - 20].decode(errors="ignore")
    return f"{kept}-{hashlib.sha256(os.fsencode(text)).hexdigest()[:16]}"


LONGEST = 200
"""Bytes of a name without its endings; file systems take 255 bytes, endings included."""


def readable(name: str) -> str:
    """Return text that any program takes; a file name's bytes that are no UTF-8 are escaped."""
    return name.encode(errors="backslashreplace").decode()


def in_words(size: float) -> str:
    """Write a number of bytes for people.

    >>> in_words(30_400_000), in_words(2_000_000_000)
    ('30.4 MB', '2.0 GB')
    """
    unit, name = next((u for u in UNITS if size >= u[0]), UNITS[-1])
    return f"{size / unit:.1f} {name}"


UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "bytes"))


def files_in(folder: Path, suffixes: Sequence[str], *, recursive: bool = False) -> list[Path]:
    """Return a folder's files of some endings (lower case), sorted by path.

    None that is hidden, nor one of a hidden folder below: programs keep copies and rests in these.
    """
    found = folder.rglob("*") if recursive else folder.iterdir()
    wanted = (path for path in found if _is_wanted(path, suffixes))
    return sorted(path for path in wanted if not _is_hidden(path.relative_to(folder)))


def files_named(
    words: Sequence[str], suffixes: Sequence[str], what: str, *, recursive: bool = False
) -> list[Path]:
    """Return the files that files, folders and globs name, each once, in order.

    Args:
        words: a file that is named itself may have any ending.
        suffixes: of the files that folders and globs stand for, in lower case.
        what: such a file is, for the message.
        recursive: whether a folder stands for what lies in its folders, too.

    Raises:
        DataError: a word that names none, or a pipe, which may never end.
    """
    found: dict[Path, None] = {}
    for word in words:
        path = Path(word)
        if path.is_dir():
            paths = files_in(path, suffixes, recursive=recursive)
        elif path.is_fifo():
            msg = (
                f"{word!r} is a pipe, and may never end; write the {what} to a file, and name that."
            )
            raise DataError(msg)
        elif path.exists():
            paths = [path]
        else:
            matches = sorted(map(Path, glob.glob(word, recursive=True)))  # noqa: PTH207
            paths = [match for match in matches if _is_wanted(match, suffixes)]
        if not paths:
            missing = "" if path.exists() or glob.has_magic(word) else "; it does not exist"
            msg = (
                f"{word!r} names no {what}{missing}; give files, folders or quoted globs of "
                f"{', '.join(suffixes)}."
            )
            raise DataError(msg)
        found |= dict.fromkeys(paths)
    return list(found)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _is_wanted(path: Path, suffixes: Sequence[str]) -> bool:
    return path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a hidden neighbour to write into; it becomes `path` once the block has ended well.

    Raises:
        UserError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        msg = (
            f"{path} cannot be written: {_reason(path, error)}. Choose another output folder, "
            "or make this one writable and see that it has room."
        )
        raise UserError(msg) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _reason(path: Path, error: OSError) -> str:
    taken = next((parent for parent in path.parents if parent.is_file()), None)
    return f"{taken} is a file, not a folder" if taken else error.strerror or str(error)


def is_stream(path: Path) -> bool:
    """Whether a path is written as it stands, and never replaced: a device, a pipe, an open file.

    `/dev/stdout` is one also where a shell leads it into a file, which holds what was printed.
    """
    special = path.exists() and not path.is_file() and not path.is_dir()
    return special or _descriptor(path) is not None


def _descriptor(path: Path) -> int | None:
    """Return the number of the open file that a path names, or None."""
    if str(path) in STANDARD:
        return STANDARD[str(path)]
    listed = str(path.parent) in ("/dev/fd", "/proc/self/fd")
    return int(path.name) if listed and path.name.isdecimal() else None


def write_bytes(path: Path, content: bytes) -> None:
    """Write beside `path`, then rename; folders are made. A device or a pipe is written directly.

    Raises:
        UserError: it cannot be written.
    """
    if not is_stream(path):
        with replacing(path) as partial:
            partial.write_bytes(content)
        return
    try:
        with _opened(path) as stream:
            _write_all(stream, content)
    except OSError as error:
        msg = f"{path} cannot be written: {_reason(path, error)}. Choose another place for it."
        raise UserError(msg) from error


def _opened(path: Path) -> io.FileIO:
    """Open a device or a pipe; an open file goes on where it is, or others would write over it."""
    number = _descriptor(path)
    return io.FileIO(path if number is None else os.dup(number), "w")


def _write_all(stream: io.FileIO, content: bytes) -> None:
    """Write all of it, where a pipe may take a part at a time."""
    left = memoryview(content)
    while left:
        left = left[stream.write(left) :]


def check_writable(path: Path) -> None:
    """Refuse an output before the work for it begins; a file that is there stays as it is.

    Raises:
        UserError: it cannot be written.
    """
    if is_stream(path):
        if not os.access(path, os.W_OK):
            msg = f"{path} cannot be written: it is missing or closed to you. Name a file."
            raise UserError(msg)
        return
    if path.is_dir():
        msg = f"{path} is a folder, and a file is to be written. Name a file in it, or beside it."
        raise UserError(msg)
    is_new = not path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
        if is_new:
            path.unlink()
    except OSError as error:
        msg = f"{path} cannot be written: {_reason(path, error)}. Choose another place for it."
        raise UserError(msg) from error


def remove_partial(folder: Path) -> None:
    """Remove what writers that were killed left below a folder."""
    for path in folder.rglob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8; bytes of file names that are none are escaped.

    Raises:
        UserError: it cannot be written.
    """
    write_bytes(path, readable(text).encode())


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array as `.npy`.

    Raises:
        UserError: it cannot be written.
    """
    content = io.BytesIO()
    np.save(content, array)
    write_bytes(path, content.getvalue())
