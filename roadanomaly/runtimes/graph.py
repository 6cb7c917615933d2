"""The whole path of an image as one network: uint8 pixels in, label map and scores out."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

from roadanomaly.calibration import Calibration
from roadanomaly.errors import NotCalibrated
from roadanomaly.model import Model
from roadanomaly.types import Segmentation

INPUT = "image"
OUTPUTS = ("classes", "score", "rarity")
HEIGHT, WIDTH = "height", "width"
"""Names of the sides that a dynamic graph leaves open."""
TABLE = 16384
"""Cells of the table that stands for the calibration's curve inside the graph."""


def outputs_of(*, classes: bool) -> tuple[str, ...]:
    """Return the names of a graph's outputs in their order, with the class map or without."""
    return OUTPUTS if classes else OUTPUTS[1:]


class ScoringGraph(nn.Module):
    """A calibrated model without Python around it, to be exported.

    Args:
        model: calibrated, its detector prepared. It is copied, so that it can go on learning.
        classes: False leaves the class map out.

    Raises:
        NotCalibrated: the model has no threshold yet.
        NotFitted: the detector has learned nothing yet.
    """

    def __init__(self, model: Model, *, classes: bool = True) -> None:
        super().__init__()
        if model.calibration is None:
            msg = "only a calibrated model can be exported: calibrate it with `roadanomaly fit`."
            raise NotCalibrated(msg)
        self.segmenter, self.head = copy.deepcopy((model.segmenter, model.head))
        self.networks = self.head.networks
        self.classes = classes
        self.rarity = Rarity(model.calibration)
        _fix_flags(self)
        self.requires_grad_(False).to(model.device).eval()

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Score a batch of images.

        Args:
            image: `(B, H, W, 3)` uint8, RGB, as a camera or a decoder gives it.

        Returns:
            `(B, H, W)` each: the most likely known class, uint8, if asked for; the score, float32,
            higher = more anomalous; and its rarity, float32.
        """
        pixels = image.permute(0, 3, 1, 2).to(self.segmenter.mean.dtype) / 255
        segmentation = self.head.look(self.segmenter, pixels)
        score = self.head.score(segmentation, pixels)
        scores = score, self.rarity(score)
        return (self._class_map(segmentation), *scores) if self.classes else scores

    def _class_map(self, segmentation: Segmentation) -> Tensor:
        if not segmentation.logits.shape[1]:
            return segmentation.classes().to(torch.uint8)
        return first_largest(segmentation.image_logits())


class AnySize(nn.Module):
    """A graph that pads frames by itself, so that exporters can leave their size open.

    The sides of what the network sees are written as multiples of its divisor, from which an
    exporter knows that halves of them are whole. Rows are picked by number, since slices would tie
    it to inequalities that it cannot solve.

    Args:
        graph: for frames that need no padding.
    """

    def __init__(self, graph: ScoringGraph) -> None:
        super().__init__()
        self.scoring = graph
        self.step = graph.segmenter.divisor

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Do what `ScoringGraph` does with `(B, H, W, 3)` uint8 of any size."""
        if self.step == 1:
            return self.scoring(image)
        height, width = image.shape[1], image.shape[2]
        rows, columns = (self._padded(side, image) for side in (height, width))
        whole = self.scoring(image.index_select(1, rows).index_select(2, columns))
        rows, columns = (torch.arange(side, device=image.device) for side in (height, width))
        return tuple(one.index_select(1, rows).index_select(2, columns) for one in whole)

    def _padded(self, side: int, image: Tensor) -> Tensor:
        """Return the pixel that is read at each place of a padded side: beyond it, the last."""
        steps = (side + self.step - 1) // self.step
        return torch.arange(steps * self.step, device=image.device).clamp(max=side - 1)


def first_largest(logits: Tensor) -> Tensor:
    """Index of the first largest channel: `(B, K, H, W)` to `(B, H, W)` uint8.

    Equals `argmax(1)`, but with two maxima, which runtimes do in half the time of their search for
    the top element.
    """
    count = logits.shape[1]
    left = torch.arange(count, 0, -1, dtype=logits.dtype, device=logits.device).view(1, -1, 1, 1)
    largest = logits.amax(1, keepdim=True)
    return (count - ((logits >= largest) * left).amax(1)).to(torch.uint8)


class Rarity(nn.Module):
    """Calibrated score: `-log10` of the share of inlier pixels that score at least as high.

    2 means that one inlier pixel in a hundred scores so high. The curve of
    `Calibration.p_value` is read from a table of equal steps over the scores from the calibration's
    lowest to its highest, linearly between them, since no runtime has a binary search.

    Args:
        calibration: whose curve is taken.
    """

    table: Tensor

    def __init__(self, calibration: Calibration) -> None:
        super().__init__()
        low, high = min(calibration.scores), max(calibration.scores)
        self.low = low
        self.step = max(high - low, 1e-6) / (TABLE - 1)
        at = low + self.step * np.arange(TABLE + 1)
        table = -np.log10(calibration.p_value(at).astype(np.float64))
        self.register_buffer("table", torch.from_numpy(table.astype(np.float32)))

    def forward(self, score: Tensor) -> Tensor:
        """`(B, H, W)` scores to `(B, H, W)` rarities, float32, 0 to 6."""
        place = (score - self.low) / self.step
        place = torch.where(place > 0, place, 0.0).clamp(max=TABLE - 1)  # NaN too is a place
        cell = place.to(torch.int64)
        below, above = self.table[cell], self.table[cell + 1]
        return below + (above - below) * (place - cell)


def _fix_flags(module: nn.Module) -> None:
    """Turn single booleans, as "has been trained", from buffers into constants of the graph."""
    for part in module.modules():
        for name, buffer in list(part.named_buffers(recurse=False)):
            if buffer.dtype == torch.bool and buffer.dim() == 0:
                delattr(part, name)
                setattr(part, name, bool(buffer))
