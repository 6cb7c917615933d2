"""A folder of score maps, one a frame, matched with the frames of a data set."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from roadanomaly.errors import DataError
from roadanomaly.scores.read import SUFFIXES, read_enlarged, read_map

OFFICIAL = "anomaly_p"
"""Top folder of the official layout, `anomaly_p/<method>/<dset>/<fid>.hdf5`."""

_FISHYSCAPES, _CLASSES = "_anomaly", "_segmentation"
_NEAR = 0.85


@dataclass(frozen=True)
class ScoreFolder:
    """Score maps by frame id; a map is read when it is asked for.

    Args:
        folder: where the maps lie.
        paths: file of each frame.
    """

    folder: Path
    paths: dict[str, Path] = field(repr=False)

    @property
    def ids(self) -> tuple[str, ...]:
        """Frame ids, sorted."""
        return tuple(sorted(self.paths))

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __contains__(self, frame_id: object) -> bool:
        return frame_id in self.paths

    def __getitem__(self, frame_id: str) -> np.ndarray:
        return self.read(frame_id)

    def read(self, frame_id: str, size: tuple[int, int] | None = None) -> np.ndarray:
        """Read the map of a frame, `(H, W)` float, enlarged to `size` where it is narrower.

        Raises:
            DataError: there is no such map, or it cannot be used (see `read_map`).
        """
        return read_map(self._path(frame_id), size)

    def read_enlarged(self, frame_id: str, size: tuple[int, int]) -> tuple[np.ndarray, bool]:
        """Read the map of a frame as `read` does, and say whether it was enlarged."""
        return read_enlarged(self._path(frame_id), size)

    def _path(self, frame_id: str) -> Path:
        if frame_id not in self.paths:
            msg = (
                f"{self.folder} has no score map of frame {frame_id!r}; name it `{frame_id}.hdf5` "
                "(or another ending that is read)."
            )
            raise DataError(msg)
        return self.paths[frame_id]

    def check(self, frame_ids: Iterable[str], also: Collection[str] = ()) -> None:
        """Compare the maps with the frames that are to be scored, before any is read.

        Args:
            frame_ids: frames of the split.
            also: further frames whose maps may lie here: the set's other splits.

        Raises:
            DataError: a frame without a map, or a map without a frame; says which look alike.
        """
        wanted = set(frame_ids)
        missing = sorted(wanted - set(self.paths))
        extra = sorted(set(self.paths) - wanted - set(also))
        if not missing and not extra:
            return
        faults = []
        if missing:
            faults.append(f"{len(missing)} of {len(wanted)} frames have no map: {_few(missing)}")
        if extra:
            faults.append(f"{len(extra)} maps belong to no frame: {_few(extra)}")
        alike = _look_alike(missing, extra)
        if alike:
            given, meant = alike
            advice = f"`{given}` looks like `{meant}`: name each file by its frame's id alone."
        elif missing:
            advice = "Write the missing maps, or choose the split that these maps are of."
        else:
            advice = "Take them out, or choose the split that they are of."
        msg = f"{self.folder}: {'; '.join(faults)}. {advice}"
        raise DataError(msg)


def _few(names: list[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _look_alike(missing: list[str], extra: list[str]) -> tuple[str, str] | None:
    """Return an extra name and the missing frame it may be meant for."""
    for name in extra:
        for frame_id in missing:
            if frame_id.lower() in name.lower() or name.lower() in frame_id.lower():
                return name, frame_id
    for name in extra[:10]:
        close = difflib.get_close_matches(name, missing, n=1, cutoff=_NEAR)
        if close:
            return name, close[0]
    return None


def open_scores(folder: str | Path, names: Collection[str] = ()) -> ScoreFolder:
    """Find the score maps of a folder; none is read yet.

    Maps may lie in the folder itself or below it in the official layout,
    `anomaly_p/<method>/<dset>/<fid>.hdf5`, of which any upper part may be left out. Fishyscapes'
    `<id>_anomaly.npy` counts as `<id>`, and its `<id>_segmentation.npy` is passed over.

    Args:
        folder: of the maps, or above them.
        names: names of the data set in the official layout, such as `AnomalyTrack-all`, to choose
            by where there are several.

    Raises:
        DataError: no folder, no map, two maps of a frame, or several folders to choose from.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        msg = f"the folder of score maps {folder} {what}; give the folder that holds the maps."
        raise DataError(msg)
    found = _score_folders(folder)
    if not found:
        seen = sorted({path.suffix or path.name for path in folder.iterdir()})
        held = f"no score map, only {_few(seen)}" if seen else "no file at all"
        msg = (
            f"{folder} holds {held}; score maps are named "
            f"`<frame id>` and end in one of {', '.join(SUFFIXES)}."
        )
        raise DataError(msg)
    chosen = _choose(folder, found, names)
    return ScoreFolder(chosen, _by_id(chosen))


def _maps(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _score_folders(folder: Path) -> list[Path]:
    """Return the folder, or else those of the highest level below it (up to 3) with maps."""
    level = [folder]
    for _ in range(4):
        found = [one for one in level if _maps(one)]
        if found:
            return found
        level = sorted(
            path
            for one in level
            for path in one.iterdir()
            if path.is_dir() and not path.name.startswith(".")
        )
        official = [path for path in level if path.name == OFFICIAL]
        level = official or level
    return []


def _choose(folder: Path, found: list[Path], names: Collection[str]) -> Path:
    named = [path for path in found if path.name in names]
    chosen = named or found
    if len(chosen) == 1:
        return chosen[0]
    listed = [str(path.relative_to(folder)) for path in chosen]
    msg = (
        f"{folder} holds {len(listed)} folders of score maps ({_few(listed)}); give the one to "
        "score, that is one method on one data set."
    )
    raise DataError(msg)


def _by_id(folder: Path) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    maps = _maps(folder)
    endings = (_FISHYSCAPES, _CLASSES)
    fishyscapes = all(path.suffix == ".npy" and path.stem.endswith(endings) for path in maps)
    for path in maps:
        frame_id = path.stem
        if fishyscapes and frame_id.endswith(_CLASSES):
            continue
        if fishyscapes:
            frame_id = frame_id.removesuffix(_FISHYSCAPES)
        if frame_id in paths:
            msg = (
                f"frame {frame_id!r} has two score maps, {paths[frame_id].name} and {path.name}, "
                f"in {folder}; keep one."
            )
            raise DataError(msg)
        paths[frame_id] = path
    return paths
