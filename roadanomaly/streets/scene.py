"""The world of one scene: its road, light and weather, and everything that stands along it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from roadanomaly.streets import blocks, traffic_flow
from roadanomaly.streets.anomalies import Anomaly, random_anomaly
from roadanomaly.streets.blocks import BLOCK, Block
from roadanomaly.streets.camera import Camera
from roadanomaly.streets.ground import Crossing
from roadanomaly.streets.light import Light, random_light
from roadanomaly.streets.ordering import painting_order
from roadanomaly.streets.road import Road, random_road
from roadanomaly.streets.structures import Building
from roadanomaly.streets.thing import Thing

VIEW = 125.0
"""Metres to which buildings are drawn."""
VIEW_SMALL = 72.0
"""Metres to which the rest is drawn."""
START = 14.0
"""Where the camera stands in the first frame, metres along the road."""
BEHIND = 12.0
"""Metres behind the camera within which things may still reach into view or cast shadows."""


@dataclass(frozen=True)
class Scene:
    """A road without end, the same whenever it is asked for.

    Args:
        seed: numbers that decide everything.
        height: image rows.
        width: image columns.
        anomalies: kinds of strange things that lie on it; none for an ordinary road.
        moving: whether the camera drives; then nothing stands in its way.
    """

    seed: tuple[int, ...]
    height: int
    width: int
    anomalies: tuple[str, ...] = ()
    moving: bool = False
    _blocks: dict[int, Block] = field(default_factory=dict, compare=False, repr=False)

    def rng(self, *salt: int) -> np.random.Generator:
        """Return a generator for one purpose."""
        return np.random.default_rng([*self.seed, *salt])

    @cached_property
    def light(self) -> Light:
        """Sun, sky and weather."""
        return random_light(self.rng(1))

    @cached_property
    def road(self) -> Road:
        """The cross-section."""
        return random_road(self.rng(2))

    @cached_property
    def busy(self) -> tuple[float, ...]:
        """Middles of the lanes with traffic."""
        lanes = self.road.lanes
        if not self.moving:
            return lanes
        return tuple(lane for lane in lanes[:1] if lane < self.start.x - 4)

    @cached_property
    def start(self) -> Camera:
        """The camera in the first frame."""
        rng = self.rng(3)
        lanes = self.road.lanes[self.road.oncoming :]
        lane = lanes[-1] if self.moving else lanes[int(rng.integers(len(lanes)))]
        width, height = self.width, self.height
        bend = rng.normal(0, 0.0016) if rng.random() < 0.6 else 0.0
        return Camera(
            width=width,
            height=height,
            focal=float(max(width, 1.2 * height) * rng.uniform(0.72, 1.05)),
            centre=width * (0.5 + rng.normal(0, 0.05)),
            horizon=height * rng.uniform(0.36, 0.52),
            elevation=rng.uniform(1.25, 2.1),
            x=lane + rng.normal(0, 0.25),
            s=START,
            curvature=float(np.clip(bend, -0.004, 0.004)),
        )

    @cached_property
    def step(self) -> float:
        """Metres that the camera moves a frame."""
        return float(self.rng(4).uniform(0.55, 0.8)) if self.moving else 0.0

    def camera(self, time: int) -> Camera:
        """Return the camera at a frame: driven on, with a little bounce."""
        start = self.start
        if not self.moving:
            return start
        bounce = 0.002 * self.height * np.sin(0.9 * time) * np.cos(0.23 * time)
        sway = 0.12 * np.sin(0.05 * time)
        return Camera(
            start.width, start.height, start.focal, start.centre, start.horizon + bounce,
            start.elevation, start.x + sway, start.s + self.step * time, start.curvature,
        )  # fmt: skip

    def block(self, number: int) -> Block:
        """Return one stretch of the roadside."""
        if number not in self._blocks:
            rng = self.rng(5, number + 1000)
            self._blocks[number] = blocks.random_block(rng, number, self.road, self.moving)
        return self._blocks[number]

    def things(self, time: int) -> list[Thing]:
        """Everything in view at a frame, the farthest first."""
        camera = self.camera(time)
        found: list[Thing] = []
        for number in self._blocks_in_view(camera):
            found += [thing.at(time) for thing in self.block(number).things]
        found = [thing for thing in found if _in_range(thing, camera)]
        moving = traffic_flow.vehicles(
            self.rng(6), self.road, self.busy, self.start, time, self.step
        )
        moving = [thing for thing in moving if _in_range(thing, camera)]
        found += moving if self.moving else self._apart(found, moving)
        strange = [thing for thing in self.strange(time) if _in_range(thing, camera)]
        found = [thing for thing in found if _clear(thing, strange, camera, self.moving)]
        return painting_order([*found, *strange], camera)

    def crossings(self, time: int) -> list[Crossing]:
        """Return the side streets in view at a frame."""
        blocks = (self.block(number) for number in self._blocks_in_view(self.camera(time)))
        return [block.crossing for block in blocks if block.crossing is not None]

    @staticmethod
    def _blocks_in_view(camera: Camera) -> range:
        return range(int((camera.s - BEHIND) // BLOCK), int((camera.s + VIEW) // BLOCK) + 1)

    @staticmethod
    def _apart(found: list[Thing], moving: list[Thing]) -> list[Thing]:
        """Leave out vehicles that would stand inside something else."""
        if not found or not moving:
            return moving
        solid = [thing for thing in found if not isinstance(thing, Building)]
        placed = np.array([(thing.x, thing.s, *thing.half) for thing in solid]).reshape(-1, 4)
        kept = []
        for vehicle in moving:
            gap = np.abs(placed[:, :2] - (vehicle.x, vehicle.s)) - placed[:, 2:] - vehicle.half
            if not len(gap) or gap.max(1).min() >= 0:
                kept.append(vehicle)
        return kept

    def strange(self, time: int) -> list[Anomaly]:
        """Anomalies in view at a frame."""
        if not self.anomalies:
            return []
        if not self.moving:
            return self._still()
        camera = self.camera(time)
        first, last = int((camera.s - 5) // 14), int((camera.s + VIEW_SMALL) // 14)
        found = [self._roadside(number) for number in range(first, last + 1)]
        return [thing.at(time) for thing in found if thing is not None]

    def _still(self) -> list[Anomaly]:
        rng = self.rng(7)
        if rng.random() < 0.16:
            return []
        camera, road, found = self.start, self.road, []
        for _ in range(int(rng.choice([1, 2, 3], p=[0.55, 0.3, 0.15]))):
            gap = float(np.exp(rng.uniform(np.log(6.5), np.log(42))))
            view = 0.42 * camera.width / camera.focal * gap
            bend = 0.5 * camera.curvature * gap**2
            left = max(road.left - 0.6 * road.walk[0], camera.x - bend - view)
            right = min(road.right + 0.6 * road.walk[1], camera.x - bend + view)
            x = float(rng.uniform(min(left, camera.x - 1.0), max(right, camera.x + 1.0)))
            found.append(self._any(rng, x, camera.s + gap))
        return found

    def _any(self, rng: np.random.Generator, x: float, s: float) -> Anomaly:
        return random_anomaly(rng, self.anomalies, int(rng.integers(2**31)), x, s)

    def _roadside(self, number: int) -> Anomaly | None:
        """The anomaly of one stretch of a drive, next to the camera's path."""
        rng = self.rng(8, number + 1000)
        if 14 * number < START + 6 or rng.random() < 0.25:
            return None
        thing = self._any(rng, 0.0, 14 * (number + rng.uniform(0.2, 0.8)))
        gap = thing.half[0] + 1.35
        left = self.road.left - 0.5 * self.road.walk[0] + thing.half[0]
        if self.busy:
            left = self.busy[-1] + 1.7 + thing.half[0]
        right = self.road.right + 0.7 * max(self.road.walk[1], 1.5)
        sides = [(left, self.start.x - gap), (self.start.x + gap, right)]
        open_sides = [side for side in sides if side[1] > side[0]]
        if not open_sides:
            return None
        low, high = open_sides[int(rng.integers(len(open_sides)))]
        return Anomaly(
            thing.key, float(rng.uniform(low, high)), thing.s,
            kind=thing.kind, size=thing.size, heading=thing.heading,
        )  # fmt: skip


def _in_range(thing: Thing, camera: Camera) -> bool:
    reach = VIEW if isinstance(thing, Building) else VIEW_SMALL
    return camera.s - BEHIND < thing.far and thing.s - camera.s < reach


def _clear(thing: Thing, strange: list[Anomaly], camera: Camera, moving: bool) -> bool:
    """Whether a thing neither touches an anomaly nor hides one that is nearly in line."""
    if isinstance(thing, Building):
        return True
    for other in strange:
        room = thing.half[0] + other.half[0] + 0.25
        if abs(thing.s - other.s) < thing.half[1] + other.half[1] + 0.4:
            if abs(thing.x - other.x) < room:
                return False
        elif not moving and camera.s < thing.s < other.s:
            share = (thing.s - camera.s) / (other.s - camera.s)
            line = camera.x + share * (other.x - camera.x)
            if abs(thing.x - line) < thing.half[0] + share * other.half[0]:
                return False
    return True
