"""How good is a resynthesis: does a segmenter read out of it the labels that went in?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.data.base import FrameSet
from roadanomaly.data.subset import Subset
from roadanomaly.data.transforms import Resize
from roadanomaly.generators import Generator
from roadanomaly.generators.base import resize_labels
from roadanomaly.metrics.classes import ClassConfusion
from roadanomaly.report.resynthesis_pictures import resynthesis_sheet
from roadanomaly.segmenters import Segmenter
from roadanomaly.types import Frame, as_grey_levels

PICTURES = 8


@dataclass(frozen=True)
class Resynthesised:
    """What a validation found.

    Args:
        values: `l1`, mean absolute difference to the images, 0..1; with a judge `miou`, of its
            labels of the resynthesis against those that went in, and `miou_real`, of its labels
            of the images at the same size: what a perfect resynthesis would reach.
        sheet: `(H, W, 3)` uint8: labels, image and resynthesis of some frames.
    """

    values: dict[str, float]
    sheet: np.ndarray


class ResynthesisValidator:
    """Resynthesises the labels of the same frames each time.

    Args:
        frames: labelled inlier frames.
        judge: reads labels out of images; None measures L1 alone.
        size: height and width of the resynthesis, which the generator can draw.
        judge_size: height and width that the judge sees; None: `size`.
        count: frames to use, evenly spaced; 0 for all.
    """

    def __init__(
        self,
        frames: FrameSet,
        judge: Segmenter | None,
        size: tuple[int, int],
        judge_size: tuple[int, int] | None = None,
        count: int = 0,
    ) -> None:
        self.frames = Subset(frames, count)
        self.judge = None if judge is None else judge.eval().requires_grad_(False)
        self.resize = Resize(*size)
        self.judge_size = judge_size or size
        self.shown = set(Subset(self.frames, PICTURES).numbers)
        self.reached: float | None = None

    @torch.no_grad()
    def run(self, generator: Generator) -> Resynthesised:
        """Resynthesise and judge every validation frame, in inference mode."""
        drawn_confusion, real_confusion = self._confusions()
        distances: list[float] = []
        shown: list[tuple[np.ndarray, Tensor, Tensor]] = []
        for number in range(len(self.frames)):
            frame = self.frame(number)
            assert frame.label is not None
            labels = frame.label[None].to(generator.device)
            image = frame.image[None].to(generator.device).float() / 255
            drawn = generator(labels)
            distances.append(float((drawn - image).abs().mean()))
            self._judge(drawn, labels, drawn_confusion)
            if self.reached is None:
                self._judge(image, labels, real_confusion)
            if number in self.shown:
                shown.append((frame.label.numpy(), frame.image, as_grey_levels(drawn[0]).cpu()))
        values = {"l1": float(np.mean(distances))}
        if drawn_confusion is not None and real_confusion is not None:
            if self.reached is None:
                self.reached = real_confusion.compute().miou
            values = {
                "miou": drawn_confusion.compute().miou,
                "miou_real": self.reached,
                **values,
            }
        return Resynthesised(values, resynthesis_sheet(shown, self.frames.classes))

    def frame(self, number: int) -> Frame:
        """Return validation frame `number` at the size of the resynthesis."""
        return self.resize(self.frames[number], np.random.default_rng(0))

    def _confusions(self) -> tuple[ClassConfusion | None, ClassConfusion | None]:
        if self.judge is None:
            return None, None
        return ClassConfusion(self.judge.classes), ClassConfusion(self.judge.classes)

    def _judge(self, image: Tensor, labels: Tensor, confusion: ClassConfusion | None) -> None:
        if self.judge is None or confusion is None:
            return
        judge = self.judge.to(image.device)
        larger = functional.interpolate(
            image, size=self.judge_size, mode="bilinear", align_corners=False
        )
        read = judge(larger).classes().cpu().numpy()
        confusion.update(read, resize_labels(labels, self.judge_size).cpu().numpy())
