"""One stretch of the roadside after another: what stands on it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from roadanomaly.streets.facades import COUNT
from roadanomaly.streets.furniture import Post
from roadanomaly.streets.ground import Crossing
from roadanomaly.streets.people import Cycle, Person
from roadanomaly.streets.road import Road
from roadanomaly.streets.structures import Barrier, Building
from roadanomaly.streets.thing import Thing
from roadanomaly.streets.traffic import Vehicle
from roadanomaly.streets.vegetation import BUSHES, TREES, Plant

BLOCK = 40.0
"""Metres of road in a block."""


@dataclass
class Block:
    """What a block holds.

    Args:
        things: that stand on it.
        crossing: a side street, or None.
    """

    things: list[Thing] = field(default_factory=list)
    crossing: Crossing | None = None


def random_block(rng: np.random.Generator, number: int, road: Road, moving: bool) -> Block:
    """Fill the block from `number * BLOCK` on.

    Args:
        rng: decides everything.
        number: which block.
        road: cross-section.
        moving: whether people walk on.
    """
    start = number * BLOCK
    block = Block()
    free = start
    if road.urban > 0 and rng.random() < 0.3:
        opening, wide = start + rng.uniform(5, 8), rng.uniform(6, 10)
        block.crossing = Crossing(opening, opening + wide, bool(rng.random() < 0.7))
        free = opening + wide + 1.5
        _corner(block, rng, road, opening, wide)
        if not moving and rng.random() < 0.35:
            _crosser(block, rng, road, opening, wide)
    for side in (-1, 1):
        _row(block, rng, road, side, free, start + BLOCK)
        _verge(block, rng, road, side, free, start + BLOCK)
        if road.walk[side > 0] > 0:
            _walkers(block, rng, road, side, free, start + BLOCK, moving)
        _parked(block, rng, road, side, free, start + BLOCK)
    return block


def _key(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _edge(road: Road, side: int) -> float:
    return road.right if side > 0 else road.left


def _corner(block: Block, rng: np.random.Generator, road: Road, start: float, wide: float) -> None:
    """Lights, signs and crossing people at a side street."""
    for side in (-1, 1):
        x = _edge(road, side) + side * 0.45
        kind = "light" if rng.random() < 0.65 else "sign"
        block.things.append(Post(_key(rng), x, start - rng.uniform(0.3, 1.0), kind=kind))
        if rng.random() < 0.4:
            block.things.append(Post(_key(rng), x, start + wide + 0.6, kind="light"))


def _crosser(block: Block, rng: np.random.Generator, road: Road, start: float, wide: float) -> None:
    """A car that crosses or waits to."""
    x, s = rng.uniform(road.left, road.right), start + rng.uniform(1, wide - 1)
    heading = float(rng.choice([-1, 1]) * np.pi / 2)
    block.things.append(Vehicle(_key(rng), x + 6 * np.sign(x), s, kind="car", heading=heading))


def _row(
    block: Block, rng: np.random.Generator, road: Road, side: int, start: float, end: float
) -> None:
    """Buildings, or what a field ends with."""
    front = road.frontage[side > 0]
    place = start
    tint = 1 + rng.normal(0, 0.05, 3)
    last = (0.0, 0.0)
    while end - place > 5:
        gap, length = _plot(rng, road.urban, end - place)
        house = road.urban < 1
        if rng.random() < (0.12, 0.86, 0.94)[int(road.urban * 2)]:
            depth = rng.uniform(8, 12)
            setback = rng.uniform(1, 5) if house else rng.choice([0.0, 0.0, 0.5, 1.2])
            height = rng.uniform(4.8, 7.5) if house else rng.uniform(9, 24)
            x = front + side * (setback + depth / 2)
            joined = gap == 0 and last[0] >= height and last[1] <= setback
            last = (height, setback)
            shade = tint * rng.uniform(0.78, 1.12) + rng.normal(0, 0.035, 3)
            block.things.append(
                Building(
                    _key(rng), x, place + gap + length / 2, length=length, depth=depth,
                    height=height, variant=int(rng.integers(COUNT)), house=house, tint=tuple(shade),
                    joined=bool(joined),
                )
            )  # fmt: skip
        else:
            _grove(block, rng, front, side, place, place + length)
            last = (0.0, 0.0)
        if house and rng.random() < 0.75:
            _barriers(block, rng, road, side, place, place + gap + length)
        place += gap + length


def _plot(rng: np.random.Generator, urban: float, room: float) -> tuple[float, float]:
    gap = 0.0 if urban == 1 else rng.uniform(2, 7)
    length = rng.uniform(10, 18) if urban == 1 else rng.uniform(8, 13)
    if room - gap - length < 6:
        length = max(room - gap, 3.0)
    return gap, length


def _barriers(
    block: Block, rng: np.random.Generator, road: Road, side: int, start: float, end: float
) -> None:
    kind = str(rng.choice(["wall", "fence", "hedge"], p=[0.36, 0.4, 0.24]))
    height = rng.uniform(0.9, 1.9) if kind != "fence" else rng.uniform(0.9, 1.5)
    outer = road.right + 0.3 if side > 0 else road.left - 0.3
    x = road.frontage[side > 0] - side * rng.uniform(0, 0.6)
    if road.walk[side > 0] > 0:
        walk_end = [start for start, _ in road.bands][-1] if side > 0 else road.bands[1][0]
        x = walk_end + side * 0.35
    x = max(x, outer) if side > 0 else min(x, outer)
    variant = int(rng.integers(12))
    place = start
    while place < end - 1:
        length = min(8.0, end - place)
        block.things.append(
            Barrier(
                _key(rng),
                x,
                place + length / 2,
                kind=kind,
                length=length,
                height=height,
                variant=variant,
            )
        )
        place += length


def _grove(
    block: Block, rng: np.random.Generator, front: float, side: int, start: float, end: float
) -> None:
    for _ in range(int(rng.integers(1, 5))):
        x, s = front + side * rng.uniform(1.5, 14), rng.uniform(start, end)
        tree = rng.random() < 0.6
        block.things.append(_plant(rng, x, s, tree))


def _plant(rng: np.random.Generator, x: float, s: float, tree: bool) -> Plant:
    variant = int(rng.integers(TREES)) if tree else TREES + int(rng.integers(BUSHES))
    height = rng.uniform(5, 11) if tree else rng.uniform(0.8, 2.4)
    return Plant(_key(rng), x, s, variant=variant, height=height, tint=rng.uniform(0.8, 1.15))


def _verge(
    block: Block, rng: np.random.Generator, road: Road, side: int, start: float, end: float
) -> None:
    """Trees and posts in a line beside the road."""
    edge, walk = _edge(road, side), road.walk[side > 0]
    offset = 0.7 if walk > 0 else rng.uniform(1.6, 3.0)
    chance = rng.choice([0.0, 0.45, 0.85])
    place = start + rng.uniform(2, 6)
    while place < end - 1:
        x = edge + side * (offset + rng.uniform(0, 0.3))
        if rng.random() < chance and (walk == 0 or walk > 1.9):
            block.things.append(_plant(rng, x + side * 0.2, place, walk > 0 or rng.random() < 0.5))
        elif rng.random() < 0.4:
            kinds = ["lamp", "sign", "bollard"] if walk > 0 else ["lamp", "sign"]
            block.things.append(Post(_key(rng), x, place, kind=kinds[rng.integers(len(kinds))]))
        place += rng.uniform(7, 12)
    if road.urban < 1:
        for _ in range(int(rng.integers(1, 6))):
            x = road.frontage[side > 0] + side * rng.uniform(0, 6)
            block.things.append(_plant(rng, x, rng.uniform(start, end), bool(rng.random() < 0.35)))


def _walkers(
    block: Block,
    rng: np.random.Generator,
    road: Road,
    side: int,
    start: float,
    end: float,
    moving: bool,
) -> None:
    edge, walk = _edge(road, side), road.walk[side > 0]
    busy = rng.choice([1, 2, 4, 7], p=[0.3, 0.3, 0.25, 0.15])
    for _ in range(int(busy)):
        x, s = edge + side * rng.uniform(0.9, max(walk, 1.2)), rng.uniform(start, end)
        height = rng.uniform(1.58, 1.9) if rng.random() < 0.87 else rng.uniform(1.05, 1.4)
        speed = rng.choice([-0.05, 0.05]) if moving else 0.0
        block.things.append(
            Person(_key(rng), x, s, speed, height=height, across=bool(rng.random() < 0.3))
        )
    if rng.random() < 0.6:
        x = edge + side * max(walk - 0.5, 0.8)
        for index in range(int(rng.integers(1, 5))):
            s = start + rng.uniform(2, 5) + 1.1 * index
            block.things.append(
                Cycle(_key(rng), x, s, motor=bool(rng.random() < 0.25), ridden=False,
                      across=bool(rng.random() < 0.7))
            )  # fmt: skip
    if not moving and rng.random() < 0.2 and road.urban > 0:
        x, s = rng.uniform(road.left + 1, road.right - 1), rng.uniform(start + 6, end)
        block.things.append(Person(_key(rng), float(x), float(s), across=True))


def _parked(
    block: Block, rng: np.random.Generator, road: Road, side: int, start: float, end: float
) -> None:
    lane = road.lanes[-1] if side > 0 else road.lanes[0]
    if abs(_edge(road, side) - lane) < 3.0:
        return
    share = rng.choice([0.15, 0.5, 0.85])
    place = start + 3.0
    while place < end - 2.5:
        if rng.random() < share:
            heading = 0.0 if side > 0 or rng.random() < 0.3 else np.pi
            kind = "car" if rng.random() < 0.93 else "truck"
            x = _edge(road, side) - side * (1.08 + rng.uniform(0, 0.12))
            if kind == "truck":
                x, place = x - side * 0.3, place + 2.0
            turn = float(heading + rng.normal(0, 0.015))
            block.things.append(Vehicle(_key(rng), float(x), place, kind=kind, heading=turn))
        place += rng.uniform(5.4, 7.0)
