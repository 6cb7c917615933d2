"""Outlines hold the pixels of their region and no other, counted by crossings."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from roadanomaly.exchange.outlines import area, outlines


def filled(rings, shape):
    """Return the pixels whose centres lie inside, by how many edges lie to their left."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    inside = np.zeros(shape, bool)
    for ring in rings:
        for (ax, ay), (bx, by) in pairwise(ring):
            assert (ax == bx) != (ay == by)
            inside ^= (ax == bx) & (ax < columns) & (min(ay, by) < rows) & (rows < max(ay, by))
    return inside


@pytest.mark.parametrize("seed", range(30))
def test_polygons_hold_the_region_s_pixels(seed):
    rng = np.random.default_rng(seed)
    region = rng.random(rng.integers(1, 14, 2)) < rng.random()
    polygons = outlines(region)
    assert len(polygons) == ndimage.label(region)[1]
    total = np.zeros(region.shape, int)
    for polygon in polygons:
        total += filled(polygon, region.shape)
        assert area(polygon[0]) > 0
        assert all(area(hole) < 0 for hole in polygon[1:])
        assert all(len(set(ring)) == len(ring) - 1 for ring in polygon)
    np.testing.assert_array_equal(total, region)
    assert sum(area(ring) for polygon in polygons for ring in polygon) == region.sum()


@pytest.mark.parametrize("seed", range(30))
def test_a_hole_lies_in_the_smallest_outer_ring_around_it(seed):
    rng = np.random.default_rng(seed)
    region = rng.random(rng.integers(5, 18, 2)) < rng.uniform(0.5, 0.9)
    polygons = outlines(region)
    outer = [polygon[0] for polygon in polygons]
    inside = [filled([ring], region.shape) for ring in outer]
    for polygon in polygons:
        for hole in polygon[1:]:
            within = filled([hole], region.shape)
            around = [k for k in range(len(outer)) if inside[k][within].all()]
            assert outer[min(around, key=lambda k: area(outer[k]))] is polygon[0]


def test_a_ragged_region_of_a_frame_is_traced():
    region = np.random.default_rng(0).random((150, 200)) < 0.75
    polygons = outlines(region)
    assert len(polygons) == ndimage.label(region)[1]
    assert sum(area(ring) for polygon in polygons for ring in polygon) == region.sum()


def test_an_island_in_a_hole_is_a_polygon_of_its_own():
    region = np.ones((7, 7), bool)
    region[1:6, 1:6] = False
    region[3, 3] = True
    around, island = sorted(outlines(region, (10, 20)), key=len, reverse=True)
    assert len(around) == 2
    assert island == [[(13, 23), (14, 23), (14, 24), (13, 24), (13, 23)]]
