"""The ground: road, pavement and verge with grain, wear, paint and side streets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from roadanomaly.streets.camera import Camera
from roadanomaly.streets.canvas import Canvas
from roadanomaly.streets.light import Light
from roadanomaly.streets.noise import band, smoothstep, spectral
from roadanomaly.streets.road import Line, Road, Surface

TILE = 512
FINE = 6.0
"""Metres of ground that one tile of the fine texture covers."""
COARSE = 70.0
"""The same for the coarse one."""
FADED = 160.0
"""Metres beyond which the ground fades no further, as the woods at the horizon do."""


@dataclass(frozen=True)
class Crossing:
    """A side street.

    Args:
        start: metres along our road where it begins.
        end: where it ends.
        zebra: whether stripes for walkers lie before it.
    """

    start: float
    end: float
    zebra: bool


@lru_cache(maxsize=1)
def _fine() -> np.ndarray:
    """Asphalt, slabs, grass, soil: `(TILE, TILE, 4)` uint8."""
    rng = np.random.default_rng(51)
    asphalt = 0.5 + 0.16 * spectral(TILE, TILE, rng, slope=0.35) - 0.55 * _cracks(rng)
    slabs = _slabs(rng)
    blades = 0.2 * spectral(TILE, TILE, rng, slope=0.7)
    grass = 0.5 + blades + 0.1 * band(TILE, TILE, rng, period=14)
    soil = 0.5 + 0.2 * spectral(TILE, TILE, rng, slope=0.6)
    return (np.clip(np.stack([asphalt, slabs, grass, soil], -1), 0, 1) * 255).astype(np.uint8)


def _cracks(rng: np.random.Generator) -> np.ndarray:
    line = np.exp(-((spectral(TILE, TILE, rng, slope=1.5) / 0.025) ** 2))
    return line * smoothstep(0.3, 0.9, spectral(TILE, TILE, rng, slope=1.8))


def _slabs(rng: np.random.Generator) -> np.ndarray:
    """Paving stones of half a metre with joints, each of its own tone."""
    step = TILE // 12
    tones = rng.normal(0, 0.09, (13, 13)).astype(np.float32)
    stones = np.repeat(np.repeat(tones, step + 2, 0), step + 2, 1)[:TILE, :TILE]
    image = 0.6 + stones + 0.09 * spectral(TILE, TILE, rng, slope=0.5)
    for index in range(0, TILE, TILE // 12):
        image[index : index + 2] -= 0.32
        image[:, index : index + 2] -= 0.32
    return image


@lru_cache(maxsize=1)
def _coarse() -> np.ndarray:
    """Large stains, sharp repair patches, wear of paint, verge clumps: `(TILE, TILE, 4)`."""
    rng = np.random.default_rng(52)
    stains = spectral(TILE, TILE, rng, slope=1.1)
    patches = np.zeros((TILE, TILE), np.float32)
    for _ in range(26):
        x, y = rng.integers(0, TILE, 2)
        w, h = rng.integers(6, 26), rng.integers(10, 90)
        patches[y : y + h, x : x + w] = rng.uniform(-1, 0.5)
    wear = spectral(TILE, TILE, rng, slope=0.5)
    clumps = spectral(TILE, TILE, rng, slope=1.0)
    field = np.stack([stains, patches, wear, clumps], -1) * 42 + 128
    return np.clip(field, 0, 255).astype(np.uint8)


def draw_ground(
    canvas: Canvas,
    camera: Camera,
    road: Road,
    light: Light,
    crossings: list[Crossing],
    wear: float,
) -> None:
    """Paint everything below the horizon.

    Args:
        canvas: painted in place.
        camera: where we are.
        road: its cross-section.
        light: on the ground.
        crossings: side streets that may be in view.
        wear: 0 new .. 1 old, of asphalt and paint.
    """
    first, distance, x = camera.ground()
    if first >= camera.height:
        return
    s = (distance + np.float32(camera.s))[:, None]
    pitch = (distance / np.float32(camera.focal))[:, None]
    fine, coarse = _sample(x, s, distance, camera)
    side = _side_street(crossings, s, pitch)
    colour, label = _surfaces(road, x, fine, coarse, side, wear)
    _add_kerbs(colour, road, x, pitch, side)
    paint = _paint(road, crossings, x, s, pitch, side)
    if paint is not None:
        cover, yellow = paint
        tone = np.array([[0.82, 0.82, 0.80], [0.84, 0.64, 0.16]], np.float32)
        cover *= np.clip(1.02 - wear * np.maximum(coarse[..., 2] + 0.25, 0), 0.1, 1)
        cover *= 1 + 0.25 * fine[..., 0]
        rows, columns = np.nonzero(cover > 0.01)
        share = np.minimum(cover[rows, columns], 1)[:, None]
        here = colour[rows, columns]
        colour[rows, columns] = here + (tone[yellow[rows, columns].astype(int)] - here) * share
    colour *= light.ground.astype(np.float32)
    canvas.image[first:] = colour
    canvas.label[first:] = label


def fade_ground(canvas: Canvas, camera: Camera) -> None:
    """Fade the ground into the skyline by its distance, once shadows lie on it."""
    first, distance, _ = camera.ground()
    through = np.exp(-canvas.haze * np.minimum(distance, FADED))[:, None, None]
    canvas.image[first:] *= through
    canvas.image[first:] += (1 - through) * canvas.skyline


def _sample(
    x: np.ndarray, s: np.ndarray, distance: np.ndarray, camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """Both ground textures at every pixel, -1..1; they fade where pixels outgrow their grain."""
    tall = distance**2 / np.float32(camera.focal * camera.elevation)
    out = []
    for field, metres in ((_fine(), FINE), (_coarse(), COARSE)):
        scale = np.float32(TILE / metres)
        turns = np.floor(camera.s / metres) * metres
        rows = np.broadcast_to((s - np.float32(turns)) * scale, x.shape)
        drawn = cv2.remap(field, x * scale, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        keep = np.clip(1.6 / (tall * scale), 0.05, 1) ** np.float32(0.6)
        out.append((drawn.astype(np.float32) - 128) * (keep / 128)[:, None, None])
    return out[0], out[1]


def _side_street(crossings: list[Crossing], s: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    cover = np.zeros_like(s)
    for crossing in crossings:
        soft = pitch * 4
        inside = np.clip((s - crossing.start) / soft + 0.5, 0, 1)
        cover = np.maximum(
            cover, np.minimum(inside, np.clip((crossing.end - s) / soft + 0.5, 0, 1))
        )
    return cover


def _surfaces(
    road: Road,
    x: np.ndarray,
    fine: np.ndarray,
    coarse: np.ndarray,
    side: np.ndarray,
    wear: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Colour `(R, W, 3)` and label `(R, W)` of the bare ground."""
    kinds = list({id(surface): surface for _, surface in road.bands}.values())
    order = {id(surface): index for index, surface in enumerate(kinds)}
    table = np.concatenate([_ramp(surface) for surface in kinds])
    mixes = [_mix(surface.channel, fine, coarse, wear) for surface in kinds]
    pick = mixes[order[id(road.bands[0][1])]].copy()
    label = np.full(x.shape, road.bands[0][1].class_id, np.uint8)
    offset = np.full(x.shape, 256 * order[id(road.bands[0][1])], np.int32)
    for start, surface in road.bands[1:]:
        inside = x >= np.float32(start)
        np.copyto(label, surface.class_id, where=inside, casting="unsafe")
        np.copyto(offset, 256 * order[id(surface)], where=inside)
        np.copyto(pick, mixes[order[id(surface)]], where=inside)
    if side.max() > 0:
        street = np.broadcast_to(side >= 0.5, label.shape)
        asphalt = order[id(road.surface(0.0))]
        label[street] = 0
        offset[street] = 256 * asphalt
        np.copyto(pick, mixes[asphalt], where=street)
    lanes = np.asarray(road.lanes, np.float32)
    gap = np.abs(x - lanes[0])
    for lane in lanes[1:]:
        gap = np.minimum(gap, np.abs(x - lane))
    gap -= 0.8
    track = cv2.exp(gap * gap * np.float32(-8.0)) * (label == 0)
    pick -= (8 + 16 * np.float32(wear)) * track
    index = np.clip(pick, 0, 255).astype(np.int32)
    index += offset
    return table[index], label


