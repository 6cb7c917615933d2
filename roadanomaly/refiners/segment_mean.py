"""The mean of a score over a segment: an object is judged as one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from roadanomaly.catalogue import called
from roadanomaly.errors import KindError, OptionError, nearest
from roadanomaly.extras import require
from roadanomaly.refiners.base import Refiner
from roadanomaly.refiners.segment_files import SegmentFiles
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Segmentation

if TYPE_CHECKING:
    from roadanomaly.refiners.segment_anything import SegmentAnything

By = Literal["classes", "files", "queries", "sam"]
BYS: tuple[str, ...] = ("classes", "files", "queries", "sam")
WANTED = {"folder": "files", "model": "sam"}
"""Options that one kind of segments needs and the others lack."""
MOST_POINTS = 256
"""Of the grid of prompts, a side."""


class SegmentMean(Refiner):
    """Gives every pixel of a segment the mean score of the segment.

    Segments are what the network itself tells apart (`classes`: the 8-connected regions of its
    class map; `queries`: of a mask network the pixels at which a query is strongest), what lies in
    files (`files`: a label map or a folder of masks a frame, as `SegmentFiles` reads them), or what
    a SAM of transformers finds (`sam`: automatic masks, as `SegmentAnything` makes them). Pixels of
    no segment, 0 in files and under no mask of a SAM, keep their scores. A region may be all of
    the road, whose mean would drown an obstacle that is taken for road, so segments larger than
    `largest` keep their pixels' scores.

    Files are found by the frame's id, which `evaluate`, `fit`, `worlds` and `predict` (there the
    name of the result: that of the image without its ending) know; `train`, `adapt`, video and
    `serve` have none. A SAM computes on the model's device.
    Neither files nor a SAM's weights are saved with the model: their place or name is, and loading
    takes the SAM from there.

    Args:
        by: `classes`, `files`, `queries` or `sam`.
        largest: share of the image above which a segment keeps its scores, in 0..1; 1 averages all.
        folder: of the files, with `by: files`.
        model: the SAM, with `by: sam`: a folder that `save_pretrained` wrote, or a name on the hub,
            from where it is fetched if the hub's cache lacks it.
        points: of the grid of prompts, a side.
        sure: predicted IoU that a mask of a SAM must exceed, 0..1.
        stable: its stability, likewise.

    Raises:
        OptionError: a value out of range, or an option that is missing or of another `by`.

    Source: the averaging of Objectomaly, 2025 (its second of three stages), over masks of a SAM
    ViT-H. Differs: where masks overlap the smaller wins, so each pixel is averaged once; large
    segments keep their scores unless `largest` is 1; no edges are sharpened afterwards.
    """

    grid = "image"
    exports = False

    def __init__(
        self,
        by: By = "classes",
        largest: float = 0.05,
        folder: str | None = None,
        model: str | None = None,
        points: int = 32,
        sure: float = 0.88,
        stable: float = 0.95,
    ) -> None:
        super().__init__()
        if by not in BYS:
            msg = f"segments: `by` {by!r} is unknown; {nearest(by, BYS)}"
            raise OptionError(msg)
        if not 0 < largest <= 1:
            msg = f"segments: `largest` must lie above 0 and be at most 1, not {largest:g}."
            raise OptionError(msg)
        _check_places(by, {"folder": folder, "model": model})
        _check_prompts(points, sure, stable)
        self.by, self.largest = by, largest
        self.folder, self.model = _place(folder), _place(model)
        self.points, self.sure, self.stable = points, sure, stable
        self.asks_ids = by == "files"  # type: ignore[misc]
        self._files = SegmentFiles(Path(self.folder or "."))
        self._sam: SegmentAnything | None = None

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "by": self.by,
            "largest": self.largest,
            "folder": self.folder,
            "model": self.model,
            "points": self.points,
            "sure": self.sure,
            "stable": self.stable,
        }

    def mark(self, frame_id: str) -> str:
        """Return names, sizes and times of the frame's files, where segments lie in files.

        Raises:
            DataError: the frame has none.
        """
        return self._files.mark(frame_id) if self.by == "files" else ""

    def attach(self, segmenter: Segmenter) -> None:
        """Refuse a segmenter without queries where these are the segments; load the SAM.

        Raises:
            KindError: it answers no masks.
            MissingExtra: a SAM, and the extra `transformers` is not installed.
            DataError: the SAM is missing or unreadable.
            OptionError: the model is no SAM.
        """
        if self.by == "queries" and "masks" not in segmenter.answers:
            msg = (
                f"segments: `by: queries` needs a mask network, and `{called(segmenter)}` "
                "answers logits; take `by: classes`."
            )
            raise KindError(msg)
        if self.model is not None:
            require("transformers", "the refiner `segments` with `by: sam`")
            from roadanomaly.refiners.segment_anything import SegmentAnything

            self._sam = SegmentAnything(self.model, self.points, self.sure, self.stable)

    def forward(self, score: Tensor, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Average, `(B, H, W)`.

        Raises:
            OptionError: segments lie in files, and nobody says which frames these are.
            DataError: a frame's file is missing, broken or of other proportions.
        """
        averaged = [
            segment_mean(one, here, self.largest)
            for one, here in zip(score, self._segments(segmentation, image), strict=True)
        ]
        return torch.stack(averaged)

    def _segments(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the number of each pixel's segment, `(B, H, W)` int64; -1 of none."""
        if self._sam is not None:
            return self._sam(image)
        if self.by == "queries":
            return strongest_queries(segmentation)
        if self.by == "files":
            maps = [
                self._files.read(one, segmentation.size) for one in _ids(segmentation, len(image))
            ]
        else:
            found = segmentation.classes().cpu().numpy()
            maps = [torch.from_numpy(regions(one)) for one in found]
        return torch.stack(maps).to(image.device)


def _check_places(by: str, given: dict[str, str | None]) -> None:
    for option, kind in WANTED.items():
        if by == kind and not given[option]:
            msg = f"segments: `by: {by}` needs the option `{option}`, which was not given."
            raise OptionError(msg)
        if by != kind and given[option]:
            msg = (
                f"segments: `{option}` {given[option]!r} belongs to `by: {kind}`, and `by` is "
                f"`{by}`; leave it out, or set `by: {kind}`."
            )
            raise OptionError(msg)


def _check_prompts(points: int, sure: float, stable: float) -> None:
    if not 1 <= points <= MOST_POINTS:
        msg = f"segments: `points` must lie in 1..{MOST_POINTS} a side, not {points}."
        raise OptionError(msg)
    for option, value in (("sure", sure), ("stable", stable)):
        if not 0 <= value < 1:
            msg = f"segments: `{option}` must be at least 0 and below 1, not {value:g}."
            raise OptionError(msg)


def _place(given: str | None) -> str | None:
    """Return what lies on this machine by its whole path, so that another folder finds it too."""
    return str(Path(given).absolute()) if given and Path(given).exists() else given


def _ids(segmentation: Segmentation, count: int) -> tuple[str, ...]:
    """Return the frames' ids.

    Raises:
        OptionError: they have none.
    """
    if len(segmentation.ids) != count:
        msg = (
            "segments: `by: files` finds a frame's segments by its id, and here frames have none "
            "(a video, a stream, another view of an image, an array without a name): take another "
            "`by`, or use the model in `evaluate`, `fit` or `predict`."
        )
        raise OptionError(msg)
    return segmentation.ids


def segment_mean(score: Tensor, segments: Tensor, largest: float = 1.0) -> Tensor:
    """Return the mean of a score over each segment.

    Args:
        score: `(H, W)` float.
        segments: `(H, W)` int64: the number of each pixel's segment, from 0; -1 of none.
        largest: share of the pixels above which those of a segment keep their own, as those of no
            segment do.
    """
    place = segments + 1
    count = int(place.max()) + 1
    sums = torch.zeros(count, dtype=torch.float64, device=score.device)
    sums.index_add_(0, place.flatten(), score.flatten().double())
    areas = torch.bincount(place.flatten(), minlength=count)
    means = (sums / areas.clamp_min(1)).to(score.dtype)
    small = areas <= largest * score.numel()
    small[0] = False
    return torch.where(small[place], means[place], score)


def regions(labels: np.ndarray) -> np.ndarray:
    """Number the 8-connected regions of equal labels, `(H, W)` to `(H, W)` int64."""
    found = np.zeros(labels.shape, np.int64)
    total = 0
    for label in np.unique(labels):
        mask = labels == label
        count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        found[mask] = total + parts[mask] - 1
        total += count - 1
    return found


def strongest_queries(segmentation: Segmentation) -> Tensor:
    """Return the query whose `max_k P_qk sigmoid(M_q)` is largest at each pixel, `(B, H, W)` int64.

    Raises:
        KindError: the segmenter answered no masks.
    """
    masks = segmentation.need_masks()
    sure = masks.probabilities.amax(2)
    best = torch.full((len(sure), *segmentation.size), -1.0, device=sure.device)
    numbers = torch.zeros_like(best, dtype=torch.int64)
    for query in range(sure.shape[1]):
        grown = segmentation.to_image(masks.masks[:, query].float()).sigmoid()
        strength = grown * sure[:, query, None, None]
        numbers = torch.where(strength > best, query, numbers)
        best = torch.maximum(best, strength)
    return numbers
