"""Colour matrices, noise and compression on `(H, W, 3)` uint8 arrays, fast enough for a loader."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.special import ndtri

GREY = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in luma, ITU-R BT.601."""

_YIQ = np.array([GREY, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
_RGB = np.linalg.inv(_YIQ)

_NORMAL = ndtri((np.arange(256) + 0.5) / 256)

NOISE_TABLE = _NORMAL / _NORMAL.std()
"""256 equally likely values of mean 0 and deviation 1: what a byte stands for in noise."""


def colour_matrix(saturation: float, turn: float) -> np.ndarray:
    """Return the 3×3 matrix on RGB that scales chroma and turns it about the grey axis.

    Args:
        saturation: factor on chroma; 0 gives grey, 1 changes nothing.
        turn: angle in radians in the plane of I and Q; positive goes from red to yellow to green.
    """
    cos, sin = saturation * np.cos(turn), saturation * np.sin(turn)
    return _RGB @ np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]]) @ _YIQ


def blur(array: np.ndarray, sigma: float) -> np.ndarray:
    """Blur by a Gaussian of `sigma` pixels, edges mirrored."""
    return cv2.GaussianBlur(array, (0, 0), sigma)


def add_noise(array: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise of `sigma` grey levels, from a table of 256 equally likely values."""
    table = np.rint(NOISE_TABLE * sigma).astype(np.int16)
    draws = np.frombuffer(rng.bytes(array.size), np.uint8).reshape(array.shape)
    return cv2.add(array, table[draws], dtype=cv2.CV_8U)


def recompress(array: np.ndarray, quality: int) -> np.ndarray:
    """Return RGB as it is after JPEG of `quality`, 1 to 100."""
    bgr = cv2.cvtColor(array, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB))
