"""Random changes of a training frame that move image, label and anomaly mask together.

Every transform is a frozen value, called with a frame and a generator; it draws all that it
randomises from the generator, so equal generators give equal frames. Images stay uint8. Images are
resampled linearly, by area where they shrink; masks take the nearest pixel, so no id is invented,
and what a crop adds outside the image is `IGNORE` in them. A crop keeps its place in the frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from roadanomaly.data import colour, degrade
from roadanomaly.data.colour import GREY, colour_matrix
from roadanomaly.data.geometry import draw_window, pad, scale_mask
from roadanomaly.data.image_arrays import scale_image
from roadanomaly.data.images import to_array, to_tensor
from roadanomaly.errors import OptionError
from roadanomaly.types import NEGATIVE, Batch, Frame, Place, is_known

LARGEST = 2**28
"""Pixels of a frame."""

Pixels = TypeVar("Pixels", np.ndarray, Tensor)


class Transform(Protocol):
    """A frame and a generator in, a new frame out."""

    def __call__(self, frame: Frame, rng: np.random.Generator) -> Frame:
        """Return the changed frame; the given one is left as it was."""
        ...


@dataclass(frozen=True)
class Compose:
    """Transforms one after the other."""

    transforms: tuple[Transform, ...]

    def __call__(self, frame: Frame, rng: np.random.Generator) -> Frame:
        """Apply them in order."""
        for transform in self.transforms:
            frame = transform(frame, rng)
        return frame


@dataclass(frozen=True)
class Resize:
    """Bring a frame to one size, whatever its proportions.

    Args:
        height: of the result, in pixels.
        width: of the result, in pixels.
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        _require_size(self, self.height, self.width)

    def __call__(self, frame: Frame, rng: np.random.Generator) -> Frame:
        """Return the frame at the new size; nothing is random."""
        size = (self.height, self.width)
        return _move(frame, lambda a: scale_image(a, size), lambda a: scale_mask(a, size))


@dataclass(frozen=True)
class RandomScale:
    """Scale a frame by a factor that is uniform in `low..high`, keeping its proportions.

    Args:
        low: smallest factor, above 0.
        high: largest factor.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _require_scales(self, self.low, self.high)

    def __call__(self, frame: Frame, rng: np.random.Generator) -> Frame:
        """Return the scaled frame."""
        size = _scaled(frame, float(rng.uniform(self.low, self.high)))
        return _move(frame, lambda a: scale_image(a, size), lambda a: scale_mask(a, size))


@dataclass(frozen=True)
class RandomCrop:
    """Cut out a window at a random place.

    A frame that is smaller than the window lies at a random place in it; around it the image
    repeats its edge and the masks are `IGNORE`.

    Args:
        height: of the window, in pixels.
        width: of the window, in pixels.
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        _require_size(self, self.height, self.width)

    def __call__(self, frame: Frame, rng: np.random.Generator) -> Frame:
        """Return the window."""
        return RandomScaleCrop(self.height, self.width, 1.0, 1.0)(frame, rng)


@dataclass(frozen=True)
class RandomScaleCrop:
    """Scale by a factor that is uniform in `low..high`, then cut out a window at a random place.

    Computed the other way round: the part of the frame that the window will show is cut out first,
    so that only its pixels are resampled. Its sides are rounded to whole pixels, which changes the
    factor of a side by at most half a pixel over the window.

    Args:
        height: of the window, in pixels.
        width: of the window, in pixels.
        low: smallest factor, above 0.
        high: largest factor.
        balance: share of windows that show a pixel of a class drawn evenly from those of the frame,
            negatives among them, so that rare ones are seen more often.
    """

    height: int
    width: int
    low: float = 0.5
    high: float = 2.0
    balance: float = 0.0

    def __post_init__(self) -> None:
        _require_size(self, self.height, self.width)
        _require_scales(self, self.low, self.high)
        _require(0 <= self.balance <= 1, self, "balance", self.balance, "0 to 1")

    def __call__(self, frame: Frame, rng: np.random.Generator) -> Frame:
        """Return the window of the scaled frame."""
        scaled = _scaled(frame, float(rng.uniform(self.low, self.high)))
        row, column = self._shown(frame, rng)
        rows = draw_window(frame.image.shape[1], scaled[0], self.height, rng, row)
        columns = draw_window(frame.image.shape[2], scaled[1], self.width, rng, column)
        part = np.s_[rows.start : rows.stop, columns.start : columns.stop]
        size = (rows.length, columns.length)
        border = (*rows.padding(self.height), *columns.padding(self.width))

        def image(array: np.ndarray) -> np.ndarray:
            return pad(scale_image(array[part], size), border, cv2.BORDER_REPLICATE)

        def mask(array: np.ndarray) -> np.ndarray:
            return pad(scale_mask(array[part], size), border, cv2.BORDER_CONSTANT)

        edges = rows.edges(self.height), columns.edges(self.width)
        return replace(_move(frame, image, mask), place=_part_of(frame, *edges))

    def _shown(self, frame: Frame, rng: np.random.Generator) -> tuple[int | None, int | None]:
        """Draw the row and column of a pixel that the window must show, or none."""
        if not self.balance or frame.label is None or rng.random() >= self.balance:
            return None, None
        label = frame.label.numpy()
        classes = [one for one in np.unique(label) if is_known(one) or one == NEGATIVE]
        if not classes:
            return None, None
        places = np.flatnonzero(label == rng.choice(classes))
        row, column = divmod(int(rng.choice(places)), label.shape[1])
        return row, column


