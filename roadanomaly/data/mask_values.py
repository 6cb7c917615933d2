"""What the values of anomaly masks mean, told from those that a whole set holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from roadanomaly.data.images import read_label
from roadanomaly.data.roots import shorten
from roadanomaly.errors import DataError

Values = Mapping[str, Sequence[int]]

STANDARD: Values = {"inlier": [0], "anomaly": [1], "ignore": [255]}
"""How most sets draw their masks."""

ROAD_ANOMALY: Values = {"inlier": [0], "anomaly": [2], "ignore": [255]}
"""How RoadAnomaly draws its masks."""

BLACK_AND_WHITE: Values = {"inlier": [0], "anomaly": [255]}
"""How drawing programs save a mask."""

_LOSSY = (".jpg", ".jpeg", ".webp")


def conventions(paths: Iterable[Path]) -> Values:
    """Tell what the values of a set's masks mean, where they leave one reading.

    0 is inlier; 1, or 2 where there is no 1, is anomaly; 255 is ignored, but where the set holds
    only 0 and 255 it is the anomaly. Masks that cannot be read are passed over: they are an error
    when they are asked for.

    Raises:
        DataError: several readings are left; offers the option to give.
    """
    paths = list(paths)
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(_ids, paths))
    examples: dict[int, Path] = {}
    for path, ids in zip(paths, found, strict=True):
        for value in ids:
            examples.setdefault(value, path)
    _refuse_inverted(paths, found)
    seen = set(examples)
    if seen == {0, 255}:
        return BLACK_AND_WHITE
    if seen <= {0, 2, 255} and 2 in seen:
        return ROAD_ANOMALY
    if seen <= {0, 1, 255} and seen != {255}:
        return STANDARD
    raise DataError(_several_readings(seen, examples))


def as_option(values: Values) -> str:
    """Return the values as they are typed on the command line."""
    return f"--data.values '{json.dumps(values)}'"


def _ids(path: Path) -> tuple[int, ...]:
    """Return the values that a mask holds; none where it cannot be read."""
    try:
        label = read_label(path).numpy()
    except DataError:
        return ()
    return tuple(np.flatnonzero(np.bincount(label.ravel(), minlength=256)).tolist())


def _refuse_inverted(paths: Sequence[Path], found: Sequence[tuple[int, ...]]) -> None:
    """Refuse an indexed black-and-white mask whose index 0 is the bright one."""
    for path, ids in zip(paths, found, strict=True):
        if len(ids) != 2 or ids[0] != 0 or path.suffix.lower() != ".png":
            continue
        ground, drawn = _palette(path, ids)
        if ground > drawn >= 0:
            as_seen = {"inlier": [ids[1]], "anomaly": [0]}
            as_stored = {"inlier": [0], "anomaly": [ids[1]]}
            msg = (
                f"the mask {path} is an indexed image whose index 0 is shown brighter than "
                f"{ids[1]}, so it can be read in two ways. Where the bright pixels are the "
                f"anomaly, add {as_option(as_seen)}; where they are the inlier, "
                f"{as_option(as_stored)}."
            )
            raise DataError(msg)


def _palette(path: Path, ids: tuple[int, ...]) -> tuple[int, int]:
    """Return the grey values of two palette entries; -1 where there is no palette, or a colour."""
    with Image.open(path) as image:
        if image.mode != "P":
            return -1, -1
        palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
    used = palette[[one for one in ids if one < len(palette)]]
    if len(used) < 2 or (used != used[:, :1]).any():
        return -1, -1
    return int(used[0, 0]), int(used[1, 0])


def _several_readings(seen: set[int], examples: Mapping[int, Path]) -> str:
    listed = shorten((f"{value} ({examples[value].name})" for value in sorted(seen)), 8)
    start = f"the masks hold the values {listed}, which have no meaning by themselves: "
    if len(seen) > 8 and any(examples[value].suffix.lower() in _LOSSY for value in seen):
        return (
            f"{start}JPEG and WebP change values when they save. Save the masks as PNG again from "
            "their source."
        )
    anomaly = sorted(seen - {0, 255}) or [255]
    offered = {"inlier": [0], "anomaly": anomaly}
    if 255 in seen and anomaly != [255]:
        offered["ignore"] = [255]
    classes = " (class labels instead are read by --data.kind classes)" if len(seen) > 3 else ""
    return (
        f"{start}0 is inlier, 1 or 2 anomaly, 255 ignored, or 0 and 255 alone. Say what they mean "
        f"by the option `values`, for instance {as_option(offered)}{classes}."
    )
