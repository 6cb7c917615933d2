"""Solid things of flat faces: cars, crates, furniture; drawn as one antialiased patch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np

from roadanomaly.streets.camera import Camera
from roadanomaly.streets.canvas import SHIFT, Canvas, Patch, fixed
from roadanomaly.streets.light import Light
from roadanomaly.streets.noise import spectral

OVERSAMPLE = 2
"""Drawing pixels per image pixel along each side."""


@dataclass(frozen=True)
class Face:
    """A flat convex face.

    Args:
        corners: `(N, 3)` metres: right, up, forward of the thing's foot.
        colour: `(3,)` RGB.
        gloss: share of the sky that it mirrors, 0..1.
        glow: light of its own, 0..1.
    """

    corners: np.ndarray
    colour: np.ndarray
    gloss: float = 0.0
    glow: float = 0.0


@dataclass
class Part:
    """A convex body: its faces in drawing order, decals after the face that they lie on."""

    faces: list[Face] = field(default_factory=list)

    def add(
        self,
        corners: Sequence[Sequence[float]] | np.ndarray,
        colour: np.ndarray,
        gloss: float = 0.0,
        glow: float = 0.0,
    ) -> None:
        """Add a face of three or more corners."""
        self.faces.append(Face(np.asarray(corners, np.float64), colour, gloss, glow))

    def box(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        colour: np.ndarray,
        gloss: float = 0.0,
    ) -> None:
        """Add the six sides of a box."""
        (a, b), (c, d), (e, f) = x, y, z
        self.add([(a, c, e), (b, c, e), (b, d, e), (a, d, e)], colour, gloss)
        self.add([(a, c, f), (b, c, f), (b, d, f), (a, d, f)], colour, gloss)
        self.add([(a, c, e), (a, c, f), (a, d, f), (a, d, e)], colour, gloss)
        self.add([(b, c, e), (b, c, f), (b, d, f), (b, d, e)], colour, gloss)
        self.add([(a, d, e), (b, d, e), (b, d, f), (a, d, f)], colour, gloss)
        self.add([(a, c, e), (b, c, e), (b, c, f), (a, c, f)], colour, gloss)


@dataclass(frozen=True)
class Body:
    """A part as arrays, ready to be drawn.

    Args:
        points: `(N, 3)` corners of all faces, one face after another.
        stops: `(F,)` where each face ends.
        colours: `(F, 3)` RGB.
        finish: `(F, 2)` gloss and glow.
    """

    points: np.ndarray
    stops: np.ndarray
    colours: np.ndarray
    finish: np.ndarray

    @classmethod
    def of(cls, part: Part) -> Body:
        """Pack a part."""
        return cls(
            np.concatenate([face.corners for face in part.faces]),
            np.cumsum([len(face.corners) for face in part.faces]),
            np.array([face.colour for face in part.faces]),
            np.array([(face.gloss, face.glow) for face in part.faces]),
        )


def draw_mesh(
    canvas: Canvas,
    camera: Camera,
    light: Light,
    bodies: list[Body],
    place: tuple[float, float, float],
    class_id: int,
    grain: float = 0.05,
) -> None:
    """Draw bodies from far to near.

    Args:
        canvas: painted in place.
        camera: where we are.
        light: on the faces.
        bodies: convex each.
        place: x, s in metres and heading in radians, 0 along the road.
        class_id: of every pixel.
        grain: strength of the surface's noise.
    """
    x, s, heading = place
    cos, sin = np.cos(heading), np.sin(heading)
    turn = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    solids = [_Solid(body, turn, np.array([x, 0, s]), camera) for body in bodies]
    distance = max(min(float(solid.middle[2]) for solid in solids), 0.7)
    solids.sort(key=lambda solid: -float(solid.middle @ solid.middle))
    drawn = [face for solid in solids for face in solid.visible(light)]
    patch = _rasterise(canvas, drawn, grain, int(abs(x * 7919 + class_id * 31)))
    if patch is not None:
        canvas.paste(patch, class_id, distance)


class _Solid:
    """A part in front of the camera: right, up, forward of the lens."""

    def __init__(self, body: Body, turn: np.ndarray, foot: np.ndarray, camera: Camera) -> None:
        self.stops = body.stops
        self.starts = np.concatenate([[0], body.stops[:-1]])
        points = body.points @ turn + foot
        self.pixels, self.depths = camera.project(points)
        self.points = camera.view(points)
        self.middle = self.points.mean(0)
        counts = (self.stops - self.starts)[:, None]
        self.centres = np.add.reduceat(self.points, self.starts) / counts
        self.colours, self.finish = body.colours, body.finish

    def visible(self, light: Light) -> list[tuple[np.ndarray, list[float]]]:
        """Image polygons and colours of the faces that look at the camera, in drawing order."""
        first, second, third = (self.points[self.starts + i] for i in range(3))
        a, b = second - first, third - second
        normals = a[:, [1, 2, 0]] * b[:, [2, 0, 1]] - a[:, [2, 0, 1]] * b[:, [1, 2, 0]]
        normals /= np.maximum(np.sqrt((normals**2).sum(1, keepdims=True)), 1e-9)
        outward = ((self.centres - self.middle) * normals).sum(1, keepdims=True)
        normals = np.where(outward < 0, -normals, normals)
        near = np.maximum.reduceat(self.depths, self.starts)
        seen = np.flatnonzero(((normals * self.centres).sum(1) < 0) & (near > 0.7))
        if not len(seen):
            return []
        colours = self._shaded(seen, normals[seen], light).tolist()
        return [
            (self.pixels[self.starts[i] : self.stops[i]], colour)
            for i, colour in zip(seen.tolist(), colours, strict=True)
        ]

    def _shaded(self, seen: np.ndarray, normals: np.ndarray, light: Light) -> np.ndarray:
        """Colours `(F, 3)` in 0..255 under the light, with the sky mirrored in glossy faces."""
        base = self.colours[seen]
        gloss, glow = self.finish[seen, :1], self.finish[seen, 1:]
        colour = base * light.shade(normals)
        gaze = self.centres[seen]
        gaze = gaze / np.sqrt((gaze**2).sum(1, keepdims=True))
        facing = (gaze * normals).sum(1, keepdims=True)
        bounce = gaze - 2 * facing * normals
        up = np.clip(bounce[:, 1:2] * 1.6 + 0.35, 0, 1)
        mirrored = light.skyline * up + 0.25 * light.ambient * (1 - up)
        glint = np.maximum(bounce @ light.sun, 0)[:, None] ** 12
        mirrored = mirrored + light.direct * light.sun_colour * glint
        grazing = gloss * (0.35 + 0.65 * (1 - np.abs(facing)) ** 3)
        colour = colour * (1 - grazing) + mirrored * grazing
        colour = colour * (1 - glow) + base * glow
        return np.clip(colour, 0, 1) * 255


def _rasterise(
    canvas: Canvas, drawn: list[tuple[np.ndarray, list[float]]], grain: float, salt: int
) -> Patch | None:
    if not drawn:
        return None
    box = canvas.box(np.concatenate([pixel for pixel, _ in drawn]))
    if box is None:
        return None
    left, top, right, bottom = box
    size = ((bottom - top) * OVERSAMPLE, (right - left) * OVERSAMPLE)
    image = np.zeros((*size, 4), np.uint8)
    for pixel, colour in drawn:
        points = fixed((pixel - (left, top)) * OVERSAMPLE)
        cv2.fillConvexPoly(image, points, (*colour, 255), cv2.LINE_8, SHIFT)
    small = cv2.resize(image, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    rgba = small * np.float32(1 / 255)
    _dirty(rgba, grain, salt)
    return Patch(rgba, left, top)


def _dirty(rgba: np.ndarray, grain: float, salt: int) -> None:
    """Give faces a little life: noise, and less light towards the ground."""
    h, w = rgba.shape[:2]
    field = grain_field()
    rows = (np.arange(h) + salt * 37) % len(field)
    columns = (np.arange(w) + salt * 91) % len(field)
    fall = np.clip(np.linspace(1.06, 0.8, h, dtype=np.float32) + 0.06, 0.8, 1.06)[:, None]
    rgba[..., :3] *= ((1 + grain * field[rows][:, columns]) * fall)[..., None]


@lru_cache(maxsize=1)
def grain_field() -> np.ndarray:
    """Return noise that is shared by all surfaces, `(256, 256)` float32, deviation 1."""
    return spectral(256, 256, np.random.default_rng(61), slope=0.9)
