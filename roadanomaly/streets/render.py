"""From a scene to a picture and its labels."""

from __future__ import annotations

import cv2
import numpy as np

from roadanomaly.streets.camera import Camera
from roadanomaly.streets.canvas import Canvas
from roadanomaly.streets.ground import draw_ground, fade_ground
from roadanomaly.streets.scene import Scene
from roadanomaly.streets.sensor import expose
from roadanomaly.streets.shadows import draw_shadows
from roadanomaly.streets.sky import draw_sky, draw_skyline
from roadanomaly.streets.weather import apply_rain, apply_wet
from roadanomaly.types import IGNORE

SHADED = 40.0
"""Metres within which things cast shadows that one can see."""


def render(scene: Scene, time: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw one frame of a scene.

    Args:
        scene: what there is.
        time: which frame of a drive.

    Returns:
        image `(H, W, 3)` uint8 RGB, and label `(H, W)` uint8.
    """
    camera, light = scene.camera(time), scene.light
    canvas = Canvas(scene.height, scene.width, light.haze, light.skyline)
    look = scene.rng(11)
    draw_sky(canvas, camera, light, look.uniform(0, 1, 2))
    draw_skyline(canvas, camera, light, look)
    draw_ground(canvas, camera, scene.road, light, scene.crossings(time), look.beta(1.5, 1.5))
    things = scene.things(time)
    shady = [thing for thing in things if thing.s - camera.s < SHADED]
    draw_shadows(canvas, camera, light, [part for thing in shady for part in thing.casters()])
    fade_ground(canvas, camera)
    for thing in things:
        thing.draw(canvas, camera, light)
    apply_wet(canvas, camera, light)
    if look.random() < 0.08:
        _draw_bonnet(canvas, camera, look)
    apply_rain(canvas.image, light, scene.rng(12, time))
    return expose(canvas.image, scene.rng(13), scene.rng(14, time)), canvas.label


def _draw_bonnet(canvas: Canvas, camera: Camera, rng: np.random.Generator) -> None:
    """Draw the own car's bonnet along the bottom edge, labelled `IGNORE`."""
    h, w = canvas.height, canvas.width
    rise = rng.uniform(0.05, 0.1) * h
    angle = np.linspace(0, np.pi, 40)
    arch = np.stack(
        [camera.centre + 0.62 * w * np.cos(angle), h + 1 - rise * np.sin(angle) ** 0.5], -1
    )
    tone = rng.uniform(0.02, 0.12) * np.array([1.0, 1.0, 1.02])
    top = max(0, int(h - rise) - 1)
    mirrored = cv2.GaussianBlur(canvas.image[: h - top][::-1], (0, 0), 3)
    canvas.polygon(arch, tone, IGNORE, 1.0)
    mask = canvas.label[top:] == IGNORE
    canvas.image[top:][mask] += 0.25 * mirrored[-(h - top) :][mask]
