"""Lay a patch over an image: soft edges, colours nearer to the background, weighted sum."""

from __future__ import annotations

import cv2
import numpy as np

from roadanomaly.types import IGNORE, NEGATIVE

CORE = 0.5
"""Alpha from which a pixel shows the negative."""

TRACE = 0.1
"""Alpha from which a pixel shows some of the negative: between this and `CORE` it is ignored."""

SHADOW = 0.15
"""Half height of a shadow, as a share of its object's."""

GAIN = (0.5, 2.0)
"""Range of the contrast gain of `match_colour`, so that a flat road does not flatten the object."""


def feather(mask: np.ndarray, radius: float) -> np.ndarray:
    """Soften a mask's edge inwards, so that nothing of what was around the object shows.

    Alpha grows with the distance d to the outside as `min(1, d / (radius + 1))`; pixels at the
    edge have d = 1. The radius is cut where the object is too thin to keep a core of alpha 1.

    Args:
        mask: `(h, w)` float32 in 0..1; softer edges that it has already stay, multiplied.
        radius: pixels; 0 returns the mask as it is.

    Returns:
        `(h, w)` float32 in 0..1, never above `mask`.
    """
    if radius <= 0:
        return mask
    inside = cv2.copyMakeBorder((mask >= CORE).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    reach = min(radius + 1, max(1.0, float(distance.max())))
    return mask * np.minimum(1, distance / reach)


def match_colour(
    patch: np.ndarray, alpha: np.ndarray, region: np.ndarray, strength: float
) -> np.ndarray:
    """Move the object's mean and contrast towards those of the background, channel by channel.

    With mean m and deviation s of the object (alpha >= 0.5), mean M and deviation S of the region
    and gain g = S / s held within `GAIN`: `patch + strength * ((patch - m) * g + M - patch)`.
    That is the statistics transfer of Reinhard et al., Color Transfer between Images, 2001, in
    RGB and in part.

    Args:
        patch: `(h, w, 3)` float32 in 0..255.
        alpha: `(h, w)` in 0..1.
        region: `(h', w', 3)` background pixels.
        strength: 0 leaves the patch, 1 gives it the background's statistics.

    Returns:
        `(h, w, 3)` float32, not clipped.
    """
    if strength <= 0 or not region.size:
        return patch
    core = (alpha >= CORE).astype(np.uint8)
    if not core.any():
        return patch
    mean, deviation = (v[:, 0] for v in cv2.meanStdDev(patch, mask=core))
    target_mean, target_deviation = (v[:, 0] for v in cv2.meanStdDev(region))
    gain = np.clip(target_deviation / np.maximum(deviation, 1e-6), *GAIN)
    scale = 1 + strength * (gain - 1)
    shift = strength * (target_mean - gain * mean)
    return patch * scale.astype(np.float32) + shift.astype(np.float32)


def blend(
    image: np.ndarray, patch: np.ndarray, alpha: np.ndarray, top: int, left: int
) -> np.ndarray:
    """Return a new image that is `alpha * patch + (1 - alpha) * image` where the patch lies.

    Args:
        image: `(H, W, 3)` uint8.
        patch: `(h, w, 3)` in 0..255; what lies outside the image is cut off.
        alpha: `(h, w)` in 0..1; where it is 0 the image stays bit for bit.
        top: row of the patch's first row; may be negative.
        left: column of the patch's first column; may be negative.
    """
    result = image.copy()
    there, here = overlap(image.shape, patch.shape, top, left)
    below = result[there].astype(np.float32)
    mixed = below + alpha[here][..., None] * (np.clip(patch[here], 0, 255) - below)
    result[there] = np.rint(mixed).astype(np.uint8)
    return result


def cast_shadow(
    image: np.ndarray, alpha: np.ndarray, top: int, left: int, darkness: float
) -> np.ndarray:
    """Return a new image with a soft shadow on the ground at an object's foot.

    The shadow is as wide as the object and `SHADOW` of its height, around its lowest rows; it fades
    from the middle outwards as a Gaussian that is down to 1/e^2 at the rim.

    Args:
        image: `(H, W, 3)` uint8.
        alpha: `(h, w)` in 0..1, of the object that will stand there.
        top: row of the object's first row.
        left: column of the object's first column.
        darkness: by which share the middle is darkened, 0..1.
    """
    rows, columns = (alpha >= CORE).nonzero()
    if not len(rows) or darkness <= 0:
        return image
    wide, high = np.ptp(columns) + 1, max(2.0, SHADOW * (np.ptp(rows) + 1))
    middle = top + rows.max(), left + (columns.min() + columns.max()) / 2
    down = (np.arange(image.shape[0]) - middle[0]) / high
    across = (np.arange(image.shape[1]) - middle[1]) / (wide / 2 + 1)
    depth = np.exp(-2 * (down[:, None] ** 2 + across[None, :] ** 2)).astype(np.float32)
    return np.rint(image * (1 - darkness * depth)[..., None]).astype(np.uint8)


def mark(
    label: np.ndarray, alpha: np.ndarray, top: int, left: int, value: int = NEGATIVE
) -> np.ndarray:
    """Return a new label: `value` where alpha >= 0.5, `IGNORE` in the soft edge around it.

    The edge, alpha from 0.1 to 0.5, shows both, so neither a class below nor what is laid over it
    may learn it. Where a negative's edge lies on an earlier negative, all of it is negative.

    Args:
        label: `(H, W)` uint8.
        alpha: `(h, w)` in 0..1.
        top: row of the patch's first row; may be negative.
        left: column of the patch's first column; may be negative.
        value: what the pixels of the patch show.
    """
    result = label.copy()
    there, here = overlap(label.shape, alpha.shape, top, left)
    inside, below = alpha[here], result[there]
    edge = (inside >= TRACE) & (inside < CORE)
    if value == NEGATIVE:
        edge &= below != NEGATIVE
    below[edge] = IGNORE
    below[inside >= CORE] = value
    return result


def overlap(
    outer: tuple[int, ...], inner: tuple[int, ...], top: int, left: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the window of a `(H, W, ...)` array that a patch covers, and that of the patch."""
    first_row, first_column = max(0, top), max(0, left)
    last_row = max(first_row, min(outer[0], top + inner[0]))
    last_column = max(first_column, min(outer[1], left + inner[1]))
    there = slice(first_row, last_row), slice(first_column, last_column)
    here = (
        slice(first_row - top, last_row - top),
        slice(first_column - left, last_column - left),
    )
    return there, here
