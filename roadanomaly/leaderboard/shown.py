"""The same frames under every row, as small pictures of their score maps."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from roadanomaly.leaderboard.results import RowResult, Scored
from roadanomaly.report.pictures import heat
from roadanomaly.report.thumbnails import read_frame, read_score

QUALITY = 82


@dataclass(frozen=True)
class Strip:
    """One line of pictures, a `data:` address each; empty where there is none.

    Args:
        title: of the line.
        pictures: one a frame.
        numbers: under them, AP of that frame; NaN where undefined.
    """

    title: str
    pictures: tuple[str, ...]
    numbers: tuple[float, ...]


def strips_of(
    rows: Sequence[RowResult], set_name: str, count: int
) -> tuple[list[str], list[Strip]]:
    """Return the chosen frames' ids, and a strip of the images and one of each row.

    Frames are evenly spaced over those that show an anomaly, the same for all rows; each row's
    first seed is shown. A map's darkest and brightest are those of that row and frame.

    Args:
        rows: in the order of the page.
        set_name: of the set.
        count: of frames.
    """
    shown = [(row, row.scored[set_name][0]) for row in rows if row.scored[set_name]]
    if not shown or not count:
        return [], []
    ids = chosen(shown[0][1], count)
    strips = [_images(shown[0][1], ids)]
    for row, scored in shown:
        by_id = {frame.id: frame.ap for frame in scored.found.per_frame}
        pictures = tuple(_map(scored, name) for name in ids)
        strips.append(Strip(row.title, pictures, tuple(by_id.get(name, math.nan) for name in ids)))
    return ids, strips


def chosen(scored: Scored, count: int) -> list[str]:
    """Return the ids of evenly spaced frames among those that show an anomaly."""
    ids = [frame.id for frame in scored.found.per_frame if frame.curve.tp.sum() > 0]
    places = np.linspace(0, len(ids) - 1, min(count, len(ids))).round().astype(int)
    return [ids[place] for place in places]


def _images(scored: Scored, ids: Sequence[str]) -> Strip:
    pictures = []
    for name in ids:
        found = read_frame(scored.folder, scored.found.set, name)
        pictures.append("" if found is None else _address(found.image, "jpeg"))
    return Strip("image", tuple(pictures), (math.nan,) * len(ids))


def _map(scored: Scored, frame_id: str) -> str:
    """Return a score map in colours; its greys are spread half by value and half by rank."""
    found = read_score(scored.folder, scored.found.set, scored.found.detector, frame_id)
    if found is None:
        return ""
    grey = cv2.imdecode(np.frombuffer(found.grey, np.uint8), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        return ""
    coloured = cv2.cvtColor(heat(grey.astype(np.float32), 0, 255), cv2.COLOR_RGB2BGR)
    content = cv2.imencode(".jpg", coloured, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    return _address(content, "jpeg")


def _address(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
