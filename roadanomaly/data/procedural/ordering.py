"""In which order things are painted, so that the nearer always covers the farther."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roadanomaly.data.procedural.camera import Camera
from roadanomaly.data.procedural.thing import Thing


def painting_order(things: Sequence[Thing], camera: Camera) -> list[Thing]:
    """Sort things from far to near.

    One thing goes before another if all of it lies farther along the road, or if they stand side
    by side and it lies farther out on the same side of the camera. What neither rule orders goes
    by where it ends, and so does a circle, which no two rules can settle.
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
    before = beyond | (beside & (right | left))
    np.fill_diagonal(before, val=False)
    return far, before.sum(0), before
