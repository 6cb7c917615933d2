"""The picture under construction: colours and labels, painted from far to near."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

SHIFT = 4
"""Binary places of the sub-pixel positions given to OpenCV."""
FAR = 20000.0


@dataclass(frozen=True)
class Patch:
    """A piece to paste.

    Args:
        rgba: `(h, w, 4)` float32, colours in 0..1 already multiplied by alpha.
        left: column of its first pixel.
        top: row of its first pixel.
    """

    rgba: np.ndarray
    left: int
    top: int


@dataclass(frozen=True)
class Texture:
    """An image at several sizes, each half of the one before.

    Args:
        levels: `(h, w, C)` uint8 each.
    """

    levels: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, image: np.ndarray) -> Texture:
        """Build the levels of an uint8 image `(h, w, C)`."""
        levels = [image]
        while min(levels[-1].shape[:2]) > 8:
            h, w = levels[-1].shape[:2]
            half = cv2.resize(levels[-1], (w // 2, h // 2), interpolation=cv2.INTER_AREA)
            levels.append(half)
        return cls(tuple(levels))

    def level(self, shrink: float) -> np.ndarray:
        """Return the level for a drawing `shrink` times smaller than the full image."""
        index = int(np.clip(np.floor(np.log2(max(shrink, 1e-3)) + 0.4), 0, len(self.levels) - 1))
        return self.levels[index]


def fixed(points: np.ndarray) -> np.ndarray:
    """Pixel positions, centres at .5, as the integers with `SHIFT` places that OpenCV takes."""
    scaled = (np.minimum(np.maximum(points, -FAR), FAR) - 0.5) * (1 << SHIFT)
    return np.rint(scaled).astype(np.int32)


class Canvas:
    """Image `(H, W, 3)` float32 and label `(H, W)` uint8.

    Args:
        height: rows.
        width: columns.
        haze: fading of distant things into the skyline, 1/m.
        skyline: `(3,)` RGB.
    """

    def __init__(self, height: int, width: int, haze: float, skyline: np.ndarray) -> None:
        self.image = np.zeros((height, width, 3), np.float32)
        self.label = np.full((height, width), 255, np.uint8)
        self.height, self.width = height, width
        self.haze, self.skyline = np.float32(haze), skyline.astype(np.float32)

    def box(self, points: np.ndarray) -> tuple[int, int, int, int] | None:
        """Pixel box (left, top, right, bottom) around points, cut to the picture."""
        low, high = points.min(0), points.max(0)
        left, top = max(0, int(np.floor(low[0])) - 1), max(0, int(np.floor(low[1])) - 1)
        right = min(self.width, int(np.ceil(high[0])) + 1)
        bottom = min(self.height, int(np.ceil(high[1])) + 1)
        return (left, top, right, bottom) if right > left and bottom > top else None

    def paste(self, patch: Patch, class_id: int, distance: float) -> None:
        """Blend a patch in; pixels that it covers by half or more take its class."""
        h, w = patch.rgba.shape[:2]
        top, left = max(0, patch.top), max(0, patch.left)
        bottom, right = min(self.height, patch.top + h), min(self.width, patch.left + w)
        if bottom <= top or right <= left:
            return
        rows, columns = slice(top, bottom), slice(left, right)
        rgba = patch.rgba[
            top - patch.top : bottom - patch.top, left - patch.left : right - patch.left
        ]
        alpha = np.ascontiguousarray(rgba[..., 3])
        through = np.exp(-self.haze * np.float32(distance))
        colour = np.asarray(cv2.cvtColor(np.ascontiguousarray(rgba), cv2.COLOR_RGBA2RGB))
        faded = colour * through + triple(alpha * (1 - through)) * self.skyline
        self.blend(rows, columns, faded, alpha, class_id)

    def blend(
        self, rows: slice, columns: slice, colour: np.ndarray, alpha: np.ndarray, class_id: int
    ) -> None:
        """Blend premultiplied colours into a region as they are, without haze; see `paste`."""
        region = self.image[rows, columns]
        region *= triple(1 - alpha)
        region += colour
        self.label[rows, columns][alpha >= 0.5] = class_id

    def polygon(
        self, points: np.ndarray, colour: np.ndarray, class_id: int, distance: float
    ) -> None:
        """Fill a convex polygon, `(N, 2)` pixels, with one colour."""
        box = self.box(points)
        if box is None:
            return
        left, top, right, bottom = box
        alpha = coverage(points - (left, top), bottom - top, right - left)
        through = np.exp(-self.haze * np.float32(distance))
        faded = np.asarray(colour, np.float32) * through + self.skyline * (1 - through)
        rows, columns = slice(top, bottom), slice(left, right)
        self.blend(rows, columns, triple(alpha) * faded, alpha, class_id)

    def quad(
        self,
        texture: Texture,
        corners: np.ndarray,
        distances: np.ndarray,
        shade: np.ndarray,
        class_id: int,
        span: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        """Draw a texture in perspective.

        Args:
            texture: RGB or RGBA; RGBA is blended by its alpha, and labelled all over.
            corners: `(4, 2)` pixels of its top left, top right, bottom right, bottom left.
            distances: `(4,)` metres.
            shade: `(3,)` factor on its colours.
            class_id: label of the whole quad.
            span: part of the texture's width to show, from 0..1; beyond 1 it repeats.
        """
        box = self.box(corners)
        if box is None:
            return
        left, top, right, bottom = box
        h, w = bottom - top, right - left
        local = (corners - (left, top)).astype(np.float32)
        image = texture.level(_shrink(texture, corners))
        rows, columns = image.shape[:2]
        a, b = span[0] * columns, span[1] * columns
        source = np.array([[a, 0], [b, 0], [b, rows], [a, rows]], np.float32)
        if abs(cv2.contourArea(local)) < 0.5:
            return
        # OpenCV puts pixel centres at whole numbers: shift both sides by half a pixel.
        matrix = cv2.getPerspectiveTransform(source - 0.5, local - 0.5)
        drawn = cv2.warpPerspective(image, matrix, (w, h), borderMode=cv2.BORDER_WRAP)
        alpha = coverage(local, h, w)
        see_through = drawn.shape[-1] == 4
        plain = cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB) if see_through else drawn
        paint = alpha * (drawn[..., 3] * np.float32(1 / 255)) if see_through else alpha
        through = np.exp(-self.haze / _along(local, 1 / distances, w))[None, :, None]
        rgb = plain * (through * (np.asarray(shade, np.float32) / 255))
        rgb += (1 - through) * self.skyline
        region = self.image[top:bottom, left:right]
        rgb -= region
        rgb *= triple(paint)
        region += rgb
        self.label[top:bottom, left:right][alpha >= 0.5] = class_id


def triple(values: np.ndarray) -> np.ndarray:
    """Repeat `(h, w)` float32 for three colours, `(h, w, 3)`."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(values), cv2.COLOR_GRAY2RGB))


