"""Moving traffic: vehicles with gaps in each busy lane, and cyclists at the edge."""

from __future__ import annotations

import numpy as np

from roadanomaly.streets.camera import Camera
from roadanomaly.streets.people import Cycle
from roadanomaly.streets.road import Road
from roadanomaly.streets.thing import Thing
from roadanomaly.streets.traffic import Vehicle

ROLLING = 1e-3
"""Metres a frame of traffic in a still picture: it rolls, so its lamps are lit."""


def vehicles(
    rng: np.random.Generator,
    road: Road,
    busy: tuple[float, ...],
    start: Camera,
    time: int,
    step: float,
) -> list[Thing]:
    """Return the traffic at a frame.

    Args:
        rng: the same at every frame.
        road: its lanes.
        busy: middles of the lanes with traffic.
        start: the camera at frame 0.
        time: frame.
        step: metres that the camera moves a frame.
    """
    found: list[Thing] = []
    density = float(rng.choice([0.25, 0.6, 0.9]))
    for index, lane in enumerate(road.lanes):
        against = index < road.oncoming
        own = abs(lane - start.x) < 1.5
        speed = step * (-1.1 if against else 1.0)
        seed = int(rng.integers(2**31))
        if lane not in busy:
            continue
        shift = speed * time
        around = start.s + step * time
        first = int((around - 30 - shift) // 19)
        for slot in range(first, first + 8):
            slots = np.random.default_rng([seed, slot + 100000])
            here = slots.random() < density
            s = 19 * slot + slots.uniform(4, 15)
            least = -np.inf if against else 11.0 if own else 2.5
            if here and s - start.s > least:
                found.append(_one(slots, lane, s, against, speed or ROLLING).at(time))
    if step == 0 and rng.random() < 0.45:
        x = float(road.right - rng.uniform(0.5, 0.9))
        key, s, motor = (
            int(rng.integers(2**31)),
            start.s + float(rng.uniform(7, 28)),
            rng.random() < 0.25,
        )
        found.append(Cycle(key, x, s, ROLLING, motor=bool(motor)))
    return found


def _one(rng: np.random.Generator, lane: float, s: float, against: bool, speed: float) -> Thing:
    key, x = int(rng.integers(2**31)), lane + rng.normal(0, 0.15)
    if rng.random() < 0.12:
        return Cycle(key, x, s, speed, motor=True)
    kind = str(rng.choice(["car", "truck", "bus", "tram"], p=[0.79, 0.07, 0.07, 0.07]))
    heading = float(np.pi if against else 0.0) + rng.normal(0, 0.02)
    return Vehicle(key, x, s, speed, kind=kind, heading=heading)