@dataclass(frozen=True)
class RandomFlip:
    """Mirror left and right.

    Args:
        p: probability.
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        _require(0 <= self.p <= 1, self, "p", self.p, "0 to 1")

    def __call__(self, frame: Frame, rng: np.random.Generator) -> Frame:
        """Return the frame, mirrored or not."""
        if rng.random() >= self.p:
            return frame
        top, left, bottom, right = frame.place
        return replace(_move(frame, _mirror, _mirror), place=(top, 1 - right, bottom, 1 - left))


@dataclass(frozen=True)
class ColourJitter:
    """Change brightness, contrast, saturation and hue by random amounts.

    The first three draw a factor in `1 - value..1 + value`: brightness scales all values, contrast
    their distance from the image's mean grey, saturation their distance from the pixel's own grey
    (ITU-R BT.601). Hue turns colours about the grey axis, in YIQ, at constant luma.

    Args:
        brightness: 0 to 1.
        contrast: 0 to 1.
        saturation: 0 to 1.
        hue: largest turn to either side, 0 to 0.5 of a full one.
    """

    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3
    hue: float = 0.02

    def __post_init__(self) -> None:
        for option in ("brightness", "contrast", "saturation"):
            value = getattr(self, option)
            _require(0 <= value <= 1, self, option, value, "0 to 1")
        _require(0 <= self.hue <= 0.5, self, "hue", self.hue, "0 to 0.5")

    def __call__(self, frame: Frame, rng: np.random.Generator) -> Frame:
        """Return the frame in other colours."""
        array = to_array(frame.image)
        brightness, contrast, saturation = (
            float(rng.uniform(1 - value, 1 + value))
            for value in (self.brightness, self.contrast, self.saturation)
        )
        turn = 2 * np.pi * float(rng.uniform(-self.hue, self.hue))
        grey = brightness * float(cv2.mean(array)[:3] @ GREY)
        levels = contrast * brightness * np.arange(256) + (1 - contrast) * grey
        array = cv2.LUT(array, np.clip(np.rint(levels), 0, 255).astype(np.uint8))
        return replace(
            frame, image=to_tensor(cv2.transform(array, colour_matrix(saturation, turn)))
        )


@dataclass(frozen=True)
class Degrade:
    """Make a whole image worse as a camera would: blur, then sensor noise, then JPEG.

    Run it after negatives were put in: inliers and negatives are then spoilt alike, and the seams
    and sharpness of what was pasted say less. Float images, as they are inside a training step, are
    degraded in torch, with gradients, and end in whole grey levels as those of a loader do: with an
    equal generator both ways give the same image but for rounding.

    Args:
        blur: largest standard deviation of a Gaussian blur, in pixels; 0 to 10.
        jpeg: lowest quality of the compression, 1 to 100; drawn from `jpeg..100`.
        noise: largest standard deviation of the noise, in grey levels; 0 to 64. It is Gaussian,
            cut off at 2.9 standard deviations, independent per pixel and channel.
        p: probability of each of the three by itself; what has the value 0 never happens.
    """

    blur: float = 1.5
    jpeg: int = 40
    noise: float = 8.0
    p: float = 0.5

    def __post_init__(self) -> None:
        _require(0 <= self.blur <= 10, self, "blur", self.blur, "0 to 10 pixels")
        _require(0 <= self.jpeg <= 100, self, "jpeg", self.jpeg, "1 to 100, or 0 for none")
        _require(0 <= self.noise <= 64, self, "noise", self.noise, "0 to 64 grey levels")
        _require(0 <= self.p <= 1, self, "p", self.p, "0 to 1")

    def __call__(self, frame: Frame, rng: np.random.Generator) -> Frame:
        """Return the frame with a worse image."""
        return replace(frame, image=self.image(frame.image, rng))

    def batch(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Degrade each image of a batch; `original` and notes stay as they were."""
        return replace(batch, image=torch.stack([self.image(one, rng) for one in batch.image]))

    def image(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        """Degrade one image, `(3, H, W)`: uint8, or float in 0..1."""
        if not image.is_floating_point():
            return to_tensor(self._spoilt(to_array(image).copy(), rng, _ARRAYS))
        if not self.p:
            return image
        with torch.autocast(image.device.type, enabled=False):
            return self._spoilt(degrade.grey_levels(image), rng, _TENSORS)

    def _spoilt(self, image: Pixels, rng: np.random.Generator, means: _Means[Pixels]) -> Pixels:
        blurs, noisy, compresses = rng.random(3) < self.p
        if blurs and self.blur:
            sigma = float(rng.uniform(0, self.blur))
            image = means.blur(image, max(sigma, 0.01))
        if noisy and self.noise:
            image = means.noise(image, float(rng.uniform(0, self.noise)), rng)
        if compresses and self.jpeg:
            image = means.jpeg(image, int(rng.integers(self.jpeg, 101)))
        return image


@dataclass(frozen=True)
class _Means(Generic[Pixels]):
    """What `Degrade` does, for one kind of image."""

    blur: Callable[[Pixels, float], Pixels]
    noise: Callable[[Pixels, float, np.random.Generator], Pixels]
    jpeg: Callable[[Pixels, int], Pixels]


_ARRAYS = _Means(colour.blur, colour.add_noise, colour.recompress)
_TENSORS = _Means[Tensor](
    lambda image, sigma: degrade.grey_levels(degrade.blur(image, sigma)),
    lambda image, sigma, rng: degrade.grey_levels(degrade.add_noise(image, sigma, rng)),
    degrade.recompress,
)


def _scaled(frame: Frame, factor: float) -> tuple[int, int]:
    height, width = frame.image.shape[-2:]
    return max(1, round(height * factor)), max(1, round(width * factor))


def _move(
    frame: Frame,
    image: Callable[[np.ndarray], np.ndarray],
    mask: Callable[[np.ndarray], np.ndarray],
) -> Frame:
    """Apply a change of geometry to everything in a frame that has pixels."""
    label, anomaly = (
        None if part is None else torch.from_numpy(np.ascontiguousarray(mask(part.numpy())))
        for part in (frame.label, frame.anomaly)
    )
    moved = np.ascontiguousarray(image(to_array(frame.image)))
    return replace(frame, image=to_tensor(moved), label=label, anomaly=anomaly)


def _part_of(frame: Frame, rows: tuple[float, float], columns: tuple[float, float]) -> Place:
    """Return the place of a window of a frame, or of a crop, given its edges in pixels of that."""
    height, width = frame.image.shape[-2:]
    top, left, bottom, right = frame.place
    upper, lower = (top + (bottom - top) * edge / height for edge in rows)
    begin, end = (left + (right - left) * edge / width for edge in columns)
    return upper, begin, lower, end


def _mirror(array: np.ndarray) -> np.ndarray:
    return cv2.flip(array, 1)


def _require_size(owner: object, height: int, width: int) -> None:
    _require(height >= 1, owner, "height", height, "1 pixel or more")
    _require(width >= 1, owner, "width", width, "1 pixel or more")
    if height * width > LARGEST:
        msg = (
            f"{height}x{width} pixels are too many for {type(owner).__name__}: one frame alone "
            f"takes {3 * height * width / 1e9:.1f} GB. At most {LARGEST} pixels are allowed."
        )
        raise OptionError(msg)


def _require_scales(owner: object, low: float, high: float) -> None:
    _require(0 < low <= high, owner, "low", low, f"above 0 and at most `high`, {high}")


def _require(holds: bool, owner: object, option: str, value: float, allowed: str) -> None:
    if not holds:
        msg = f"`{option}` of {type(owner).__name__} is {value}; allowed is {allowed}."
        raise OptionError(msg)
