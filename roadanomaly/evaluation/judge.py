"""Second look at a frame: what thresholds that all frames together gave make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from roadanomaly.evaluation.measure import official_scores
from roadanomaly.metrics.component import (
    SIZE_RULES,
    FrameObjects,
    above,
    anomalous,
    frame_objects,
    label_components,
)
from roadanomaly.metrics.instance import FrameInstances, PredictedInstance, oodis_instances
from roadanomaly.metrics.open_set import OpenSet
from roadanomaly.metrics.runs import Part, Run
from roadanomaly.metrics.size_ranges import SizeRange, frame_objects_within


@dataclass(frozen=True)
class Cut:
    """One way to turn scores into a mask.

    Args:
        threshold: NaN predicts nothing.
        rule: `official`: scores as the benchmark judges them (`official_scores`) `>` the threshold
            in their type; `exact`: scores `>=` it; `above`: scores `>` it, as `predict` does.
    """

    threshold: float
    rule: str

    def mask(self, score: np.ndarray, *, enlarged: bool = False) -> np.ndarray:
        """Return `(H, W)` bool; `enlarged` as in `official_scores`."""
        if self.rule == "above":
            return above(score, self.threshold)
        if self.rule == "official":
            score = official_scores(score, enlarged=enlarged)
        return anomalous(score, self.threshold, self.rule)


@dataclass(frozen=True)
class Judging:
    """What to look for in every frame of one detector.

    Args:
        cuts: masks, the benchmark's own first.
        track: size rules of components.
        edges: `(N + 1,)` of the histogram of scores.
        size_ranges: components of these sizes are judged by themselves, of the first cut.
        instances: whether the components of the first cut are judged as instances.
        classes: names of the known classes where open-set metrics are wanted.
        open_thresholds: beginning of ids to the threshold of open-mIoU.
    """

    cuts: tuple[Cut, ...]
    track: str
    edges: np.ndarray
    size_ranges: Mapping[str, SizeRange] = field(default_factory=dict)
    instances: bool = False
    classes: tuple[str, ...] = ()
    open_thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """What was found in one frame; entries as asked for.

    Args:
        tp: `(cuts,)` anomaly pixels in each mask.
        fp: `(cuts,)` inlier pixels in each mask.
        objects: components of each mask.
        histogram: `(2, N)` inlier and anomaly pixels by score.
        within: components of the first mask by range of sizes.
        instances: those of the first mask.
        open_set: confusion at the threshold of the frame's town.
        town: beginning of the frame's id that named its threshold.
    """

    tp: np.ndarray
    fp: np.ndarray
    objects: tuple[FrameObjects, ...]
    histogram: np.ndarray
    within: dict[str, FrameObjects]
    instances: FrameInstances | None
    open_set: OpenSet | None
    town: str


def judge(
    frame_id: str,
    score: np.ndarray,
    truth: np.ndarray,
    run: Run,
    wanted: Judging,
    *,
    instances: np.ndarray | None = None,
    label: np.ndarray | None = None,
    classes: np.ndarray | None = None,
    enlarged: bool = False,
) -> Judged:
    """Judge one frame.

    Args:
        frame_id: its name.
        score: `(H, W)` float.
        truth: `(H, W)` uint8 of 0, 1, 255.
        run: its sorted scores.
        wanted: what to look for.
        instances: `(H, W)` integers, the true objects' ids where instances are wanted.
        label: `(H, W)` uint8, class index, 254 or 255, for open-set metrics.
        classes: `(H, W)` uint8, predicted classes, for open-set metrics.
        enlarged: as in `official_scores`.
    """
    masks = [cut.mask(score, enlarged=enlarged) for cut in wanted.cuts]
    town = next((t for t in wanted.open_thresholds if frame_id.startswith(t)), "")
    anomaly, inlier = truth == 1, truth == 0
    first = masks[0]
    return Judged(
        tp=np.array([np.count_nonzero(mask & anomaly) for mask in masks]),
        fp=np.array([np.count_nonzero(mask & inlier) for mask in masks]),
        objects=tuple(frame_objects(mask, truth, SIZE_RULES[wanted.track]) for mask in masks),
        histogram=np.stack(
            [_histogram(part, wanted.edges) for part in (run.negative, run.positive)]
        ),
        within={
            name: frame_objects_within(first, truth, sizes, sizes)
            for name, sizes in wanted.size_ranges.items()
        },
        instances=None if instances is None else _instances(first, score, instances, wanted.track),
        open_set=_open_set(score, label, classes, wanted, town),
        town=town,
    )


def _histogram(part: Part, edges: np.ndarray) -> np.ndarray:
    """Count a run's scores between edges; what lies beyond them falls into the outer bins."""
    held = part.between(-np.inf, None)
    below = np.append(0, np.cumsum(held.counts, dtype=np.int64))
    at = below[np.searchsorted(held.values, edges[1:-1])]
    return np.diff(np.concatenate([[0], at, [below[-1]]]))


def _instances(
    mask: np.ndarray, score: np.ndarray, instances: np.ndarray, track: str
) -> FrameInstances:
    """Take the mask's components as instances, their mean score as confidence."""
    numbers, sizes = label_components(mask)
    large = np.flatnonzero(sizes[1:] >= SIZE_RULES[track].predicted) + 1
    found = [numbers == number for number in large]
    predicted = [PredictedInstance(one, float(score[one].mean(dtype=np.float64))) for one in found]
    return oodis_instances(predicted, instances)


def _open_set(
    score: np.ndarray,
    label: np.ndarray | None,
    classes: np.ndarray | None,
    wanted: Judging,
    town: str,
) -> OpenSet | None:
    if not town or label is None or classes is None:
        return None
    found = OpenSet(wanted.classes, wanted.open_thresholds[town])
    found.update(classes, score, label)
    return found
