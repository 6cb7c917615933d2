"""Components as polygons in the layout of GeoJSON, in pixels of the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from roadanomaly.exchange.outlines import outlines
from roadanomaly.exchange.regions import each_region
from roadanomaly.types import Component


def feature_collection(mask: np.ndarray, components: Sequence[Component]) -> dict[str, Any]:
    """Return a `FeatureCollection` of plain values, a feature a component, in their order.

    Coordinates are `[x, y]` from the image's upper left corner, `y` downwards, along the edges of
    pixels: the polygons hold a component's pixels and nothing else. Parts that touch at a corner
    alone make a `MultiPolygon`. Rings are turned as RFC 7946 asks, for `x` and `y` as they stand.

    Args:
        mask: `(H, W)` bool, of `find_components`.
        components: of the same call.
    """
    return {
        "type": "FeatureCollection",
        "features": [
            _feature(number, component, region)
            for number, (component, region) in enumerate(each_region(mask, components))
        ],
    }


def _feature(number: int, component: Component, region: np.ndarray) -> dict[str, Any]:
    x, y, width, height = component.box
    polygons = [
        [[list(point) for point in ring] for ring in polygon]
        for polygon in outlines(region, (x, y))
    ]
    if len(polygons) == 1:
        geometry: dict[str, Any] = {"type": "Polygon", "coordinates": polygons[0]}
    else:
        geometry = {"type": "MultiPolygon", "coordinates": polygons}
    properties = component.as_dict()
    del properties["box"]
    return {
        "type": "Feature",
        "id": number,
        "bbox": [x, y, x + width, y + height],
        "geometry": geometry,
        "properties": {"label": "anomaly", **properties},
    }
