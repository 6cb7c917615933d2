"""A generator in a folder: `generator.json`, `weights.safetensors`; no code runs on loading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roadanomaly.generators import GENERATORS
from roadanomaly.generators.base import Generator
from roadanomaly.store import PartStore

CLASSES = "classes"
"""Key of the record: names of the classes that were learned, in their order."""

STORE = PartStore(GENERATORS, "`roadanomaly train generator`")


def save_generator(
    generator: Generator, folder: Path, record: dict[str, Any] | None = None
) -> None:
    """Write a generator into a folder, whole or not at all; one that is there is replaced.

    Raises:
        UserError: the folder cannot be written, or holds files of other kinds.
    """
    STORE.save(generator, generator.options(), folder, {**(record or {}), CLASSES: generator.names})


def load_generator(folder: str | Path) -> Generator:
    """Load what `save_generator` wrote, in inference mode; a run folder works too.

    Raises:
        DataError: no generator there, or a broken one.
    """
    generator = STORE.load(folder)
    names = STORE.record(folder).get(CLASSES)
    generator.names = tuple(map(str, names)) if isinstance(names, list) else ()
    return generator
