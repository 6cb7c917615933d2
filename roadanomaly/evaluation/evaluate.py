"""Score several detectors on a data set from one forward pass of their segmenter a frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from roadanomaly.data.base import FrameSet
from roadanomaly.detectors import Detector
from roadanomaly.errors import DataError
from roadanomaly.evaluation.classes import class_table
from roadanomaly.evaluation.spool import ScoreSpool
from roadanomaly.metrics.checks import check_name
from roadanomaly.metrics.classes import ClassConfusion
from roadanomaly.metrics.component import SIZE_RULES, Components
from roadanomaly.metrics.pixel import PixelExact, PixelOfficial
from roadanomaly.segmenters import Segmenter
from roadanomaly.types import Frame, Segmentation

ANOMALY = 1
Seen = Callable[[Frame, dict[str, np.ndarray]], None]


@dataclass(frozen=True)
class Row:
    """One detector on one data set; fractions, `nan` where undefined.

    Args:
        detector: its name in the table.
        supervision: what it, or the fine-tuned segmenter below it, learned from beside inliers.
        ap: average precision as the benchmark computes it, on half-precision scores.
        ap_exact: by a full sort of all pixels in float32.
        fpr95: false-positive rate at 95 % true positives, official.
        auroc: official.
        best_f1: over pixel thresholds, official.
        siou: mean adjusted intersection over union of labelled components.
        ppv: mean precision of predicted components.
        f1: component F1, mean over 11 overlap thresholds.
        ms: time of segmenter and detector a frame, milliseconds, median.
    """

    detector: str
    supervision: str
    ap: float
    ap_exact: float
    fpr95: float
    auroc: float
    best_f1: float
    siou: float
    ppv: float
    f1: float
    ms: float


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Args:
        data: the data set's record.
        track: `anomaly` or `obstacle`: which component sizes count.
        frames: how many frames carried anomaly labels with both classes allowed.
        rows: one a detector.
        miou: closed-set mean IoU of the segmenter, or None where the set has no classes.
        iou: per class.
    """

    data: dict[str, Any]
    track: str
    frames: int
    rows: tuple[Row, ...]
    miou: float | None
    iou: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


