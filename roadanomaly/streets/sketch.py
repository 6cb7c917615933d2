"""Rounded things seen flat: limbs, wheels and bellies drawn with soft shading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import cv2
import numpy as np

from roadanomaly.streets.canvas import SHIFT, Canvas, Patch
from roadanomaly.streets.mesh import grain_field

Point = tuple[float, float]
Tone = tuple[float, float, float, float]
ROUND = ((1.0, 0.66, 0.0), (0.8, 0.84, 0.08), (0.55, 0.99, 0.16), (0.28, 1.1, 0.24))
"""Layers of a round body: share of its width, brightness, shift towards the light."""
FLAT = ((1.0, 1.0, 0.0),)
SMALL = ((1.0, 0.88, 0.0),)


class Sketch:
    """A drawing board that stands upright on the ground, in metres: x right, y up from the foot.

    Args:
        canvas: whose pixels it will cover.
        foot: `(column, row, pixels per metre)` of its origin.
        reach: `(left, right, top)` metres that the drawing may take.
        light: `(3,)` brightness.
        side: where light comes from, -1 left .. 1 right.
    """

    def __init__(
        self,
        canvas: Canvas,
        foot: tuple[float, float, float],
        reach: tuple[float, float, float],
        light: np.ndarray,
        side: float,
    ) -> None:
        column, row, scale = foot
        corners = np.array(
            [
                [column - reach[0] * scale, row - reach[2] * scale],
                [column + reach[1] * scale, row + 0.08 * scale],
            ]
        )
        box = canvas.box(corners)
        self.empty = box is None or scale < 0.4
        left, top, right, bottom = box or (0, 0, 1, 1)
        self.left, self.top, self.right, self.bottom = left, top, right, bottom
        self.over = 2 if scale > 60 else 4 if scale < 20 else 3
        self.scale = scale * self.over
        self.round = ROUND if scale > 45 else ROUND[:1] + ROUND[2:3] if scale > 14 else SMALL
        self.origin = ((column - left) * self.over, (row - top) * self.over)
        size = ((bottom - top) * self.over, (right - left) * self.over)
        self.board = np.zeros((*size, 4), np.uint8)
        self.light, self.side = light * 255, side
        self._layers: list[list[Callable[[], None]]] | None = None

    def _paint(self, colour: np.ndarray, gain: float) -> Tone:
        r, g, b = (min(max(value, 0.0), 255.0) for value in (colour * self.light).tolist())
        return (min(r * gain, 255.0), min(g * gain, 255.0), min(b * gain, 255.0), 255.0)

    def _at(self, points: Sequence[Point] | np.ndarray) -> np.ndarray:
        pixels = np.asarray(points, np.float64) * (self.scale, -self.scale) + self.origin
        pixels = np.minimum(np.maximum(pixels - 0.5, -4000), 4000)
        return np.rint(pixels * (1 << SHIFT)).astype(np.int32)

    def limb(self, points: Sequence[Point], width: float, colour: np.ndarray) -> None:
        """Draw a rounded line through points; it looks like a cylinder."""
        for level, (share, gain, drift) in enumerate(self.round):
            shift = np.array([self.side, 0.3]) * drift * width
            thick = max(1, round(width * share * self.scale))
            pixels = self._at(np.asarray(points, np.float64) + shift)
            tone = self._paint(colour, gain)
            self._stroke(level, partial(self._line, pixels, tone, thick))

    def ball(
        self, middle: Point, radii: Point, colour: np.ndarray, turn: float = 0.0, soft: bool = True
    ) -> None:
        """Draw an ellipse, shaded like a ball unless told not to; `turn` in degrees."""
        for level, (share, gain, drift) in enumerate(self.round if soft else FLAT):
            x = middle[0] + self.side * drift * radii[0] * 1.2
            y = middle[1] + drift * radii[1] * 1.2
            centre = tuple(self._at([(x, y)])[0].tolist())
            axes = [max(8, round(r * share * self.scale * (1 << SHIFT))) for r in radii]
            tone = self._paint(colour, gain)
            self._stroke(level, partial(self._ellipse, centre, axes, turn, tone))

    def _stroke(self, level: int, draw: Callable[[], None]) -> None:
        if self._layers is None:
            draw()
        else:
            self._layers[level].append(draw)

    def _line(self, pixels: np.ndarray, tone: Tone, thick: int) -> None:
        cv2.polylines(self.board, [pixels], False, tone, thick, cv2.LINE_8, SHIFT)

    def _ellipse(self, centre: Sequence[int], axes: list[int], turn: float, tone: Tone) -> None:
        cv2.ellipse(self.board, centre, axes, turn, 0, 360, tone, -1, cv2.LINE_8, SHIFT)

    @contextmanager
    def fused(self) -> Iterator[None]:
        """Let the limbs and balls drawn inside grow together: all rims first, then all lights."""
        self._layers = [[] for _ in ROUND]
        yield
        for layer in self._layers:
            for draw in layer:
                draw()
        self._layers = None

    def ring(self, middle: Point, radius: float, width: float, colour: np.ndarray) -> None:
        """Draw a circle's line."""
        centre = tuple(self._at([middle])[0].tolist())
        thick = max(1, round(width * self.scale))
        axis = max(8, round(radius * self.scale * (1 << SHIFT)))
        cv2.circle(self.board, centre, axis, self._paint(colour, 1.0), thick, cv2.LINE_8, SHIFT)

    def shape(
        self, points: Sequence[Point] | np.ndarray, colour: np.ndarray, gain: float = 1.0
    ) -> None:
        """Fill a polygon."""
        cv2.fillPoly(self.board, [self._at(points)], self._paint(colour, gain), cv2.LINE_8, SHIFT)

    def patch(self, grain: float, salt: int, round_off: float = 0.0) -> Patch:
        """Shrink the board to image pixels.

        Args:
            grain: strength of the surface's noise.
            salt: picks the noise.
            round_off: how much edges are shaded away from the light, for flat shapes.
        """
        h, w = self.bottom - self.top, self.right - self.left
        small = cv2.resize(self.board, (w, h), interpolation=cv2.INTER_AREA)
        rgba = small * np.float32(1 / 255)
        field = grain_field()
        rows, columns = (np.arange(h) + salt * 37) % 256, (np.arange(w) + salt * 91) % 256
        gain = 1 + grain * field[rows][:, columns]
        if round_off:
            gain += round_off * self._relief(rgba[..., 3])
        gain *= np.linspace(1.04, 0.86, h, dtype=np.float32)[:, None]
        rgba[..., :3] *= np.clip(gain, 0.3, 1.7)[..., None]
        np.minimum(rgba[..., :3], rgba[..., 3:], out=rgba[..., :3])
        return Patch(rgba, self.left, self.top)

    def _relief(self, alpha: np.ndarray) -> np.ndarray:
        """Light on the swollen silhouette, around 0."""
        size = max(1.0, 0.11 * self.scale / self.over)
        pad = int(3 * size) + 1
        body = cv2.copyMakeBorder(alpha, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
        body = cv2.GaussianBlur(body, (0, 0), size)
        slope_x = cv2.Sobel(body, cv2.CV_32F, 1, 0, scale=0.125) * size * 4
        slope_y = cv2.Sobel(body, cv2.CV_32F, 0, 1, scale=0.125) * size * 4
        relief = -self.side * slope_x + 0.9 * slope_y
        return relief[pad:-pad, pad:-pad]
