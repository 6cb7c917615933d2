"""What an adaptation is judged by: false objects on a person's frames, recall, another world."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from roadanomaly.data.base import FrameSet
from roadanomaly.data.stack import stack
from roadanomaly.metrics.pixel import PixelOfficial
from roadanomaly.model import Model
from roadanomaly.negatives.mixed import MixedFrames
from roadanomaly.objects import find_components
from roadanomaly.training.adapted import Figures
from roadanomaly.types import NEGATIVE, Frame

STEPS = 40
"""Thresholds that are tried from the highest score down; neighbours differ by a third in rate."""


@dataclass(frozen=True)
class Examined:
    """What was scored; a part of it, or all.

    Args:
        scores: of ordinary frames, by number, `(H, W)` float32.
        objects: by frame, the middle score of each pasted object: at least half of its pixels lie
            above every threshold below that.
        world: scores of another world against its truth.
    """

    scores: dict[int, np.ndarray] = field(default_factory=dict)
    objects: dict[int, list[float]] = field(default_factory=dict)
    world: PixelOfficial = field(default_factory=PixelOfficial)

    def merge(self, other: Examined) -> None:
        """Take over what was scored of other frames."""
        self.scores.update(other.scores)
        self.objects.update(other.objects)
        self.world.merge(other.world)

    def middles(self) -> np.ndarray:
        """Return the middle scores of all pasted objects, rising."""
        return np.sort([one for frame in self.objects.values() for one in frame])

    def false_objects(self, threshold: float, least: int) -> dict[int, int]:
        """Count the regions above a threshold on each ordinary frame.

        Args:
            threshold: of the score.
            least: pixels of a region that counts.
        """
        return {
            number: len(find_components(score, threshold, least)[1])
            for number, score in self.scores.items()
        }


class Examiner:
    """Scores the held-out part of the drives, the same with negatives, and another world.

    Args:
        frames: held-out ordinary frames.
        mixed: the same with pasted negatives.
        world: labelled frames with anomalies.
        least: pixels of an object that counts.
    """

    def __init__(self, frames: FrameSet, mixed: MixedFrames, world: FrameSet, least: int) -> None:
        self.frames, self.mixed, self.world = frames, mixed, world
        self.least = least

    def examine(self, model: Model, rank: int = 0, world: int = 1) -> Examined:
        """Score every `world`-th frame of each set, from number `rank` on.

        Args:
            model: on its device.
            rank: of this process.
            world: number of processes.
        """
        model.eval()
        found = Examined()
        for number in range(rank, len(self.frames), world):
            found.scores[number] = score_of(model, self.frames[number])
            found.objects[number] = self._middles(model, self.mixed[number])
        for number in range(rank, len(self.world), world):
            frame = self.world[number]
            assert frame.truth is not None
            found.world.update(frame.id, score_of(model, frame), frame.truth.numpy())
        return found

    def _middles(self, model: Model, frame: Frame) -> list[float]:
        assert frame.label is not None
        pasted = (frame.label == NEGATIVE).numpy().astype(np.uint8)
        count, parts, stats, _ = cv2.connectedComponentsWithStats(pasted, connectivity=8)
        large = [n for n in range(1, count) if stats[n, cv2.CC_STAT_AREA] >= self.least]
        score = score_of(model, frame) if large else np.empty((0, 0))
        return [float(np.quantile(score[parts == n], 0.5, method="lower")) for n in large]

    def figures(self, found: Examined, threshold: float) -> Figures:
        """Return what was found at a threshold."""
        middles = found.middles()
        pixels = sum(score.size for score in found.scores.values())
        above = sum(int((score > threshold).sum()) for score in found.scores.values())
        counts = found.false_objects(threshold, self.least)
        return Figures(
            threshold=threshold,
            false_objects=sum(counts.values()) / len(counts),
            false_pixels=above / pixels,
            recall=float((middles > threshold).mean()) if len(middles) else float("nan"),
            objects=len(middles),
            world_ap=found.world.compute().ap if len(self.world) else float("nan"),
            frames=len(counts),
        )


def score_of(model: Model, frame: Frame) -> np.ndarray:
    """Return the score of one frame, `(H, W)` float32."""
    model.detector.reset()
    image = stack([frame]).to(model.device).image
    return model.score(image)[0][0].detach().cpu().numpy()


def merged(parts: Sequence[Examined]) -> Examined:
    """Put together what was examined, each frame once."""
    whole = Examined()
    for part in parts:
        whole.merge(part)
    return whole


def highest_threshold(middles: Iterable[float], recall: float) -> float | None:
    """Return the highest threshold at which a share of objects is found; None without objects.

    Args:
        middles: score of each object that a threshold must lie below.
        recall: share of them, 0..1.
    """
    rising = np.sort(np.asarray(list(middles), np.float32))
    if not len(rising):
        return None
    lost = int(np.floor((1 - recall) * len(rising) + 1e-9))
    last = rising[min(lost, len(rising) - 1)]
    return float(np.nextafter(last, np.float32(-np.inf)))


def lowest_threshold(found: Examined, false_objects: float, least: int) -> float:
    """Return about the lowest threshold with so many false objects a frame, or fewer.

    It is looked for among quantiles of the scores of ordinary frames, from the highest down.

    Args:
        found: scores of ordinary frames.
        false_objects: a frame, at most.
        least: pixels of a region that counts.
    """
    drawn = np.concatenate([score.ravel()[::7] for score in found.scores.values()])
    allowed = false_objects * len(found.scores)
    highest = float(drawn.max())
    lowest = highest
    for threshold in np.quantile(drawn, 1 - np.geomspace(1 / len(drawn), 0.5, STEPS)):
        if sum(found.false_objects(float(threshold), least).values()) > allowed:
            break
        lowest = float(threshold)
    return lowest
