"""Cut-outs that are cut out already: PNG files with an alpha channel."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import numpy as np

from roadanomaly.data.cutouts.base import CutoutReader, Entry, crop, refuse_empty
from roadanomaly.data.images import read_alpha
from roadanomaly.errors import DataError
from roadanomaly.files import files_in

PNG = (".png",)


class RgbaCutouts(CutoutReader):
    """A folder of RGBA PNG files, one object each; a sub-folder's name is its objects' class.

    Files right in the folder are of the class `object`. Soft alpha stays soft.
    """

    format: ClassVar[str] = "rgba"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        for path in files_in(root, PNG, recursive=True):
            if self.usable(path):
                self._add(path)
        self.names = tuple(sorted({entry.category for entry in self.entries}))
        refuse_empty(self, "it needs PNG files with an alpha channel that is not empty")

    @staticmethod
    def matches(root: Path) -> bool:
        """Say whether the folder's first PNG has an alpha channel."""
        first = next(iter(files_in(root, PNG, recursive=True)), None)
        with suppress(DataError):
            return first is not None and read_alpha(first) is not None
        return False

    def _add(self, path: Path) -> None:
        try:
            alpha = read_alpha(path)
        except DataError:
            self.skip("damaged image", path)
            return
        if alpha is None:
            self.skip("no alpha channel", path)
            return
        box = crop(alpha[..., None], alpha)
        if box is None:
            self.skip("empty alpha channel", path)
            return
        category = "object" if path.parent == self.root else path.parent.name
        self.entries.append(Entry(path, 0, category, box.alpha.size / alpha.size))

    def mask(self, entry: Entry, height: int, width: int) -> np.ndarray:
        """Return the alpha channel."""
        alpha = read_alpha(entry.image)
        return np.zeros((height, width), np.uint8) if alpha is None else alpha
