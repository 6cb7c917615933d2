"""How good is the model now: closed-set mIoU and anomaly AP on held-out pasted negatives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from roadanomaly.data.base import FrameSet
from roadanomaly.data.derived import Resized
from roadanomaly.data.ground import ON_GROUND, OnGround, on_ground, require_ground
from roadanomaly.data.stack import stack
from roadanomaly.data.subset import Subset
from roadanomaly.detectors.base import Region
from roadanomaly.detectors.explanation import explanation
from roadanomaly.metrics.classes import ClassConfusion
from roadanomaly.metrics.curve import PixelResult
from roadanomaly.metrics.pixel import PixelOfficial
from roadanomaly.model import Model
from roadanomaly.negatives import NegativeSource
from roadanomaly.negatives.mixed import MixedFrames
from roadanomaly.precision import autocast
from roadanomaly.report.explanation_sheet import explanation_sheet
from roadanomaly.report.pictures import column, rgb, score_sheet
from roadanomaly.types import ASSUMED, Batch, Frame

PICTURES = 4


@dataclass(frozen=True)
class Validation:
    """What a validation found.

    Args:
        values: `miou`, and with negatives `ap`, `fpr95`, `auroc`; fractions. NaN, all three, where
            no negative or no inlier pixel counts.
        curve: of the pooled pixels.
        sheet: `(H, W, 3)` uint8, some frames with their score maps; None if nothing was scored.
        explained: `(H, W, 3)` uint8, what the scores of these frames rest on; None where the
            detector does not say.
    """

    values: dict[str, float]
    curve: PixelResult
    sheet: np.ndarray | None
    explained: np.ndarray | None = None


@dataclass(frozen=True)
class Examined:
    """What was counted on some validation frames.

    Args:
        confusion: of the known classes.
        pixels: scores against the truth.
        pictures: of the first frames, by number: the frame and its score.
        explained: of the first frames, by number, what the score rests on.
    """

    confusion: ClassConfusion
    pixels: PixelOfficial
    pictures: dict[int, tuple[Frame, np.ndarray]] = field(default_factory=dict)
    explained: dict[int, np.ndarray] = field(default_factory=dict)

    def merge(self, other: Examined) -> None:
        """Take over what was counted on other frames."""
        self.confusion.merge(other.confusion)
        self.pixels.merge(other.pixels)
        self.pictures.update(other.pictures)
        self.explained.update(other.explained)


class Validator:
    """Validates on the same mixed frames each time, whatever the run's seed.

    Args:
        frames: labelled inlier frames.
        source: of negatives other than those trained on; None measures mIoU alone.
        count: frames to use, evenly spaced; 0 for all.
        size: height and width to bring them to first; None keeps their own.
        region: where scores count: `road` needs labels with classes of the ground. The mIoU is of
            the whole image in any case.
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
        self.region = region
        self.ground = require_ground(frames) if region == "road" else ()
        self._sized = Resized(self.frames, size) if size else self.frames
        self._mixed = MixedFrames(self._sized, source) if source else None

    @property
    def title(self) -> str:
        """What scores are validated on, in words."""
        return self.frames.title + (ON_GROUND if self.region == "road" else "")

    @property
    def inliers(self) -> FrameSet:
        """The validation frames without negatives, at their size and with their region."""
        return OnGround(self._sized) if self.region == "road" else self._sized

    def mixed(self, number: int) -> Frame:
        """Return validation frame `number` with its negatives."""
        return self._frame(self.mixed_batch(number))

    def mixed_batch(self, number: int) -> Batch:
        """Return the same as a batch of one, with all that its source says of it."""
        return self._mixed.batch(number) if self._mixed else stack([self._sized[number]])

    def _frame(self, batch: Batch) -> Frame:
        return self._counted(Frame(batch.ids[0], batch.image[0], batch.label[0]))

    def _counted(self, frame: Frame) -> Frame:
        """Ignore what lies outside the region."""
        return on_ground(frame, self.ground) if self.region == "road" else frame

    def run(self, model: Model, *, scored: bool = True) -> Validation:
        """Judge the model, in inference mode, on every validation frame.

        Args:
            model: on its device.
            scored: False measures mIoU alone, for a detector that has learned nothing yet.
        """
        return self.sum_up([self.examine(model, range(len(self.frames)), scored=scored)])

    def examine(self, model: Model, numbers: Iterable[int], *, scored: bool = True) -> Examined:
        """Score some validation frames, and count what comes out.

        Args:
            model: on its device.
            numbers: of the frames.
            scored: as for `run`.
        """
        found = Examined(ClassConfusion(model.segmenter.classes), PixelOfficial())
        for number in numbers:
            self._examine(model, number, found, scored)
        return found

    def _examine(self, model: Model, number: int, found: Examined, scored: bool) -> None:
        batch = self.mixed_batch(number)
        frame = self._frame(batch)
        assert frame.truth is not None
        batch = batch.to(model.device)
        model.detector.reset()
        with model.head.inference(), autocast(model.precision, model.device):
            segmentation = model.head.look(model.segmenter, batch.image)
            if model.detector.reads_segmentation:
                classes = segmentation.classes()[0].cpu().numpy()
                found.confusion.update(classes, batch.label[0].cpu().numpy())
            if not scored:
                return
            segmentation = replace(segmentation, assumed=batch.note(ASSUMED))
            score = model.head.score(segmentation, batch.image)[0].detach().cpu().numpy()
        found.pixels.update(frame.id, score, frame.truth.numpy())
        if number < PICTURES:
            found.pictures[number] = frame, score
            why = explanation(model.detector, segmentation, batch.image)
            if why is not None:
                found.explained[number] = explanation_sheet(
                    rgb(frame), why, score, model.segmenter.classes
                )

    def sum_up(self, parts: Sequence[Examined]) -> Validation:
        """Put together what was examined, each frame once."""
        whole, *others = parts
        for part in others:
            whole.merge(part)
        values = {"miou": whole.confusion.compute().miou}
        found = whole.pixels.compute()
        if self.source is not None:
            numbers = {"ap": found.ap, "fpr95": found.fpr95, "auroc": found.auroc}
            both = found.positives > 0 and found.negatives > 0
            values |= numbers if both else dict.fromkeys(numbers, float("nan"))
        pictures = [whole.pictures[number] for number in sorted(whole.pictures)]
        explained = [whole.explained[number] for number in sorted(whole.explained)]
        return Validation(
            values,
            found,
            score_sheet(pictures) if pictures else None,
            column(explained) if explained else None,
        )
