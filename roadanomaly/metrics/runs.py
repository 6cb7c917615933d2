"""A frame's scores as sorted runs of distinct values, in memory or in a file, and their merging."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from roadanomaly.errors import DataError
from roadanomaly.files import write_bytes

STEP = 1024
"""Every so-manieth value of a run is its pivot, by which a part of it is found."""

_ASCENDING = np.concatenate([np.arange(0xFC00, 0x8000, -1), np.arange(0x7C01)])
"""Bit patterns of all halves from minus to plus infinity, without -0."""
_SIGN = np.uint32(1 << 31)


class Part(Protocol):
    """Distinct scores of one class of pixels of one frame."""

    @property
    def pixels(self) -> int:
        """How many pixels, each value counted as often as it occurs."""

    @property
    def pivots(self) -> np.ndarray:
        """Every `STEP`-th value."""

    def between(self, low: float, high: float | None) -> Distinct:
        """Return the values `>= low` and `< high`; None has no upper end."""


@dataclass(frozen=True)
class Distinct:
    """Distinct scores in memory.

    Args:
        values: `(U,)` ascending floats.
        counts: `(U,)` unsigned or signed integers, pixels that have each.
    """

    values: np.ndarray
    counts: np.ndarray

    @property
    def pixels(self) -> int:
        """How many there are, each counted as often as it occurs."""
        return int(self.counts.sum())

    @property
    def pivots(self) -> np.ndarray:
        """Every `STEP`-th value."""
        return self.values[::STEP]

    def between(self, low: float, high: float | None) -> Distinct:
        """Return the values `>= low` and `< high`; None has no upper end."""
        start = np.searchsorted(self.values, low)
        stop = self.values.size if high is None else np.searchsorted(self.values, high)
        return Distinct(self.values[start:stop], self.counts[start:stop])


@dataclass(frozen=True)
class Stored:
    """Distinct scores in a file.

    Args:
        path: the file.
        values: type and byte offset of the values in it.
        counts: type and byte offset of the counts.
        size: how many values.
        pixels: how many pixels.
        pivots: every `STEP`-th value.
    """

    path: Path
    values: tuple[np.dtype, int]
    counts: tuple[np.dtype, int]
    size: int
    pixels: int
    pivots: np.ndarray = field(repr=False)

    def between(self, low: float, high: float | None) -> Distinct:
        """Read the values `>= low` and `< high`, and no others but a few near both ends."""
        start = max(int(np.searchsorted(self.pivots, low)) - 1, 0) * STEP
        stop = self.size
        if high is not None:
            stop = min(int(np.searchsorted(self.pivots, high)) * STEP, self.size)
        near = Distinct(*(self._read(kind, start, stop) for kind in (self.values, self.counts)))
        part = near.between(low, high)
        return Distinct(part.values.copy(), part.counts.copy())  # and let the rest go

    def _read(self, kind: tuple[np.dtype, int], start: int, stop: int) -> np.ndarray:
        dtype, offset = kind
        count = max(stop - start, 0)
        return np.fromfile(self.path, dtype, count, offset=offset + start * dtype.itemsize)


@dataclass(frozen=True)
class Run:
    """One frame's counted scores.

    Args:
        positive: of anomaly pixels.
        negative: of inlier pixels.
    """

    positive: Part
    negative: Part


def frame_run(score: np.ndarray, label: np.ndarray) -> Run:
    """Sort one frame's scores by class.

    Args:
        score: `(H, W)` float16, float32 or float64 without NaN.
        label: `(H, W)` uint8 of 0, 1, 255.
    """
    return Run(distinct(score[label == 1]), distinct(score[label == 0]))


def distinct(values: np.ndarray) -> Distinct:
    """Sort and count `(N,)` floats; halves by their bit patterns. -0 counts as 0."""
    if values.dtype == np.float16:
        counted = np.bincount(values.view(np.uint16), minlength=1 << 16)
        counted[0] += counted[0x8000]
        counts = counted[_ASCENDING]
        there = np.flatnonzero(counts)
        found = _ASCENDING[there].astype(np.uint16).view(np.float16)
        return Distinct(found, counts[there])
    ascending = np.sort(values) + values.dtype.type(0)
    first = _first_of_equals(ascending)
    return Distinct(ascending[first], np.diff(first, append=ascending.size))


def _first_of_equals(ascending: np.ndarray) -> np.ndarray:
    if not ascending.size:
        return np.empty(0, np.int64)
    return np.flatnonzero(np.append(True, ascending[1:] != ascending[:-1]))


def merge(parts: Sequence[Distinct]) -> Distinct:
    """Join distinct scores of several frames, counts in int64."""
    parts = [part for part in parts if part.values.size]
    if not parts:
        return Distinct(np.empty(0), np.empty(0, np.int64))
    values = np.concatenate([part.values for part in parts])
    counts = np.concatenate([part.counts.astype(np.int64) for part in parts])
    if len(parts) == 1:
        return Distinct(values, counts)
    values, counts = _sort_together(values, counts)
    first = _first_of_equals(values)
    return Distinct(values[first], np.add.reduceat(counts, first))


def _sort_together(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort values with their counts; up to 32 bits as one integer a pair, which is faster."""
    if values.dtype == np.float64 or counts.max() >> 32:
        order = np.argsort(values, kind="stable")
        return values[order], counts[order]
    bits = values.astype(np.float32).view(np.uint32)
    keys = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    pairs = (keys.astype(np.uint64) << np.uint64(32)) | counts.astype(np.uint64)
    pairs.sort()
    keys = (pairs >> np.uint64(32)).astype(np.uint32)
    bits = np.where(keys & _SIGN, keys & ~_SIGN, ~keys)
    return bits.view(np.float32), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)


def write_run(path: Path, run: Run) -> None:
    """Write a frame's run, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    content = io.BytesIO()
    for part in (run.positive, run.negative):
        held = part.between(-np.inf, None)
        counts = held.counts.astype(np.min_scalar_type(int(held.counts.max(initial=0))))
        for array in (held.values, counts, held.values[::STEP], np.array([held.pixels])):
            np.save(content, array)
    write_bytes(path, content.getvalue())


def open_run(path: Path) -> Run:
    """Open a run that `write_run` wrote; its values are read when they are asked for.

    Raises:
        DataError: the file is missing or broken.
    """
    try:
        with path.open("rb") as file:
            return Run(_open_part(path, file), _open_part(path, file))
    except (OSError, ValueError, EOFError) as error:
        msg = f"{path} is broken ({error}); run the evaluation again."
        raise DataError(msg) from error


def _open_part(path: Path, file: io.BufferedReader) -> Stored:
    values, size = _skip_array(file)
    counts, _ = _skip_array(file)
    pivots, pixels = np.load(file), np.load(file)
    return Stored(path, values, counts, size, int(pixels[0]), pivots)


def _skip_array(file: io.BufferedReader) -> tuple[tuple[np.dtype, int], int]:
    """Return type and offset of the array that begins here, and its size, and step over it."""
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    offset = file.tell()
    file.seek(offset + shape[0] * dtype.itemsize)
    return (dtype, offset), shape[0]
