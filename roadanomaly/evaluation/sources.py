"""Where scores come from: a segmenter with detectors on it, or a folder of stored maps."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from roadanomaly.calibration import Calibration
from roadanomaly.data.base import FrameSet
from roadanomaly.detectors.base import Region
from roadanomaly.detectors.explanation import Explanation, explanation
from roadanomaly.detectors.head import Head
from roadanomaly.detectors.supervision import foremost
from roadanomaly.precision import Precision, autocast
from roadanomaly.scores import ScoreFolder
from roadanomaly.scores.finite import require_finite
from roadanomaly.segmenters import Segmenter
from roadanomaly.types import Frame, Segmentation
from roadanomaly.weights_hash import spelled


@dataclass(frozen=True)
class FrameScores:
    """What a source says of one frame.

    Args:
        scores: `(H, W)` float of each detector, higher = more anomalous.
        ms: time of segmenter and detector, milliseconds, of a batch its share; NaN for stored maps.
        classes: `(H, W)` uint8, most likely known class by each detector's own look; one array for
            all that share a pass. Detectors that say no class are absent, as stored maps are.
        enlarged: whether stored maps were narrower than the image. The official tool judges what it
            enlarges in single precision, and all else as it is submitted, in half precision.
    """

    scores: dict[str, np.ndarray]
    ms: dict[str, float]
    classes: dict[str, np.ndarray] = field(default_factory=dict)
    enlarged: bool = False


class ScoreSource(ABC):
    """Scores of the same detectors on any frame.

    Attributes:
        label: tells it from the other sources of an evaluation, in the names of files.
        device: where it scores.
        precision: what it computes in.
        supervision: what each detector learned from, by its name in tables, in their order.
        calibrations: what each detector's model was saved with, or None.
        classes: names of the known classes; empty for stored maps.
        regions: where each detector's score means something, by its name; empty for stored maps.
        fingerprint: what the scores depend on, plain values.
        record: what a run must remember of them, plain values.
    """

    label: str = "network"
    device: torch.device = torch.device("cpu")
    precision: Precision = "f32"
    supervision: Mapping[str, str]
    calibrations: Mapping[str, Calibration | None]
    classes: tuple[str, ...]
    regions: Mapping[str, Region] = MappingProxyType({})
    fingerprint: dict[str, Any]
    record: dict[str, Any]
    _frames: FrameSet | None = None

    def on(self, frames: FrameSet) -> Self:
        """Return this source for the frames of one set, whose files its marks then tell of."""
        other = copy(self)
        other._frames = frames
        return other

    @abstractmethod
    def check(self, frames: FrameSet) -> None:
        """Refuse frames that cannot be scored, before any is.

        Raises:
            DataError: says which and why.
        """

    def mark(self, frame_id: str) -> str:
        """Return what one frame's scores depend on beside the fingerprint.

        Of the frame's own files it says size and time, so that a label that is written again is
        read again; of a source that stands on no set, and of frames that are drawn, nothing.
        """
        paths = self._frames.files_of(frame_id) if self._frames is not None else []
        return " ".join(map(_stamp, paths))

    @abstractmethod
    def score(self, frame: Frame) -> FrameScores:
        """Score one frame.

        Raises:
            DataError: it cannot be scored.
        """

    def score_together(self, frames: Sequence[Frame], seeds: Sequence[int]) -> list[FrameScores]:
        """Score equally large frames; one by one, where a source knows nothing better.

        Args:
            frames: some.
            seeds: of what is drawn at random for each of them.

        Raises:
            DataError: one of them cannot be scored.
        """
        found = []
        for frame, seed in zip(frames, seeds, strict=True):
            torch.manual_seed(seed)
            found.append(self.score(frame))
        return found

    def explain(self, frame: Frame, seed: int) -> dict[str, Explanation]:
        """Return what scores of a frame rest on, by detector; those that say nothing are absent.

        Args:
            frame: one that was scored.
            seed: the one of its score, so that what is shown has the same draws.
        """
        del frame, seed
        return {}


def _stamp(path: Path | None) -> str:
    """Return size and time of a file."""
    stat = path.stat() if path and path.exists() else None
    return f"{stat.st_size} {stat.st_mtime_ns}" if stat else "missing"


class NetworkScores(ScoreSource):
    """Detectors that share a segmenter: one forward pass a frame, or a batch of frames.

    Args:
        segmenter: in inference mode, on its device.
        heads: attached to it, by their names in the table.
        calibrations: of those that were saved with one.
        weights: hashes of the segmenter's and the detectors' weights, by name, for the record and
            to tell whether scores that were kept are still theirs.
        label: tells the network from others.
        precision: what network and detectors compute in.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        heads: Mapping[str, Head],
        calibrations: Mapping[str, Calibration | None] | None = None,
        weights: Mapping[str, str] | None = None,
        label: str = "network",
        precision: Precision = "f32",
    ) -> None:
        self.label, self.precision, self.device = label, precision, segmenter.device
        self.segmenter, self.heads = segmenter, dict(heads)
        self.calibrations = {name: (calibrations or {}).get(name) for name in heads}
        self.classes = segmenter.classes
        self.supervision = {
            name: foremost([segmenter.learned_from, one.learned_from])
            for name, one in heads.items()
        }
        self.regions = {name: one.detector.region for name, one in heads.items()}
        shared = [one for one in heads.values() if one.shares_pass]
        self.needs = tuple(sorted({need for one in shared for need in one.needs}))
        self.fingerprint = {
            "weights": dict(weights or {}),
            "segmenter": spelled(segmenter),
            "options": {name: options_of(one) for name, one in heads.items()},
            "device": segmenter.device.type,
            "precision": precision,
        }
        self.record = {**self.fingerprint, "supervision": self.supervision}
        self.draws, self._fits = False, sys.maxsize
        self._turn = RLock()

    def check(self, frames: FrameSet) -> None:
        """Networks score any frame; a refiner may miss a file of it."""
        for frame_id in frames.frame_ids():
            self.mark(frame_id)

    def mark(self, frame_id: str) -> str:
        """Return the frame's files, and what refiners read of it beside its image."""
        refiners = (one for head in self.heads.values() for one in head.refiners)
        marks = [super().mark(frame_id), *(one.mark(frame_id) for one in refiners)]
        return " ".join(filter(None, marks))

    def exact(self) -> NetworkScores:
        """Return the same networks in float32."""
        weights = self.fingerprint["weights"]
        return NetworkScores(self.segmenter, self.heads, self.calibrations, weights, self.label)

    def score(self, frame: Frame) -> FrameScores:
        """Score one frame at its own size; scores are float32, and draws begin from 0."""
        return self._score([frame], 0)[0]

    def score_together(self, frames: Sequence[Frame], seeds: Sequence[int]) -> list[FrameScores]:
        """Score equally large frames in one pass, or as many at a time as the memory holds.

        Where a detector drew random numbers, these and all later frames are scored one by one,
        each from its own seed, so that draws do not depend on the batch.
        """
        if len(frames) == 1 or self.draws:
            return self._score_each(frames, seeds)
        if len(frames) > self._fits:
            parts = [slice(n, n + self._fits) for n in range(0, len(frames), self._fits)]
            return [one for p in parts for one in self.score_together(frames[p], seeds[p])]
        try:
            found = self._score(frames, seeds[0])
        except torch.OutOfMemoryError:
            self._fits = len(frames) // 2  # and again below, where nothing holds the batch
            found = []
        if not found:
            torch.cuda.empty_cache()
            return self.score_together(frames, seeds)
        return self._score_each(frames, seeds) if self.draws else found

    def _score_each(self, frames: Sequence[Frame], seeds: Sequence[int]) -> list[FrameScores]:
        pairs = zip(frames, seeds, strict=True)
        return [one for frame, seed in pairs for one in self._score([frame], seed)]

    @contextmanager
    def _drawing_from(self, seed: int) -> Iterator[None]:
        """Let draws begin from a seed, and note whether there are any."""
        torch.manual_seed(seed)
        before = self._random_state()
        yield
        self.draws = self.draws or not torch.equal(before, self._random_state())

    def _random_state(self) -> Tensor:
        states = [torch.get_rng_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        return torch.cat(states)

    def _score(self, frames: Sequence[Frame], seed: int) -> list[FrameScores]:
        """Score equally large frames together; each head draws from the seed."""
        with self._turn:
            return self._score_in_turn(frames, seed)

    def _score_in_turn(self, frames: Sequence[Frame], seed: int) -> list[FrameScores]:
        image = self._images(frames)
        ids = [frame.id for frame in frames]
        began = self._now()
        with self._drawing_from(seed):
            shared = self._shared(image, ids)
        share_ms = self._now() - began
        scores, ms, own = {}, {}, {}
        for name, head in self.heads.items():
            start = self._now()
            step = 1 if head.one_by_one else len(ids)
            parts = [slice(n, n + step) for n in range(0, len(ids), step)]
            with self._drawing_from(seed):
                found = [self._judge(head, image[one], ids[one], shared) for one in parts]
            ms[name] = (self._now() - start + share_ms * head.shares_pass) / len(frames)
            scores[name] = np.concatenate([score.detach().cpu().numpy() for score, _ in found])
            for frame, score in zip(frames, scores[name], strict=True):
                require_finite(score, f"the detector {name} on frame {frame.id}")
            if not head.shares_pass:
                own[name] = _classes([seen for _, seen in found])
        plain = [] if shared is None else _classes([shared])
        classes = {name: own.get(name) or plain for name in self.heads}
        return [
            FrameScores(
                {name: of_all[place] for name, of_all in scores.items()},
                ms,
                {name: of_all[place] for name, of_all in classes.items() if of_all},
            )
            for place in range(len(frames))
        ]

    def _images(self, frames: Sequence[Frame]) -> Tensor:
        """Return `(B, 3, H, W)` float32 in 0..1 on the network's device."""
        images = [frame.image.to(self.device, non_blocking=True) for frame in frames]
        return torch.stack(images).float() / 255

    def _shared(self, image: Tensor, ids: Sequence[str]) -> Segmentation | None:
        """Return the one pass that all heads read which ask for no more."""
        if not any(one.shares_pass for one in self.heads.values()):
            return None
        with torch.inference_mode(), autocast(self.precision, self.device):
            return self.segmenter(image, self.needs).named(ids)

    def _judge(
        self, head: Head, image: Tensor, ids: Sequence[str], shared: Segmentation | None
    ) -> tuple[Tensor, Segmentation]:
        """Return a head's scores of a batch, and the segmentation that they come from."""
        seen = self._look(head, image, ids, shared)
        with head.inference(), autocast(self.precision, self.device):
            return head.score(seen, image), seen

    def _look(
        self, head: Head, image: Tensor, ids: Sequence[str], shared: Segmentation | None
    ) -> Segmentation:
        if head.shares_pass and shared is not None:
            return shared
        head.detector.reset()  # each frame is judged on its own
        with head.inference(), autocast(self.precision, self.device):
            return head.look(self.segmenter, image).named(ids)

    def explain(self, frame: Frame, seed: int) -> dict[str, Explanation]:
        """Return what scores of a frame rest on; segments it once more where a detector says so.

        Pictures are drawn in threads beside the scoring, and a look may move what the network has
        for its time, as the random draws and BatchNorm's statistics: so each takes its turn.
        """
        telling = {name: one for name, one in self.heads.items() if one.detector.explains}
        if not telling:
            return {}
        found = {}
        with self._turn:
            image, ids = self._images([frame]), (frame.id,)
            shared = self._shared(image, ids)
            for name, one in telling.items():
                with self._drawing_from(seed), autocast(self.precision, self.device):
                    seen = self._look(one, image, ids, shared)
                    found[name] = explanation(one.detector, seen, image)
        return {name: one for name, one in found.items() if one is not None}

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return 1000 * time.perf_counter()


def _classes(parts: Sequence[Segmentation]) -> list[np.ndarray]:
    """Return the classes of each frame of a batch in parts, `(H, W)` uint8; none where none is."""
    if not parts[0].logits.shape[1]:
        return []
    return [one for part in parts for one in part.classes().to(torch.uint8).cpu().numpy()]


def options_of(head: Head) -> str:
    """Return names and options of a detector and its refiners, for a fingerprint."""
    return "; ".join(map(spelled, (head.detector, *head.refiners)))


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
        """Return the frame's files, and its map: one that is written again is read again."""
        marks = [super().mark(frame_id), _stamp(self.folder.paths.get(frame_id))]
        return " ".join(filter(None, marks))

    def score(self, frame: Frame) -> FrameScores:
        """Read the map of a frame, enlarged where it is narrower."""
        size = frame.image.shape[1], frame.image.shape[2]
        score, enlarged = self.folder.read_enlarged(frame.id, size)
        return FrameScores({self.name: score}, {self.name: float("nan")}, enlarged=enlarged)
