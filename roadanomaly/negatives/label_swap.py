"""Wrong labels on unchanged images: what a network that resynthesises from labels learns from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch

from roadanomaly.data.class_names import CITYSCAPES, CITYSCAPES_SHARES
from roadanomaly.errors import OptionError
from roadanomaly.negatives.base import NegativeSource
from roadanomaly.negatives.checks import check_choice, check_range
from roadanomaly.negatives.outlines import random_mask
from roadanomaly.types import ASSUMED, IGNORE, INLIER, NEGATIVE, Batch, is_known

THINGS = tuple(range(11, 19))
"""Person to bicycle of Cityscapes' train ids: classes that have instances."""


class LabelSwap(NegativeSource):
    """Gives objects another class; a detector that looks for wrong labels is trained on it.

    Images stay as they are. The connected components of some classes are the objects; the chosen
    ones get another class in the note `ASSUMED` and `NEGATIVE` in the label. What is void is
    assumed to be nothing, so the segmenter's own class is taken there, and counts for nothing.

    Args:
        share: least and greatest share of a crop's objects that are swapped, drawn uniformly.
        swap: classes whose objects may be swapped; the default is Cityscapes' person to bicycle.
        to: classes that they may get, another than their own; the default is Cityscapes' 19.
        to_by: `"frequency"` draws the new class by `frequencies`, `"uniform"` takes all of `to` as
            equally likely.
        frequencies: how often each class is seen, by class index, in any unit; the default is the
            pixels of Cityscapes' training images.
        min_area: pixels of the crop that an object has at least.
        blobs: fewest and most blobs of random outline in a crop that get another class, whatever
            they show.
        blob_side: least and greatest longest side of a blob, in pixels, drawn log-uniformly.
        predicted: share of crops in which what is not swapped keeps the segmenter's own class in
            place of the true one, so that its ordinary errors are seen as inliers.

    Raises:
        OptionError: a value out of range, no class to swap to, or a class without a frequency.

    Source: Lis et al., 2019, Detecting the Unexpected via Image Resynthesis, section 3.3, whose
    code swaps half of the instances of a Cityscapes frame and draws the new class uniformly;
    `share: [0, 1]` is the uniform number of SynBoost, whose code draws the new class from a list
    weighted by hand. Differs: with all classes equally likely, a bus, truck or train is seen more
    often where it was put than where it is, so that the detector learns to call these classes wrong
    (its users report it); with the frequencies of pixels, what part of a class's pixels is wrong is
    about the same for all classes, and the label alone says nothing. They are a fixed table, since
    a batch holds too few objects to count and a running count would make a crop depend on those
    before it. For other classes than Cityscapes' give `frequencies`. Differs also: objects are
    connected components, since CamVid has no instances; the draw changes from epoch to epoch (it
    depends on the crop's number in the run, not on the image); void is filled with the segmenter's
    class, as at inference, and never trained on. `blobs` and `predicted` are not in the papers.
    """

    content = "synthetic negatives"

    def __init__(
        self,
        share: Sequence[float] = (0.5, 0.5),
        swap: Sequence[int] = THINGS,
        to: Sequence[int] = tuple(range(len(CITYSCAPES))),
        to_by: str = "frequency",
        frequencies: Sequence[float] = CITYSCAPES_SHARES,
        min_area: int = 50,
        blobs: Sequence[int] = (0, 0),
        blob_side: Sequence[float] = (16, 160),
        predicted: float = 0.0,
    ) -> None:
        super().__init__()
        check_range("share", share, 0, 1)
        check_range("blobs", blobs, 0, 1000)
        check_range("blob_side", blob_side, 4, 100000)
        check_range("predicted", (predicted, predicted), 0, 1)
        check_range("min_area", (min_area, min_area), 1, 10**9)
        for name, classes in (("swap", swap), ("to", to)):
            wrong = [one for one in classes if not 0 <= one < INLIER]
            if wrong:
                msg = f"label_swap: `{name}` holds {wrong[0]}, which is no class index."
                raise OptionError(msg)
        if len(set(to)) < 2:
            msg = f"label_swap: `to` is {list(to)}; two classes are needed to swap between."
            raise OptionError(msg)
        check_choice("to_by", to_by, ("frequency", "uniform"))
        self.share, self.min_area = share, min_area
        self.swap, self.targets = tuple(swap), np.array(sorted(set(to)), np.uint8)
        self.to_by = to_by
        self.weights = _weights(self.targets, frequencies) if to_by == "frequency" else None
        self.blobs, self.blob_side = blobs, blob_side
        self.predicted = predicted

    def mix(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Swap labels of each crop; see `NegativeSource.mix`."""
        label, assumed = [], []
        for true in batch.label.numpy():
            found, given = self._swapped(true, rng)
            label.append(torch.from_numpy(found))
            assumed.append(torch.from_numpy(given))
        original = batch.image if batch.original is None else batch.original
        mixed = replace(batch, label=torch.stack(label), original=original)
        return mixed.noted({ASSUMED: torch.stack(assumed)})

    def record(self) -> dict[str, Any]:
        """Return which classes are swapped for which, and how many."""
        return {
            "name": "label_swap",
            "share": list(self.share),
            "swap": list(self.swap),
            "to": self.targets.tolist(),
            "to_by": self.to_by,
            "blobs": list(self.blobs),
            "predicted": self.predicted,
        }

    def _swapped(self, true: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the label with negatives, and what is assumed, of one crop `(H, W)`."""
        given = true.copy()
        objects = list(components(true, self.swap, self.min_area))
        # the fraction left over decides by chance, so that the share holds for few objects too
        share = rng.uniform(self.share[0], self.share[1])
        count = int(share * len(objects) + rng.random())
        for place in rng.permutation(len(objects))[:count]:
            cls, mask = objects[place]
            given[mask] = self._other(cls, rng)
        for _ in range(rng.integers(self.blobs[0], self.blobs[1] + 1)):
            mask = self._blob(true.shape, rng)
            if mask.any():
                given[mask] = self._other(int(np.bincount(true[mask]).argmax()), rng)
        given[~is_known(true)] = IGNORE
        wrong = (given != true) & is_known(true)
        if rng.random() < self.predicted:
            given[~wrong] = IGNORE
        return np.where(wrong, np.uint8(NEGATIVE), true), given

    def _other(self, cls: int, rng: np.random.Generator) -> np.uint8:
        others = self.targets != cls
        allowed = self.targets[others]
        if self.weights is None:
            return allowed[rng.integers(len(allowed))]
        weights = self.weights[others]
        return rng.choice(allowed, p=weights / weights.sum())

    def _blob(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Draw a blob somewhere in a crop; `(H, W)` bool."""
        low, high = self.blob_side
        side = round(low * (high / low) ** rng.random())
        outline = random_mask("blob", side, rng) >= 0.5
        mask = np.zeros(shape, bool)
        top, left = (
            int(rng.integers(-(length // 2), room - length // 2))
            for length, room in zip(outline.shape, shape, strict=True)
        )
        seen = mask[max(0, top) : top + outline.shape[0], max(0, left) : left + outline.shape[1]]
        seen[:] = outline[max(0, -top) :, max(0, -left) :][: seen.shape[0], : seen.shape[1]]
        return mask


def _weights(targets: np.ndarray, frequencies: Sequence[float]) -> np.ndarray:
    """Return the frequencies of some classes.

    Raises:
        OptionError: a class has none, or fewer than two could be drawn.
    """
    if max(targets) >= len(frequencies):
        msg = (
            f"label_swap: `to` holds the class {max(targets)}, and `frequencies` gives those of "
            f"{len(frequencies)} classes. Give one a class, or `to_by: uniform`."
        )
        raise OptionError(msg)
    found = np.array(frequencies, float)[targets]
    if not np.isfinite(found).all() or found.min() < 0 or np.count_nonzero(found) < 2:
        msg = (
            f"label_swap: `frequencies` of the classes of `to` are {found.tolist()}; they must not "
            "be negative, and at least two of them must be above 0."
        )
        raise OptionError(msg)
    return found


def components(
    label: np.ndarray, classes: Sequence[int], min_area: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the 8-connected components of some classes of `(H, W)` labels: class and mask."""
    for cls in classes:
        _, numbers, stats, _ = cv2.connectedComponentsWithStats((label == cls).astype(np.uint8))
        for number in np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= min_area) + 1:
            yield cls, numbers == number