def _ramp(surface: Surface) -> np.ndarray:
    """The colours of a surface from where its texture is low to where it is high, `(256, 3)`."""
    share = np.linspace(0, 1, 256)[:, None]
    return (surface.dark + (surface.light - surface.dark) * share).astype(np.float32)


def _mix(channel: int, fine: np.ndarray, coarse: np.ndarray, wear: float) -> np.ndarray:
    """Where a surface lies between its colours, 0..255."""
    mix = fine[..., channel] * np.float32(128) + np.float32(128)
    if channel == 0:
        mix += np.float32(90) * coarse[..., 0] + np.float32(330 * wear) * coarse[..., 1]
    elif channel == 1:
        mix += np.float32(60) * coarse[..., 0]
    else:
        mix += np.float32(150) * coarse[..., 3]
    return mix


def _add_kerbs(
    colour: np.ndarray, road: Road, x: np.ndarray, pitch: np.ndarray, side: np.ndarray
) -> None:
    if road.kerb is None:
        return
    kerb = road.kerb.astype(np.float32)
    for edge, sign in ((road.left, -1), (road.right, 1)):
        outside = (x - np.float32(edge)) * sign
        rows, columns = np.nonzero(np.abs(outside) < 0.3 + pitch)
        beyond, step = outside[rows, columns], pitch[rows, 0]
        open_share = 1 - side[rows, 0]
        stone = 0.9 * _stroke(beyond - 0.09, 0.2, step) * open_share
        gutter = 0.38 * _stroke(beyond + 0.07, 0.13, step) * open_share
        here = colour[rows, columns] * (1 - gutter)[:, None]
        colour[rows, columns] = here + (kerb - here) * stone[:, None]


