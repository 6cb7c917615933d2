"""What every refiner is: a score map in, a better one out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from torch import Tensor

from roadanomaly.catalogue import called
from roadanomaly.errors import OptionError
from roadanomaly.prepared import Prepared
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Batch, Segmentation

Grid = Literal["native", "image"]


class Refiner(Prepared, ABC):
    """Changes a detector's score map; saved, calibrated and exported with the model.

    What it learns is a parameter or a buffer. Refiners follow each other: those of grid `native`
    first, then the score is brought to image size, then those of grid `image`.

    Class facts:
        grid: `native`, the grid on which the detector computes its score (that of the logits, or of
            the image, as the detector says), or `image`.
        learns: whether it must be fitted, by `begin`, `update` with each frame and then `finish`.
        supervision: what it is fitted on beside inliers, as `Detector.supervision`.
        exports: whether it can be a part of an exported graph.
        reads_segmentation: whether it must have what the segmenter says, so that the segmenter is
            run for it behind a detector that reads the image alone.
        asks_ids: whether it reads the frames' ids, which videos and the crops of a training lack.

    Attributes:
        learned_from: `supervision`, or what `adapt` taught it beside inliers, for the tables.
    """

    grid: ClassVar[Grid] = "image"
    learns: ClassVar[bool] = False
    supervision: ClassVar[str] = "none"
    exports: ClassVar[bool] = True
    reads_segmentation: ClassVar[bool] = False
    asks_ids: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__(ready=not self.learns)
        self.learned_from = self.supervision

    def attach(self, segmenter: Segmenter) -> None:
        """Build what depends on the segmenter; called once.

        Raises:
            FeatureError: the segmenter does not offer a feature that this refiner needs.
        """

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the segmenter's features that it reads; known after `attach`."""
        return ()

    def mark(self, frame_id: str) -> str:
        """Return what a frame's score depends on beside image and options, as a file's time.

        Raises:
            DataError: what it reads of this frame is missing.
        """
        del frame_id
        return ""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this refiner."""

    @abstractmethod
    def forward(self, score: Tensor, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Refine a score map.

        Args:
            score: `(B, h, w)` float32 on the refiner's grid, higher = more anomalous.
            segmentation: what the segmenter said of `image`.
            image: `(B, 3, H, W)` float in 0..1.

        Returns:
            the same shape, type and direction.
        """

    def begin(self) -> None:
        """Forget what an earlier fit left, be it finished or broken off."""
        self.ready = not self.learns

    def update(self, score: Tensor, segmentation: Segmentation, batch: Batch) -> None:
        """Take the scores of one batch of labelled frames into the statistics."""
        raise TypeError(f"{type(self).__name__} learns nothing: there is nothing to fit.")

    def finish(self) -> None:
        """Turn the collected statistics into what `forward` reads, and set `ready`."""
        raise TypeError(f"{type(self).__name__} learns nothing: there is nothing to fit.")


def refuse_ids(refiners: Iterable[Refiner], command: str) -> None:
    """Refuse refiners that read frames' ids, where a command changes the frames.

    Args:
        refiners: that would follow the detector.
        command: as it is typed, `train`.

    Raises:
        OptionError: names the refiner.
    """
    for one in refiners:
        if one.asks_ids:
            msg = (
                f"{command}: the refiner `{called(one)}` reads files that belong to whole "
                "frames, and crops and frames with pasted negatives have none. Leave it out here, "
                "and put it behind the finished model: `roadanomaly fit --run RUN --refiners ...`."
            )
            raise OptionError(msg)
