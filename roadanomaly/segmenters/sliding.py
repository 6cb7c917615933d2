"""Any segmenter on windows that slide over the image, answers and features merged."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.errors import OptionError
from roadanomaly.segmenters import SEGMENTERS
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.segmenters.closed_set import closed_set_cross_entropy
from roadanomaly.types import Segmentation

LOGITS, EXTRA = "/logits", "/extra"
"""Names of the answers among the maps that are merged; no feature is called so."""

UNIT = 32
"""Pixels that windows and steps are multiples of where the network's strides are not known."""

ROUNDING = 1e-6
"""Pixels that a step may lack in floating point: 640 * (1 - 0.8) is a little less than 128."""


class SlidingSegmenter(Segmenter):
    """Another segmenter that sees an image window by window, where it is larger than one.

    Logits and features of the windows are averaged at their own strides, evidence of a mask network
    too; its masks belong to one window each and are not merged, so detectors that read masks are
    refused. Where windows overlap, a cell counts more the farther it is from its window's edge, and
    not at all in the quarter of the overlap nearest to it. An image no larger than the window is
    segmented as without this.

    Args:
        segmenter: catalogue `name` of the segmenter that sees the windows, and its options.
        window: `[height, width]` in pixels; grown to multiples of the network's strides.
        overlap: share of a window, 0 up to but not 1, that the next one also covers; the step is
            rounded down to a multiple of the network's strides.
        classes: names of the known classes, for the segmenter inside; None leaves its own.

    Raises:
        OptionError: a window or an overlap that is no such value.
    """

    def __init__(
        self,
        segmenter: Mapping[str, Any],
        window: Sequence[int],
        overlap: float = 0.5,
        classes: tuple[str, ...] | None = None,
    ) -> None:
        _check(window, overlap)
        inner = SEGMENTERS.from_spec({**segmenter, **({"classes": classes} if classes else {})})
        super().__init__(inner.classes, divisor=inner.divisor, align_corners=inner.align_corners)
        self.segmenter = inner
        self.window = tuple(window)
        self.overlap = float(overlap)
        self.features = inner.features
        self.on_request = inner.on_request
        self.default_feature = inner.default_feature
        self.trainable = inner.trainable
        self.answers = ("evidence",) if "masks" in inner.answers else inner.answers
        self.classified = inner.classified if _classifies_cell_by_cell(inner) else ""

    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this network, weights aside."""
        inner = {"name": SEGMENTERS.name_of(self.segmenter), **self.segmenter.options()}
        return {"segmenter": inner, "window": list(self.window), "overlap": self.overlap}

    def maps(self, image: Tensor, features: Collection[str]) -> Any:
        """Leave this to the segmenter inside, which does it window by window."""
        return self.segmenter.maps(image, features)

    def classify(self, feature: Tensor) -> Tensor:
        """Compute logits from the merged map `classified`.

        Raises:
            FeatureError: the classifier inside reads neighbours or is not affine, so that its
                answer on merged features is not the merged answer; or there is none.
        """
        if not self.classified:
            return super().classify(feature)
        return self.segmenter.classify(feature)

    def loss(self, segmentation: Segmentation, label: Tensor) -> dict[str, Tensor]:
        """Return the inner segmenter's terms; of merged evidence, its cross-entropy."""
        if segmentation.kind == "evidence" and segmentation.masks is None:
            return {"cross_entropy": closed_set_cross_entropy(segmentation, label)}
        return self.segmenter.loss(segmentation, label)

    def forward(self, image: Tensor, features: Collection[str] = ()) -> Segmentation:
        """Segment a batch, in windows where an image is larger than one.

        Args:
            image: `(B, 3, H, W)` float in 0..1, RGB, any size.
            features: names of the maps to return.

        Raises:
            FeatureError: a feature that this network does not offer.
            OptionError: a window does not hold a whole number of the answer's cells.
        """
        for name in features:
            self.feature(name)
        height, width = image.shape[-2:]
        if height <= self.window[0] and width <= self.window[1]:
            return self.segmenter(image, features)
        return self._in_windows(image, features)

    def _in_windows(self, image: Tensor, features: Collection[str]) -> Segmentation:
        size = (image.shape[-2], image.shape[-1])
        rows, columns = (self._line(*one) for one in zip(size, self.window, strict=True))
        below, right = rows.total - size[0], columns.total - size[1]
        image = functional.pad(image, (0, right, 0, below), mode="replicate")
        merged: dict[str, _Mean] = {}
        for top in rows.starts:
            for left in columns.starts:
                part = image[..., top : top + rows.window, left : left + columns.window]
                found = self.segmenter(part, features)
                for name, one in _maps_of(found).items():
                    mean = merged.setdefault(name, _Mean(rows, columns))
                    mean.add(one, top, left)
        maps = {name: mean.value() for name, mean in merged.items()}
        return Segmentation(
            logits=maps.pop(LOGITS),
            size=size,
            padded=(rows.total, columns.total),
            align_corners=self.align_corners,
            extra=maps.pop(EXTRA, None),
            features=maps,
            kind=found.kind,
        )

    def _line(self, pixels: int, window: int) -> Line:
        """Lay windows along a side of an image; one of a single size is grown to whole windows."""
        inner = self.segmenter
        every = (*inner.features.values(), *inner.on_request.values())
        unit = math.lcm(inner.divisor, *(one.stride for one in every))
        unit = unit if unit > 1 else UNIT
        total, window = (unit * math.ceil(one / unit) for one in (pixels, window))
        step = max(unit, int(window * (1 - self.overlap) + ROUNDING) // unit * unit)
        if inner.input_size is not None:
            total = max(total, window)
        return Line(total, min(window, total), step)


@dataclass(frozen=True)
class Line:
    """Windows along one side of an image.

    Args:
        total: pixels of the side.
        window: pixels of a window, at most `total`.
        step: pixels from one window to the next; the last one ends where the side does.
    """

    total: int
    window: int
    step: int

    @property
    def starts(self) -> list[int]:
        """First pixel of each window."""
        last = self.total - self.window
        return [*range(0, last, self.step), last]

    def weights(self, start: int, stride: int, device: torch.device | str = "cpu") -> Tensor:
        """Return how much each cell of the window at `start` counts, `(window / stride,)`, 0 to 1.

        Over the overlap it grows from 0, in the quarter nearest to the edge, to 1 in the farthest;
        at the image's own border it is 1. Of two neighbours the weights add up to 1.
        """
        cells = self.window // stride
        overlap = max(0, self.window - self.step) / stride
        middle = torch.arange(cells, device=device) + 0.5
        weights = torch.ones(cells, device=device)
        if overlap and start > 0:
            weights = torch.minimum(weights, _ramp(middle, overlap))
        if overlap and start + self.window < self.total:
            weights = torch.minimum(weights, _ramp(cells - middle, overlap))
        return weights


def _ramp(distance: Tensor, overlap: float) -> Tensor:
    return ((distance - overlap / 4) / (overlap / 2)).clamp(0, 1)


class _Mean:
    """The weighted mean of one map over the windows."""

    def __init__(self, rows: Line, columns: Line) -> None:
        self.lines = (rows, columns)
        self.sum: Tensor | None = None
        self.weight: Tensor | None = None

    def add(self, part: Tensor, top: int, left: int) -> None:
        """Add the map `(B, C, h, w)` of the window at a pixel."""
        strides = [
            _stride(line.window, cells)
            for line, cells in zip(self.lines, part.shape[-2:], strict=True)
        ]
        down, across = (
            line.weights(start, stride, part.device).to(part)
            for line, start, stride in zip(self.lines, (top, left), strides, strict=True)
        )
        weight = down[:, None] * across
        if self.sum is None or self.weight is None:
            shape = [line.total // one for line, one in zip(self.lines, strides, strict=True)]
            self.sum = part.new_zeros((*part.shape[:2], *shape))
            self.weight = part.new_zeros(shape)
        row, column = top // strides[0], left // strides[1]
        at = (..., slice(row, row + len(down)), slice(column, column + len(across)))
        self.sum[at] += weight * part
        self.weight[at] += weight

    def value(self) -> Tensor:
        """Return the mean, `(B, C, h, w)` over the whole image."""
        assert self.sum is not None
        assert self.weight is not None
        return self.sum / self.weight


def _stride(window: int, cells: int) -> int:
    stride, rest = divmod(window, cells)
    if rest:
        msg = (
            f"windows of {window} pixels have {cells} cells in the segmenter's answer, and "
            f"{window} is no multiple of {cells}: give a `window` that is."
        )
        raise OptionError(msg)
    return stride


def _maps_of(found: Segmentation) -> dict[str, Tensor]:
    extra = {} if found.extra is None else {EXTRA: found.extra}
    return {LOGITS: found.logits, **extra, **found.features}


def _check(window: Sequence[int], overlap: float) -> None:
    if len(window) != 2 or min(window) < 1:
        msg = f"sliding: `window` must be [height, width] in pixels, at least 1, not {window}."
        raise OptionError(msg)
    if not 0 <= overlap < 1:
        msg = f"sliding: `overlap` is a share of the window from 0 up to but not 1, not {overlap}."
        raise OptionError(msg)


@torch.no_grad()
def _classifies_cell_by_cell(segmenter: Segmenter) -> bool:
    """Tell, by trying it, whether the classifier is affine and reads each cell for itself.

    Then its answer on averaged features is the average of its answers.
    """
    if not segmenter.classified:
        return False
    training = segmenter.training
    segmenter.eval()
    width = segmenter.feature(segmenter.classified).channels
    one, two = torch.randn(2, 1, width, 6, 6, generator=torch.Generator().manual_seed(0))
    first, second, mean = (segmenter.classify(x) for x in (one, two, (one + two) / 2))
    part = segmenter.classify(one[..., :4, :4])
    segmenter.train(training)
    return (
        part.shape[-1] == 4
        and torch.allclose(mean, (first + second) / 2, atol=1e-5)
        and torch.allclose(part, first[..., :4, :4], atol=1e-5)
    )
