"""Where scores come from: a segmenter with detectors on it, or a folder of stored maps."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from roadanomaly.calibration import Calibration
from roadanomaly.data.base import FrameSet
from roadanomaly.detectors.base import Region
from roadanomaly.detectors.explanation import Explanation, explanation
from roadanomaly.detectors.head import Head
from roadanomaly.scores import ScoreFolder
from roadanomaly.scores.finite import require_finite
from roadanomaly.segmenters import Segmenter
from roadanomaly.types import Frame, Segmentation


@dataclass(frozen=True)
class FrameScores:
    """What a source says of one frame.

    Args:
        scores: `(H, W)` float of each detector, higher = more anomalous.
        ms: time of segmenter and detector, milliseconds; NaN for stored maps.
        classes: `(H, W)` uint8, most likely known class; None for stored maps.
    """

    scores: dict[str, np.ndarray]
    ms: dict[str, float]
    classes: np.ndarray | None = None


class ScoreSource(ABC):
    """Scores of the same detectors on any frame.

    Attributes:
        label: tells it from the other sources of an evaluation, in the names of files.
        supervision: what each detector learned from, by its name in tables, in their order.
        calibrations: what each detector's model was saved with, or None.
        classes: names of the known classes; empty for stored maps.
        regions: where each detector's score means something, by its name; empty for stored maps.
        fingerprint: what the scores depend on, plain values.
        record: what a run must remember of them, plain values.
    """

    label: str = "network"
    supervision: Mapping[str, str]
    calibrations: Mapping[str, Calibration | None]
    classes: tuple[str, ...]
    regions: Mapping[str, Region] = MappingProxyType({})
    fingerprint: dict[str, Any]
    record: dict[str, Any]

    @abstractmethod
    def check(self, frames: FrameSet) -> None:
        """Refuse frames that cannot be scored, before any is.

        Raises:
            DataError: says which and why.
        """

    def mark(self, frame_id: str) -> str:
        """Return what one frame's scores depend on beside the fingerprint."""
        return ""

    @abstractmethod
    def score(self, frame: Frame) -> FrameScores:
        """Score one frame.

        Raises:
            DataError: it cannot be scored.
        """

    def explain(self, frame: Frame) -> dict[str, Explanation]:
        """Return what scores of a frame rest on, by detector; those that say nothing are absent."""
        del frame
        return {}


class NetworkScores(ScoreSource):
    """Detectors that share a segmenter: one forward pass a frame.

    Args:
        segmenter: in inference mode, on its device.
        heads: attached to it, by their names in the table.
        calibrations: of those that were saved with one.
        weights: hashes of the segmenter's and the detectors' weights, by name, for the record and
            to tell whether scores that were kept are still theirs.
        label: tells the network from others.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        heads: Mapping[str, Head],
        calibrations: Mapping[str, Calibration | None] | None = None,
        weights: Mapping[str, str] | None = None,
        label: str = "network",
    ) -> None:
        self.label = label
        self.segmenter, self.heads = segmenter, dict(heads)
        self.calibrations = {name: (calibrations or {}).get(name) for name in heads}
        self.classes = segmenter.classes
        self.supervision = {
            name: segmenter.learned_from if one.learned_from == "none" else one.learned_from
            for name, one in heads.items()
        }
        self.regions = {name: one.detector.region for name, one in heads.items()}
        shared = [one for one in heads.values() if one.shares_pass]
        self.needs = tuple(sorted({need for one in shared for need in one.needs}))
        self.fingerprint = {
            "weights": dict(weights or {}),
            "options": {name: options_of(one) for name, one in heads.items()},
            "device": segmenter.device.type,
        }
        self.record = {**self.fingerprint, "supervision": self.supervision}

    def check(self, frames: FrameSet) -> None:
        """Networks score any frame."""

    def score(self, frame: Frame) -> FrameScores:
        """Score one frame at its own size, in float32."""
        image = frame.image[None].to(self.segmenter.device).float() / 255
        began = self._now()
        shared = self._shared(image)
        share_ms = self._now() - began
        scores, ms, classes = {}, {}, None
        for name, head in self.heads.items():
            start = self._now()
            seen = self._look(head, image, shared)
            with head.inference():
                score = head.score(seen, image)[0]
            ms[name] = self._now() - start + share_ms * head.shares_pass
            scores[name] = score.detach().cpu().numpy()
            require_finite(scores[name], f"the detector {name} on frame {frame.id}")
            if classes is None and seen.logits.shape[1]:
                classes = seen.classes()[0].to(torch.uint8).cpu().numpy()
        return FrameScores(scores, ms, classes)

    def _shared(self, image: Tensor) -> Segmentation | None:
        """Return the one pass that all heads read which ask for no more."""
        if not any(one.shares_pass for one in self.heads.values()):
            return None
        with torch.inference_mode():
            return self.segmenter(image, self.needs)

    def _look(self, head: Head, image: Tensor, shared: Segmentation | None) -> Segmentation:
        if head.shares_pass and shared is not None:
            return shared
        head.detector.reset()  # each frame is judged on its own
        with head.inference():
            return head.look(self.segmenter, image)

    def explain(self, frame: Frame) -> dict[str, Explanation]:
        """Return what scores of a frame rest on; segments it once more where a detector says so."""
        telling = {name: one for name, one in self.heads.items() if one.detector.explains}
        if not telling:
            return {}
        image = frame.image[None].to(self.segmenter.device).float() / 255
        shared = self._shared(image)
        found = {
            name: explanation(one.detector, self._look(one, image, shared), image)
            for name, one in telling.items()
        }
        return {name: one for name, one in found.items() if one is not None}

    def _now(self) -> float:
        if self.segmenter.device.type == "cuda":
            torch.cuda.synchronize(self.segmenter.device)
        return 1000 * time.perf_counter()


def options_of(head: Head) -> str:
    """Return the options of a detector and its refiners, for a fingerprint."""
    refiners = "".join(f" {type(one).__name__} {one.options()!r}" for one in head.refiners)
    return f"{head.detector.options()!r}{refiners}"


class FolderScores(ScoreSource):
    """Stored maps of one detector.

    Args:
        name: of the detector in tables.
        folder: its maps, by frame id.
    """

    classes: tuple[str, ...] = ()

    def __init__(self, name: str, folder: ScoreFolder) -> None:
        self.name, self.label, self.folder = name, name, folder
        self.supervision = {name: "unknown"}
        self.calibrations = {name: None}
        self.record = {"detector": name, "folder": str(folder.folder), "maps": len(folder)}
        self.fingerprint = {"detector": name, "folder": str(folder.folder.resolve())}

    def check(self, frames: FrameSet) -> None:
        """Compare the names of the maps with those of the frames; other splits' maps may lie by."""
        self.folder.check(frames.frame_ids(), also=frames.set_ids())

    def mark(self, frame_id: str) -> str:
        """Return size and time of a frame's file: a map that is written again is read again."""
        path = self.folder.paths.get(frame_id)
        stat = path.stat() if path and path.exists() else None
        return f"{stat.st_size} {stat.st_mtime_ns}" if stat else "missing"

    def score(self, frame: Frame) -> FrameScores:
        """Read the map of a frame, enlarged where it is narrower."""
        score = self.folder.read(frame.id, (frame.image.shape[1], frame.image.shape[2]))
        return FrameScores({self.name: score}, {self.name: float("nan")})
