"""In which order things are painted, so that the nearer always covers the farther."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roadanomaly.streets.camera import Camera
from roadanomaly.streets.thing import Thing

SIGNS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def painting_order(things: Sequence[Thing], camera: Camera) -> list[Thing]:
    """Sort things from far to near.

    Of two things that share image columns, one goes before the other if all of it lies farther
    along the road, or if they stand side by side and it lies farther out on the same side of the
    camera. What neither rule orders goes by where it ends.
    """
    if not things:
        return []
    far, waits, before = _constraints(things, camera)
    order = []
    left = far.copy()
    for _ in things:
        free = np.where(waits == 0, left, -np.inf)
        index = int(free.argmax())
        if free[index] == -np.inf:
            index = int(left.argmax())
        order.append(things[index])
        left[index] = -np.inf
        waits -= before[index]
    return order


def _constraints(
    things: Sequence[Thing], camera: Camera
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each ends `(N,)`, how many it waits for `(N,)`, who goes before whom `(N, N)`."""
    boxes = np.array([(thing.x - camera.x, thing.s, *thing.half) for thing in things])
    x, s, across, along = boxes.T
    near, far = s - along, s + along
    beyond = near[:, None] >= far[None]
    beside = ~beyond & ~beyond.T
    right = (x - across)[:, None] >= np.maximum((x + across)[None], 0)
    left = (x + across)[:, None] <= np.minimum((x - across)[None], 0)
    before = (beyond | (beside & (right | left))) & _shared_columns(things, camera)
    np.fill_diagonal(before, val=False)
    return far, before.sum(0), before


def _shared_columns(things: Sequence[Thing], camera: Camera) -> np.ndarray:
    """Which pairs may overlap in the picture, `(N, N)` bool."""
    corners = np.array(
        [
            [(thing.x + a * thing.reach, 0.0, thing.s + b * thing.half[1]) for a, b in SIGNS]
            for thing in things
        ]
    )
    columns = camera.project(corners)[0][..., 0]
    low, high = columns.min(1), columns.max(1)
    return (low[:, None] <= high[None]) & (low[None] <= high[:, None])
