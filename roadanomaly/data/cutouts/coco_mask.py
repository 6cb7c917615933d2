"""Masks of COCO annotations, by the field's own library: polygons and run lengths of both kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as library

from roadanomaly.data.cutouts.base import alike, unseen

MOST_PIXELS = 1 << 28
"""Of a mask that is laid out."""

FARTHEST = 4
"""Times its image's longer side that a polygon may reach; beyond it the numbers are no pixels."""

Shape = list[np.ndarray] | dict[str, Any]
"""Polygons `(2N,)` in pixels of the annotated image, or run lengths as the library has them."""


class LeftOut(Exception):
    """Why an annotation cannot be used."""


def shape_of(segmentation: object, height: int, width: int) -> Shape:
    """Check a `segmentation`, and bring it into the library's form.

    Args:
        segmentation: a list of polygons, or `{"size": [h, w], "counts": list or text}`.
        height: of the annotated image.
        width: of the annotated image.

    Raises:
        LeftOut: it is none of these, or broken, or nothing of it can be seen.
    """
    if isinstance(segmentation, Mapping):
        return _runs(segmentation, height, width)
    if isinstance(segmentation, Sequence) and segmentation and not isinstance(segmentation, str):
        return _polygons(segmentation, height, width)
    msg = "annotation without a mask"
    raise LeftOut(msg)


def fill(shape: Shape, annotated: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Lay out a mask at image size, `(h, w)` uint8 of 0 and 255; parts are united.

    Args:
        shape: as `shape_of` gives it.
        annotated: `(height, width)` that polygons are given in.
        size: `(h, w)` of the result.
    """
    if isinstance(shape, dict):
        mask = library.decode(shape) * np.uint8(255)
        if mask.shape == size:
            return np.ascontiguousarray(mask)
        return cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST)
    scale = np.array([size[1] / annotated[1], size[0] / annotated[0]])
    scaled = [(points.reshape(-1, 2) * scale).ravel() for points in shape]
    parts = library.frPyObjects(scaled, *size)
    return np.ascontiguousarray(library.decode(library.merge(parts)) * np.uint8(255))


def _polygons(parts: Sequence[Any], height: int, width: int) -> list[np.ndarray]:
    polygons = []
    for part in parts:
        points = np.array(part, np.float64)
        if points.ndim != 1 or len(points) % 2 or not np.isfinite(points).all():
            msg = "polygon that is no list of x, y, x, y ..."
            raise LeftOut(msg)
        if np.abs(points).max(initial=0) > FARTHEST * max(height, width):
            msg = "polygon that lies far outside its image"
            raise LeftOut(msg)
        if len(points) >= 6:
            polygons.append(points)
    if not polygons:
        msg = "polygon of fewer than three points"
        raise LeftOut(msg)
    reasons = [unseen(points.reshape(-1, 2), height, width) for points in polygons]
    if all(reasons):
        msg = f"polygon {reasons[0]}"
        raise LeftOut(msg)
    return polygons


def _runs(given: Mapping[str, Any], height: int, width: int) -> dict[str, Any]:
    counts, size = given.get("counts"), list(given.get("size") or ())
    whole = [type(one) for one in size] == [int, int] and min(size) > 0
    if not whole or size[0] * size[1] > MOST_PIXELS:
        msg = "run lengths without their size"
        raise LeftOut(msg)
    if not alike(size, (height, width)):
        msg = "run lengths of another shape than their image"
        raise LeftOut(msg)
    if isinstance(counts, str):
        lengths = _lengths(counts)
    elif isinstance(counts, list) and all(type(one) is int for one in counts):
        lengths = np.array(counts, np.int64)
    else:
        lengths = np.array([-1])
    if lengths.min(initial=0) < 0 or lengths.sum() != size[0] * size[1]:
        msg = "run lengths that do not fill their image"
        raise LeftOut(msg)
    if not lengths[1::2].any():
        msg = "run lengths of an empty mask"
        raise LeftOut(msg)
    if isinstance(counts, str):
        return {"size": size, "counts": counts.encode()}
    packed: dict[str, Any] = library.frPyObjects({"size": size, "counts": counts}, *size)
    return packed


def _lengths(text: str) -> np.ndarray:
    """Unpack compressed run lengths, to be checked: the library would trust them.

    Five bits a character, lowest first, a sixth says that more follow; the last one's fifth is the
    sign. From the fourth on, a number is the difference to the one two before.
    """
    codes = np.frombuffer(text.encode(), np.uint8).astype(np.int64) - 48
    last = (codes & 32) == 0
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or not last[-1]:
        return np.array([-1])
    ends = np.flatnonzero(last)
    starts = np.r_[0, ends[:-1] + 1]
    digits = np.arange(len(codes)) - np.repeat(starts, ends - starts + 1)
    if digits.max() > 6:
        return np.array([-1])
    values = np.add.reduceat((codes & 31) << (5 * digits), starts)
    values -= np.where(codes[ends] & 16, 1 << (5 * (digits[ends] + 1)), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values