class _Clock:
    """Wall time of what runs on a device, in milliseconds."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return 1000 * time.perf_counter()


@torch.inference_mode()
def evaluate(
    segmenter: Segmenter,
    detectors: Mapping[str, Detector],
    frames: FrameSet,
    *,
    track: str = "anomaly",
    seen: Seen | None = None,
) -> Evaluation:
    """Score detectors that share a segmenter.

    Args:
        segmenter: in inference mode, on its device.
        detectors: attached to it, by their names in the table.
        frames: labelled frames; those without any label are refused.
        track: size rules of the component metrics, `anomaly` or `obstacle`.
        seen: called after each frame with its scores (float32), for pictures and progress.

    Raises:
        UnknownName: another track.
        DataError: the set carries no labels, or classes that the segmenter's cannot be mapped to.
    """
    check_name("track", track, SIZE_RULES)
    counts = _ClassCounts(segmenter, frames)
    exact = {name: PixelExact() for name in detectors}
    official = {name: PixelOfficial() for name in detectors}
    times: dict[str, list[float]] = {name: [] for name in detectors}
    needs = tuple(sorted({feature for d in detectors.values() for feature in d.needs}))
    judged = 0
    with ScoreSpool() as spool:
        for frame in frames:
            truth = truth_of(frames, frame)
            segmentation, scores, spent = _score(segmenter, detectors, needs, frame)
            counts.update(segmentation, frame)
            halves = {name: official_scores(score) for name, score in scores.items()}
            for name, score in scores.items():
                times[name].append(spent[name])
                official[name].update(frame.id, halves[name], truth)
                exact[name].update(frame.id, score, truth)
            spool.add(frame.id, truth, halves)
            judged += 1
            if seen:
                seen(frame, scores)
        rows = tuple(
            _row(name, _supervision(segmenter, detector), official, exact, spool, track, times)
            for name, detector in detectors.items()
        )
    return Evaluation(frames.record(), track, judged, rows, counts.miou, counts.iou)


def truth_of(frames: FrameSet, frame: Frame) -> np.ndarray:
    """Return a frame's truth, `(H, W)` uint8 of 0 inlier, 1 anomaly, 255 ignore.

    Raises:
        DataError: there is none; says why.
    """
    if frame.truth is None:
        why = frames.hidden(frame.id) or "it has no label; use `predict`."
        msg = f"frame {frame.id} cannot be scored: {why}"
        raise DataError(msg)
    return frame.truth.numpy()


def official_scores(score: np.ndarray) -> np.ndarray:
    """Return the scores as a submission holds them, in half precision; too large ones are inf."""
    with np.errstate(over="ignore"):
        return score.astype(np.float16)


def _score(
    segmenter: Segmenter, detectors: Mapping[str, Detector], needs: tuple[str, ...], frame: Frame
) -> tuple[Segmentation, dict[str, np.ndarray], dict[str, float]]:
    """Return the segmentation, `(H, W)` float32 scores and milliseconds of each detector."""
    clock = _Clock(segmenter.device)
    image = frame.image[None].to(segmenter.device).float() / 255
    began = clock.now()
    segmentation = segmenter(image, needs)
    segmented = clock.now()
    scores, spent = {}, {}
    for name, detector in detectors.items():
        start = clock.now()
        score = detector.score(segmentation, image)[0].float()
        spent[name] = clock.now() - start + segmented - began
        scores[name] = score.cpu().numpy()
    return segmentation, scores, spent


def _supervision(segmenter: Segmenter, detector: Detector) -> str:
    return segmenter.learned_from if detector.supervision == "none" else detector.supervision


def _row(
    name: str,
    supervision: str,
    official: Mapping[str, PixelOfficial],
    exact: Mapping[str, PixelExact],
    spool: ScoreSpool,
    track: str,
    times: Mapping[str, list[float]],
) -> Row:
    ms = float(np.median(times[name])) if times[name] else float("nan")
    again = spool.read(name)
    return make_row(name, supervision, official[name], exact[name], again, track, ms)


def make_row(
    name: str,
    supervision: str,
    official: PixelOfficial,
    exact: PixelExact,
    again: Iterable[tuple[str, np.ndarray, np.ndarray]],
    track: str,
    ms: float,
) -> Row:
    """Finish a row: its components need the threshold that all pixels together give.

    Args:
        name: of the detector.
        supervision: what it learned from.
        official: of all frames.
        exact: of all frames.
        again: id, half-precision score and truth of each frame, a second time.
        track: size rules of the components.
        ms: a frame, milliseconds.
    """
    pixel = official.compute()
    components = Components(track, pixel.best_f1_threshold, mode="official")
    for frame_id, score, truth in again:
        components.update(frame_id, score, truth)
    found = components.compute()
    return Row(
        detector=name,
        supervision=supervision,
        ap=pixel.ap,
        ap_exact=exact.compute().ap,
        fpr95=pixel.fpr95,
        auroc=pixel.auroc,
        best_f1=pixel.best_f1,
        siou=found.siou,
        ppv=found.ppv,
        f1=found.f1,
        ms=ms,
    )


class _ClassCounts:
    """Closed-set confusion in the data set's own classes, where it has any."""

    def __init__(self, segmenter: Segmenter, frames: FrameSet) -> None:
        self.names = frames.classes
        self.table = class_table(segmenter.classes, frames.classes) if frames.classes else None
        self.confusion = ClassConfusion(frames.classes) if frames.classes else None

    def update(self, segmentation: Segmentation, frame: Frame) -> None:
        if self.confusion is None or self.table is None or frame.label is None:
            return
        predicted = self.table[segmentation.classes()[0].cpu().numpy()]
        self.confusion.update(predicted, frame.label.numpy())

    @property
    def miou(self) -> float | None:
        return None if self.confusion is None else self.confusion.compute().miou

    @property
    def iou(self) -> dict[str, float]:
        if self.confusion is None:
            return {}
        values = self.confusion.compute().iou
        return {name: float(v) for name, v in zip(self.names, values, strict=True)}
