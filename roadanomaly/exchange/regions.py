"""The pixels of each component of a mask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from roadanomaly.types import Component


def number_regions(mask: np.ndarray, components: Sequence[Component]) -> np.ndarray:
    """Number the pixels of each component.

    Two 8-connected regions never share a box: a path from its left to its right would have to
    cross one from its top to its bottom. So the box says which region a component is.

    Args:
        mask: `(H, W)` bool, of `find_components`.
        components: of the same call.

    Returns:
        `(H, W)` int32: 0 where there is none, else the component's place in the list, from 1.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    place_of = {component.box: place for place, component in enumerate(components, 1)}
    places = [place_of.get((int(x), int(y), int(w), int(h)), 0) for x, y, w, h, _ in stats]
    numbers = np.array(places, np.int32)[labels]
    numbers[~mask] = 0
    return numbers


def each_region(
    mask: np.ndarray, components: Sequence[Component]
) -> Iterator[tuple[Component, np.ndarray]]:
    """Give each component with its pixels, `(height, width)` bool, cut out by its box.

    Args:
        mask: `(H, W)` bool, of `find_components`.
        components: of the same call.
    """
    numbers = number_regions(mask, components)
    for place, component in enumerate(components, 1):
        x, y, width, height = component.box
        yield component, numbers[y : y + height, x : x + width] == place
