"""The findings of all images of a `predict`: counted, and as the files that `--format` writes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from roadanomaly.errors import NotCalibrated, OptionError, nearest
from roadanomaly.exchange.coco import CocoFiles
from roadanomaly.exchange.cvat import CvatArchive, refuse_doubles
from roadanomaly.files import readable
from roadanomaly.model import Model, Result

FORMATS: Mapping[str, type[CocoFiles] | type[CvatArchive]] = {
    "coco": CocoFiles,
    "cvat": CvatArchive,
}


def formats_of(text: str) -> list[str]:
    """Return the formats that were asked for, each once.

    Raises:
        OptionError: one is unknown.
    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in FORMATS:
            msg = f"--format {name}: {nearest(name, FORMATS)}; several are joined by commas."
            raise OptionError(msg)
    return names


def require_threshold(formats: Sequence[str], model: Model) -> None:
    """Refuse formats of objects where the model has no threshold to find them by.

    Raises:
        NotCalibrated: names what sets one.
    """
    if formats and model.calibration is None:
        msg = (
            f"--format {','.join(formats)} writes the objects above a threshold, and this model "
            "has none: calibrate it with `roadanomaly fit`, or train it with `roadanomaly train`."
        )
        raise NotCalibrated(msg)


class Findings:
    """The findings of all images of a call, counted and in each of the formats asked for.

    Args:
        out: folder to write into.
        formats: out of `FORMATS`.
        paths: of all images; they are named from the folder that holds them all.

    Raises:
        DataError: two images that CVAT could not tell apart.
    """

    def __init__(self, out: Path, formats: Sequence[str], paths: Sequence[Path]) -> None:
        self.files = [FORMATS[name](out) for name in formats]
        self.counts: list[int] = []
        base = os.path.commonpath([path.absolute().parent for path in paths])
        self.named = {
            path: readable(path.absolute().relative_to(base).as_posix()) for path in paths
        }
        if "cvat" in formats:
            refuse_doubles(list(self.named.values()))

    @property
    def names(self) -> list[str]:
        """Of the files that will be written."""
        return [name for file in self.files for name in file.names]

    def add(self, path: Path, result: Result) -> None:
        """Take in what was found on an image."""
        if result.calibration is not None:
            self.counts.append(len(result.components))
        for file in self.files:
            file.add(self.named[path], result.mask, result.components)

    def in_words(self) -> str:
        """Say how much was found, and which files show it; what is missing without a threshold."""
        if not self.counts:
            return "no masks, since the model has no threshold: `roadanomaly fit` sets one"
        objects = sum(self.counts)
        if not objects:
            return "no object above the threshold, *_heat.png shows the scores"
        some = "1 object" if objects == 1 else f"{objects} objects"
        return f"{some} on {sum(map(bool, self.counts))} of them, drawn in *_overlay.png"

    def close(self) -> None:
        """Write the files.

        Raises:
            UserError: the folder cannot be written.
        """
        for file in self.files:
            file.close()
