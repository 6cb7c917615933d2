"""The segments of a score above a threshold, each described by a row of numbers."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

LEAST = 1e-12
"""Probabilities below it count as it."""


@dataclass(frozen=True)
class Segments:
    """The 8-connected regions of one image.

    Args:
        labels: `(H, W)` int32, 0 outside, else the number of the region, from 1.
        rows: `(N, F)` float64, what is known of each; see `columns`.
    """

    labels: np.ndarray
    rows: np.ndarray


def columns(classes: int) -> int:
    """Return how many numbers describe a segment, F, of a network of so many classes."""
    return 5 + 4 * 6 + 2 * classes + 2


def find_segments(score: np.ndarray, probabilities: np.ndarray, threshold: float) -> Segments:
    """Describe the regions of a score above a threshold.

    The numbers, in order:

    - pixels in all, inside and on the rim (a pixel is inside where its 3x3 neighbours belong to a
      segment too), and the first two over the rim, the relative sizes;
    - of the score, the entropy (a share of ln K), the variation ratio `1 - p_1` and the margin
      `1 - p_1 + p_2` each: the mean over all pixels, inside and on the rim, the first two of these
      times the relative sizes, and the variance;
    - the mean probability of each class;
    - the share of each predicted class among the pixels beside it;
    - the centroid's row and column as shares of the image.

    Args:
        score: `(H, W)` float.
        probabilities: `(K, H, W)` float, over the known classes.
        threshold: pixels above it belong to a region.
    """
    above = (score > threshold).astype(np.uint8)
    count, labels = cv2.connectedComponents(above, connectivity=8)
    if count == 1:
        return Segments(labels, np.zeros((0, columns(len(probabilities)))))
    owner = labels.ravel()
    inside = cv2.erode(above, np.ones((3, 3), np.uint8), borderValue=0).ravel() > 0
    inner, rim = owner * inside, owner * ~inside

    def mean(values: np.ndarray, where: np.ndarray) -> np.ndarray:
        sums = np.bincount(where, values.ravel(), count)[1:]
        return sums / np.maximum(np.bincount(where, minlength=count)[1:], 1)

    size, size_in, size_rim = (
        np.bincount(where, minlength=count)[1:].astype(float) for where in (owner, inner, rim)
    )
    relative, relative_in = size / size_rim, size_in / size_rim
    found = [size, size_in, size_rim, relative, relative_in]
    for heat in (score, *_dispersion(probabilities)):
        everywhere, within = mean(heat, owner), mean(heat, inner)
        variance = mean(np.square(heat, dtype=np.float64), owner) - everywhere**2
        found += [everywhere, within, mean(heat, rim)]
        found += [everywhere * relative, within * relative_in, np.maximum(variance, 0)]
    found += [mean(one, owner) for one in probabilities]
    found += list(_around(labels, probabilities.argmax(0), count, len(probabilities)))
    places = np.indices(score.shape)
    found += [mean(places[side], owner) / score.shape[side] for side in (0, 1)]
    return Segments(labels, np.stack(found, 1))


def _dispersion(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return entropy, variation ratio and margin, `(H, W)` each, in 0..1: 1 is undecided."""
    log_p = np.log(np.maximum(probabilities, LEAST))
    entropy = -(probabilities * log_p).sum(0) / np.log(max(2, len(probabilities)))
    highest = np.partition(probabilities, -2, 0)[-2:] if len(probabilities) > 1 else probabilities
    first = highest[-1]
    second = highest[0] if len(highest) > 1 else np.zeros_like(first)
    return entropy, 1 - first, 1 - first + second


def _around(labels: np.ndarray, predicted: np.ndarray, count: int, classes: int) -> np.ndarray:
    """Return the share of each predicted class among the pixels beside each segment, `(K, N)`."""
    shares = np.zeros((count, classes))
    grown = cv2.dilate(labels.astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.int64)
    beside = (labels == 0) & (grown > 0)
    np.add.at(shares, (grown[beside], predicted[beside]), 1)
    shares /= np.maximum(shares.sum(1, keepdims=True), 1)
    return shares[1:].T
