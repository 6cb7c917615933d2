"""How good is the model now: closed-set mIoU and anomaly AP on held-out pasted negatives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from roadanomaly.data.base import FrameSet
from roadanomaly.data.derived import Resized
from roadanomaly.data.ground import OnGround
from roadanomaly.data.subset import Subset
from roadanomaly.detectors.base import Region
from roadanomaly.metrics.classes import ClassConfusion
from roadanomaly.metrics.curve import PixelResult
from roadanomaly.metrics.pixel import PixelOfficial
from roadanomaly.model import Model
from roadanomaly.negatives import NegativeSource
from roadanomaly.negatives.mixed import MixedFrames
from roadanomaly.report.pictures import score_sheet
from roadanomaly.types import Frame

PICTURES = 4


@dataclass(frozen=True)
class Validation:
    """What a validation found.

    Args:
        values: `miou`, and with negatives `ap`, `fpr95`, `auroc`; fractions.
        curve: of the pooled pixels.
        sheet: `(H, W, 3)` uint8, some frames with their score maps; None if nothing was scored.
    """

    values: dict[str, float]
    curve: PixelResult
    sheet: np.ndarray | None


class Validator:
    """Validates on the same mixed frames each time, whatever the run's seed.

    Args:
        frames: labelled inlier frames.
        source: of negatives other than those trained on; None measures mIoU alone.
        count: frames to use, evenly spaced; 0 for all.
        size: height and width to bring them to first; None keeps their own.
        region: in which scores count; `road` needs labels with road classes. The mIoU is of the
            whole image in any case.
    """

    def __init__(
        self,
        frames: FrameSet,
        source: NegativeSource | None,
        count: int = 0,
        size: tuple[int, int] | None = None,
        region: Region = "image",
    ) -> None:
        self.frames = Subset(frames, count)
        self.source = source
        sized = Resized(self.frames, size) if size else self.frames
        mixed = MixedFrames(sized, source) if source else sized
        self._inliers, self._mixed = (
            OnGround(one) if region == "road" else one for one in (sized, mixed)
        )

    def inliers(self, number: int) -> Frame:
        """Return validation frame `number` at the size of the validation."""
        return self._inliers[number]

    def mixed(self, number: int) -> Frame:
        """Return validation frame `number` with its negatives."""
        return self._mixed[number]

    def run(self, model: Model, *, scored: bool = True) -> Validation:
        """Judge the model, in inference mode, on every validation frame.

        Args:
            model: on its device.
            scored: False measures mIoU alone, for a detector that has learned nothing yet.
        """
        confusion = ClassConfusion(model.segmenter.classes)
        pixels = PixelOfficial()
        pictures: list[tuple[Frame, np.ndarray]] = []
        for number in range(len(self.frames)):
            frame = self.mixed(number)
            assert frame.label is not None
            assert frame.truth is not None
            image = frame.image[None].to(model.device).float() / 255
            with torch.inference_mode():
                segmentation = model.segmenter(image, model.detector.needs)
                confusion.update(segmentation.classes()[0].cpu().numpy(), frame.label.numpy())
                if not scored:
                    continue
                score = model.detector.score(segmentation, image)[0].cpu().numpy()
            pixels.update(frame.id, score, frame.truth.numpy())
            if len(pictures) < PICTURES:
                pictures.append((frame, score))
        values = {"miou": confusion.compute().miou}
        found = pixels.compute()
        if self.source is not None:
            values |= {"ap": found.ap, "fpr95": found.fpr95, "auroc": found.auroc}
        return Validation(values, found, score_sheet(pictures) if pictures else None)

    def inlier_scores(self, model: Model) -> Iterator[np.ndarray]:
        """Yield the scores of the inlier pixels of each frame that count, without negatives."""
        for number in range(len(self.frames)):
            frame = self.inliers(number)
            score, _ = model.score(frame.image[None].to(model.device).float() / 255)
            assert frame.truth is not None
            yield score[0].cpu().numpy()[frame.truth.numpy() == 0]
