"""What lies ready for a command, and the ways to spoil it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np

Words = list[str]


@dataclass
class Bench:
    """What lies ready for a command, all of it in order.

    Args:
        root: holds `dataset_AnomalyTrack/`, whose ten validation frames are labelled.
        maps: a score map of each of these frames, `<id>.hdf5`.
        out: an evaluation's folder with an earlier result.
        model: folder of a saved model.
    """

    root: Path
    maps: Path
    out: Path
    model: Path

    @property
    def track(self) -> Path:
        return self.root / "dataset_AnomalyTrack"

    def map(self, number: int = 0, suffix: str = ".hdf5") -> Path:
        return self.maps / f"validation{number:04d}{suffix}"

    def stored(self, *words: object) -> Words:
        """Evaluate the score maps."""
        return self.evaluate("--scores", self.maps, "--root", self.root, *words)

    def modelled(self, *words: object) -> Words:
        """Evaluate the model."""
        return self.evaluate(self.model, "--root", self.root, *words)

    def evaluate(self, *words: object) -> Words:
        named = [] if "--on" in words else ["--on", "smiyc-anomaly"]
        out = [] if "--out" in words else ["--out", self.out]
        return ["evaluate", *map(str, [*words, *named, *out])]


def write_map(path: Path, score: np.ndarray, key: str = "value") -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset(key, data=score)


def halves(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float16).reshape(shape)


def truncate(path: Path, share: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@dataclass(frozen=True)
class Case:
    """One mistake.

    Args:
        name: what is wrong.
        spoil: makes it, and returns the command line.
        says: what the message holds.
    """

    name: str
    spoil: Callable[[Bench], Words]
    says: tuple[str, ...]


def case(name: str, *says: str) -> Callable[[Callable[[Bench], Words]], Case]:
    """Turn a function into a case."""
    return lambda spoil: Case(name, spoil, says)


def cases(module: ModuleType) -> list[Case]:
    """Return every mistake of a file."""
    return [value for value in vars(module).values() if isinstance(value, Case)]