def _stroke(offset: np.ndarray, width: float, pitch: np.ndarray) -> np.ndarray:
    """Cover of a stripe of `width` metres by pixels of `pitch` metres."""
    return np.clip((width / 2 - np.abs(offset)) / pitch + 0.5, 0, 1) * np.minimum(width / pitch, 1)


def _paint(
    road: Road,
    crossings: list[Crossing],
    x: np.ndarray,
    s: np.ndarray,
    pitch: np.ndarray,
    side: np.ndarray,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Cover `(R, W)` of the road paint and where it is yellow, or None where there is none."""
    if not road.lines and not crossings:
        return None
    cover = np.zeros(x.shape, np.float32)
    yellow = np.zeros(x.shape, bool)
    for line in road.lines:
        stroke = _stroke(x - np.float32(line.x), line.width, pitch) * _dashes(line, s, pitch)
        cover = np.maximum(cover, stroke)
        if line.colour[2] < 0.5:
            yellow |= stroke > 0
    cover *= 1 - side
    for crossing in crossings:
        if crossing.zebra:
            cover = np.maximum(cover, _zebra(crossing, road, x, s, pitch))
    return cover, yellow


def _dashes(line: Line, s: np.ndarray, pitch: np.ndarray) -> np.ndarray | float:
    if line.dash == 0:
        return 1.0
    period = line.dash + line.gap
    phase = np.mod(s, period)
    return np.clip((line.dash / 2 - np.abs(phase - period / 2)) / (pitch * 4) + 0.5, 0, 1)


def _zebra(
    crossing: Crossing, road: Road, x: np.ndarray, s: np.ndarray, pitch: np.ndarray
) -> np.ndarray:
    middle = crossing.start - 2.6
    inside = np.clip((1.6 - np.abs(s - middle)) / (pitch * 4) + 0.5, 0, 1)
    bars = np.clip((0.25 - np.abs(np.mod(x, 1.0) - 0.5)) / pitch + 0.5, 0, 1)
    bars = np.where(pitch > 0.5, 0.5, bars)
    on_road = (x > road.left + 0.2) & (x < road.right - 0.2)
    return np.asarray(inside * bars * on_road, np.float32)
