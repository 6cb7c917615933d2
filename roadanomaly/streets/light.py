"""The light of a scene: sun, sky, haze, and how bright a surface is under them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """Sun and sky.

    Args:
        kind: name of the weather.
        sun: unit vector to the sun, `(3,)` right, up, forward.
        direct: strength of the sun on a surface that faces it.
        sun_colour: `(3,)` RGB, about 1.
        ambient: `(3,)` RGB light from all sides.
        zenith: `(3,)` RGB of the sky above.
        skyline: `(3,)` RGB of the sky at the horizon; distance fades into it.
        clouds: share of the sky that they cover, 0..1.
        haze: fading of distant things, 1/m.
        wet: 0 dry .. 1 soaked road.
        rain: 0 none .. 1 heavy streaks.
        lamps: whether windows and headlights are lit, 0..1.
    """

    kind: str
    sun: np.ndarray
    direct: float
    sun_colour: np.ndarray
    ambient: np.ndarray
    zenith: np.ndarray
    skyline: np.ndarray
    clouds: float
    haze: float
    wet: float
    rain: float
    lamps: float

    def shade(self, normal: np.ndarray) -> np.ndarray:
        """Light that falls on surfaces with unit normals `(..., 3)`: `(..., 3)` RGB."""
        facing = np.maximum(normal @ self.sun, 0)[..., None]
        above = (0.78 + 0.22 * normal[..., 1])[..., None]
        return self.ambient * above + self.direct * self.sun_colour * facing

    @property
    def side(self) -> float:
        """Where the light comes from, -1 left .. 1 right."""
        return float(self.sun[0])

    @property
    def sprite(self) -> np.ndarray:
        """`(3,)` light on things drawn flat that face the camera."""
        return self.shade(np.array([0.5 * np.sign(self.side), 0.5, -0.7]))

    @property
    def ground(self) -> np.ndarray:
        """`(3,)` light on the road in the sun."""
        return self.shade(np.array([0.0, 1.0, 0.0]))


@dataclass(frozen=True)
class _Kind:
    elevation: tuple[float, float]
    direct: tuple[float, float]
    sun_colour: Colour
    ambient: Colour
    zenith: Colour
    skyline: Colour
    clouds: tuple[float, float]
    haze: tuple[float, float]
    wet: tuple[float, float] = (0.0, 0.0)
    rain: tuple[float, float] = (0.0, 0.0)
    lamps: float = 0.0


KINDS: dict[str, tuple[float, _Kind]] = {
    "clear": (
        0.34,
        _Kind(
            (28, 60), (0.55, 0.75), (1.0, 0.95, 0.86), (0.50, 0.54, 0.60),
            (0.27, 0.49, 0.82), (0.76, 0.85, 0.93), (0.05, 0.5), (0.002, 0.005),
        ),
    ),
    "overcast": (
        0.20,
        _Kind(
            (40, 70), (0.06, 0.16), (1.0, 0.98, 0.95), (0.74, 0.76, 0.79),
            (0.58, 0.62, 0.68), (0.82, 0.84, 0.86), (0.8, 1.0), (0.003, 0.008),
        ),
    ),
    "golden": (
        0.16,
        _Kind(
            (9, 20), (0.75, 0.95), (1.0, 0.76, 0.46), (0.44, 0.44, 0.52),
            (0.30, 0.43, 0.68), (0.97, 0.80, 0.60), (0.1, 0.55), (0.004, 0.008),
        ),
    ),
    "dusk": (
        0.10,
        _Kind(
            (6, 12), (0.05, 0.15), (1.0, 0.62, 0.42), (0.33, 0.35, 0.46),
            (0.13, 0.18, 0.36), (0.84, 0.55, 0.44), (0.15, 0.6), (0.004, 0.008), lamps=1.0,
        ),
    ),
    "fog": (
        0.08,
        _Kind(
            (30, 60), (0.02, 0.08), (1.0, 1.0, 1.0), (0.72, 0.74, 0.76),
            (0.74, 0.77, 0.79), (0.80, 0.82, 0.83), (1.0, 1.0), (0.02, 0.04), (0.0, 0.5),
        ),
    ),
    "rain": (
        0.12,
        _Kind(
            (40, 70), (0.02, 0.06), (1.0, 1.0, 1.0), (0.55, 0.58, 0.62),
            (0.40, 0.44, 0.50), (0.68, 0.71, 0.74), (0.9, 1.0), (0.008, 0.016), (0.6, 1.0),
            (0.3, 1.0), lamps=0.5,
        ),
    ),
}  # fmt: skip


def random_light(rng: np.random.Generator) -> Light:
    """Draw a weather and everything that hangs on it."""
    names = list(KINDS)
    chances = np.array([KINDS[name][0] for name in names])
    name = names[int(rng.choice(len(names), p=chances / chances.sum()))]
    kind = KINDS[name][1]
    elevation = np.radians(rng.uniform(*kind.elevation))
    azimuth = rng.uniform(-np.pi, np.pi)
    sun = np.array(
        [
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
            np.cos(elevation) * np.cos(azimuth),
        ]
    )
    tint = 1 + rng.normal(0, 0.025, 3)
    return Light(
        kind=name,
        sun=sun,
        direct=rng.uniform(*kind.direct),
        sun_colour=np.array(kind.sun_colour),
        ambient=np.array(kind.ambient) * tint * rng.uniform(0.92, 1.08),
        zenith=np.array(kind.zenith) * (1 + rng.normal(0, 0.06, 3)),
        skyline=np.array(kind.skyline) * (1 + rng.normal(0, 0.03, 3)),
        clouds=rng.uniform(*kind.clouds),
        haze=rng.uniform(*kind.haze),
        wet=rng.uniform(*kind.wet),
        rain=rng.uniform(*kind.rain),
        lamps=kind.lamps,
    )
