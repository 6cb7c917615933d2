"""Outlines of a region along the edges of its pixels, with rings for its holes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import cv2
import numpy as np

Point = tuple[int, int]
Edge = tuple[Point, Point]
Ring = list[Point]
"""Corners `(x, y)` in pixels, from corner to corner of the pixel grid; the last is the first."""

Polygon = list[Ring]
"""The outer ring, then those of its holes."""


def outlines(region: np.ndarray, corner: Point = (0, 0)) -> list[Polygon]:
    """Trace a region, so that the polygons hold its pixels and nothing else.

    Pixels that touch at a corner alone lie in separate polygons. Outer rings have a positive area
    by the shoelace formula in `(x, y)`, holes a negative one.

    Args:
        region: `(H, W)` bool.
        corner: `(x, y)` of the region's first pixel in the image.
    """
    _, parts = cv2.connectedComponents(region.astype(np.uint8), connectivity=4)
    found: dict[int, Polygon] = {}
    holes: list[tuple[int, Ring]] = []
    for ring in _chain(_edges(region)):
        part, moved = int(parts[_pixel_of(ring)]), _moved(ring, corner)
        if area(ring) > 0:
            found[part] = [moved]
        else:
            holes.append((part, moved))
    for part, hole in holes:
        found[part].append(hole)
    return list(found.values())


def area(ring: Ring) -> float:
    """Return the signed area of a ring, square pixels.

    >>> area([(0, 0), (2, 0), (2, 3), (0, 3), (0, 0)])
    6.0
    """
    x, y = np.array(ring, float).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


def _edges(region: np.ndarray) -> set[Edge]:
    """Return the edges of pixels between region and rest; going along one, the region is right."""
    padded = np.pad(region, 1)
    inside = padded[1:-1, 1:-1]
    sides = (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),
        (padded[1:-1, 2:], (1, 0), (1, 1)),
        (padded[2:, 1:-1], (1, 1), (0, 1)),
        (padded[1:-1, :-2], (0, 1), (0, 0)),
    )
    return {
        ((x + start[0], y + start[1]), (x + end[0], y + end[1]))
        for neighbour, start, end in sides
        for y, x in np.argwhere(inside & ~neighbour).tolist()
    }


def _chain(edges: set[Edge]) -> Iterator[Ring]:
    """Join edges into closed rings that pass through no point twice."""
    after: dict[Point, list[Edge]] = {}
    ordered = sorted(edges)
    for edge in ordered:
        after.setdefault(edge[0], []).append(edge)
    left = set(edges)
    for edge in ordered:
        path: dict[Point, None] = {}
        while edge in left:
            left.remove(edge)
            if edge[0] in path:
                yield _corners(_loop(path, edge[0]))
            path[edge[0]] = None
            edge = max(after[edge[1]], key=partial(_turn, *edge))
        if path:
            yield _corners(list(path))


def _loop(path: dict[Point, None], meeting: Point) -> list[Point]:
    """Take the points from where a path meets itself out of it."""
    loop = []
    while meeting in path:
        loop.append(path.popitem()[0])
    return loop[::-1]


def _turn(before: Point, here: Point, edge: Edge) -> int:
    """Return a positive number for a turn to the right, a negative one for one to the left."""
    came = (here[0] - before[0], here[1] - before[1])
    goes = (edge[1][0] - here[0], edge[1][1] - here[1])
    return came[0] * goes[1] - came[1] * goes[0]


def _corners(path: list[Point]) -> Ring:
    """Close a path, without the points at which it goes straight on."""
    around = zip([path[-1], *path[:-1]], path, [*path[1:], path[0]], strict=True)
    kept = [here for before, here, after in around if _turn(before, here, (here, after))]
    return [*kept, kept[0]]


def _moved(ring: Ring, corner: Point) -> Ring:
    return [(x + corner[0], y + corner[1]) for x, y in ring]


def _pixel_of(ring: Ring) -> tuple[int, int]:
    """Return row and column of the region's pixel at a ring's first edge."""
    (x0, y0), (x1, y1) = ring[:2]
    right, down = int(np.sign(x1 - x0)), int(np.sign(y1 - y0))
    return y0 + (right + down - 1) // 2, x0 + (right - down - 1) // 2