def coverage(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Share of each pixel inside a convex polygon, `(height, width)` float32."""
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, fixed(points), 255, cv2.LINE_AA, SHIFT)
    return mask * np.float32(1 / 255)


def _shrink(texture: Texture, corners: np.ndarray) -> float:
    rows, columns = texture.levels[0].shape[:2]
    tall = max(abs(corners[3] - corners[0]).max(), abs(corners[2] - corners[1]).max(), 1)
    wide = max(abs(corners[1] - corners[0]).max(), abs(corners[2] - corners[3]).max(), 1)
    return float((rows / tall) ** 0.6 * (columns / wide) ** 0.4)


def _along(local: np.ndarray, nearness: np.ndarray, width: int) -> np.ndarray:
    """Nearness of each column between the left and the right end of an upright quad, `(width,)`."""
    ends = (local[0, 0] + local[3, 0]) / 2, (local[1, 0] + local[2, 0]) / 2
    values = nearness[[0, 1]] if ends[0] <= ends[1] else nearness[[1, 0]]
    columns = np.arange(width, dtype=np.float32)
    return np.interp(columns, sorted(ends), values).astype(np.float32)


@lru_cache(maxsize=8)
def radial(size: int) -> np.ndarray:
    """Soft round spot, 1 in the middle and 0 at the rim, `(size, size)` float32."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    radius = np.hypot(axis[:, None], axis[None])
    return np.clip(1 - radius, 0, 1) ** 1.3
