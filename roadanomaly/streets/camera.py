"""A pinhole camera above a road that bends at a constant rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEAR = 0.6
"""Nothing closer than this many metres is drawn."""


@dataclass(frozen=True)
class Camera:
    """Where the camera is, in road coordinates: x right of the middle, y up, s along, in metres.

    Args:
        width: image columns.
        height: image rows.
        focal: pixels.
        centre: column that looks along the road's tangent.
        horizon: row of the horizon.
        elevation: above the road.
        x: right of the road's middle.
        s: along the road.
        curvature: of the road, 1/m; positive bends to the right.
    """

    width: int
    height: int
    focal: float
    centre: float
    horizon: float
    elevation: float
    x: float
    s: float
    curvature: float

    def view(self, points: np.ndarray) -> np.ndarray:
        """Turn road coordinates `(..., 3)` into camera coordinates: right, up, forward."""
        forward = points[..., 2] - self.s
        view = np.empty(points.shape)
        view[..., 0] = points[..., 0] - self.x + 0.5 * self.curvature * forward**2
        view[..., 1] = points[..., 1] - self.elevation
        view[..., 2] = forward
        return view

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Image positions `(..., 2)` in pixels and distances `(...)` of road points `(..., 3)`."""
        view = self.view(points)
        distance = np.maximum(view[..., 2], NEAR)
        scale = self.focal / distance
        pixel = np.empty((*distance.shape, 2))
        pixel[..., 0] = self.centre + scale * view[..., 0]
        pixel[..., 1] = self.horizon - scale * view[..., 1]
        return pixel, distance

    def foot(self, x: float, s: float, y: float = 0.0) -> tuple[float, float, float]:
        """Column, row and pixels per metre of one point."""
        forward = s - self.s
        scale = self.focal / max(forward, NEAR)
        right = x - self.x + 0.5 * self.curvature * forward**2
        return self.centre + scale * right, self.horizon - scale * (y - self.elevation), scale

    def sees(self, x: float, s: float, half: tuple[float, float]) -> bool:
        """Whether something at a place with half extents may reach into the picture's width."""
        if s + half[1] - self.s < NEAR:
            return False
        if s - half[1] - self.s < 2 * NEAR:
            return True
        ends = [
            self.foot(x + a, s + b)[0] for a in (-half[0], half[0]) for b in (-half[1], half[1])
        ]
        return max(ends) > 0 and min(ends) < self.width

    def ground(self) -> tuple[int, np.ndarray, np.ndarray]:
        """First row of the ground, distance of each row from there `(R,)`, and x `(R, W)`."""
        first = int(np.clip(np.floor(self.horizon) + 1, 0, self.height))
        rows = np.arange(first, self.height, dtype=np.float32) + 0.5 - np.float32(self.horizon)
        distance = (self.focal * self.elevation / np.maximum(rows, 0.4)).astype(np.float32)
        columns = (np.arange(self.width, dtype=np.float32) + 0.5 - self.centre) / self.focal
        bend = 0.5 * self.curvature * distance**2
        x = np.outer(distance, columns) + (self.x - bend)[:, None]
        return first, distance, x.astype(np.float32)
