"""What every thing in a scene is: it has a place, may move, draws itself and keeps off the sun."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TypeVar

from roadanomaly.streets.camera import Camera
from roadanomaly.streets.canvas import Canvas
from roadanomaly.streets.light import Light
from roadanomaly.streets.shadows import Caster

T = TypeVar("T", bound="Thing")


@dataclass(frozen=True)
class Thing(ABC):
    """One object of the scene.

    Args:
        key: decides its looks; unique within a scene, so it also names the object.
        x: middle, metres right of the road's middle.
        s: middle, metres along the road.
        speed: metres a frame, along the road.
        time: frames since the scene began.
    """

    key: int
    x: float
    s: float
    speed: float = 0.0
    time: float = 0.0

    @property
    @abstractmethod
    def half(self) -> tuple[float, float]:
        """Half of its extent across and along the road, metres."""

    @property
    def reach(self) -> float:
        """How far it spreads to either side of its middle at any height, metres."""
        return self.half[0]

    @property
    def far(self) -> float:
        """Where it ends along the road, metres."""
        return self.s + self.half[1]

    def at(self: T, time: float) -> T:
        """Return the thing some frames later."""
        if time == 0:
            return self
        return replace(self, s=self.s + self.speed * time, time=time)

    @abstractmethod
    def draw(self, canvas: Canvas, camera: Camera, light: Light) -> None:
        """Paint it."""

    @abstractmethod
    def casters(self) -> list[Caster]:
        """Return what of it keeps the sun off the ground."""
