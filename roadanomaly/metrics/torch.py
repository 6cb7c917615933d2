"""The benchmark's metrics as a torchmetrics metric, for people who train elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from roadanomaly.errors import DataError
from roadanomaly.extras import missing_extra
from roadanomaly.metrics.checks import MODES, check_name
from roadanomaly.metrics.component import SIZE_RULES
from roadanomaly.metrics.frames import score_frames

try:
    from torchmetrics import Metric
except ModuleNotFoundError as error:
    raise (missing_extra(error, "the metric SegmentMeIfYouCan") or error) from error

KINDS = {2: np.float16, 4: np.float32, 8: np.float64}
"""Bytes of a score to its type."""

UNKNOWN = 254
"""Stands for every label that fits no byte; `compute` refuses it."""


class SegmentMeIfYouCan(Metric):
    """All numbers of `score_frames`, from batches, over any number of processes.

    The components need a threshold that the pixels of all frames decide, so frames are kept until
    `reset`: their scores in the type that they have (2 to 8 bytes a pixel) and their labels (1), on
    the metric's device, or on the host with `compute_on_cpu`. Over processes all of them hold all
    frames while they compute. There each frame is known by its number (`numbers` of `update`), so
    that the order is that of one process, and a frame that a sampler gave twice counts once;
    without numbers frames are taken process by process, each in the order of its updates.

    Args:
        track: `"anomaly"` or `"obstacle"`: the smallest components that count.
        mode: `"official"` or `"exact"`, as `score_frames` takes it.
        compute_on_cpu: keep the frames on the host; not where processes exchange them by NCCL.

    Raises:
        UnknownName: another track or mode.

    Source: Chan et al., 2021, SegmentMeIfYouCan: A Benchmark for Anomaly Segmentation.

    >>> metric = SegmentMeIfYouCan(track="obstacle", mode="exact")
    >>> scores = torch.linspace(0, 1, 3200).reshape(1, 40, 80)
    >>> metric.update(scores, (scores > 0.5).to(torch.uint8))
    >>> metric.compute()["ap"]
    tensor(1.)
    """

    full_state_update = False
    is_differentiable = False

    scores: list[Tensor]
    labels: list[Tensor]
    about: list[Tensor]

    def __init__(
        self,
        track: Literal["anomaly", "obstacle"] = "anomaly",
        mode: Literal["official", "exact"] = "official",
        *,
        compute_on_cpu: bool = False,
    ) -> None:
        check_name("track", track, SIZE_RULES)
        check_name("mode", mode, MODES)
        super().__init__(compute_on_cpu=compute_on_cpu)
        self.track, self.mode = track, mode
        for name in ("scores", "labels", "about"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, scores: Tensor, labels: Tensor, numbers: Tensor | None = None) -> None:
        """Take in a batch.

        Args:
            scores: `(B, H, W)` floating, higher = more anomalous; bfloat16 is taken as float32.
            labels: `(B, H, W)` whole numbers or bool: 0 inlier, 1 anomaly, 255 ignore.
            numbers: `(B,)` whole, of the frames in their set; in all updates or in none.

        Raises:
            DataError: another shape or type.
        """
        self._refuse(scores, labels, numbers)
        scores = scores.detach()
        scores = scores.float() if scores.dtype == torch.bfloat16 else scores
        count, height, width = scores.shape
        self.scores.append(scores.contiguous().view(-1).view(torch.uint8))
        whole = labels.long()
        beyond = (whole < 0) | (whole > 255)  # as a byte it would be another label
        self.labels.append(torch.where(beyond, UNKNOWN, whole).to(torch.uint8).reshape(-1))
        given = -torch.ones(count, dtype=torch.int64) if numbers is None else numbers.cpu().long()
        sizes = torch.tensor([height, width, scores.element_size()]).expand(count, 3)
        about = torch.cat([given.reshape(count, 1), sizes], 1).reshape(-1)
        self.about.append(about.to(scores.device))

    def compute(self) -> dict[str, Tensor]:
        """Return `ap`, `auroc`, `fpr95`, `best_f1`, `best_f1_threshold`, `siou`, `ppv` and `f1`.

        Fractions, scalars; NaN where undefined, as before the first update.

        Raises:
            DataError: scores that are NaN, another label id, or numbers in some updates alone.
        """
        numbers = score_frames(self._frames(), self.track, self.mode)
        return {name: torch.tensor(value) for name, value in numbers.items()}

    def sync(
        self,
        dist_sync_fn: Callable[..., Any] | None = None,
        process_group: Any | None = None,
        should_sync: bool = True,
        distributed_available: Callable[..., Any] | None = None,
    ) -> None:
        """Take in the frames of all processes; one that saw none takes part with nothing."""
        if not self.about:
            for state in (self.scores, self.labels):
                state.append(torch.empty(0, dtype=torch.uint8, device=self.device))
            self.about.append(torch.empty(0, dtype=torch.int64, device=self.device))
        super().sync(dist_sync_fn, process_group, should_sync, distributed_available)

    @contextmanager
    def sync_context(
        self,
        dist_sync_fn: Callable[..., Any] | None = None,
        process_group: Any | None = None,
        should_sync: bool = True,
        should_unsync: bool = True,
        distributed_available: Callable[..., Any] | None = None,
    ) -> Iterator[None]:
        """Hold the frames of all processes; afterwards each has its own, also where it failed."""
        self.sync(dist_sync_fn, process_group, should_sync, distributed_available)
        try:
            yield
        finally:
            self.unsync(should_unsync=self._is_synced and should_unsync)

    def _frames(self) -> list[tuple[np.ndarray, np.ndarray]]:
        scores, labels = _host(self.scores, np.uint8), _host(self.labels, np.uint8)
        about = _host(self.about, np.int64).reshape(-1, 4)
        frames: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        unnumbered = about[:, 0] < 0
        if unnumbered.any() and not unnumbered.all():
            msg = "some updates gave `numbers` of frames and others none; give them in all or none."
            raise DataError(msg)
        pixel = byte = 0
        for place, (number, height, width, size) in enumerate(about.tolist()):
            area = height * width
            score: np.ndarray = (
                scores[byte : byte + size * area].view(KINDS[size]).reshape(height, width)
            )
            label = labels[pixel : pixel + area].reshape(height, width)
            frames[place if number < 0 else number] = score, label
            pixel, byte = pixel + area, byte + size * area
        return [frames[number] for number in sorted(frames)]

    def _refuse(self, scores: Tensor, labels: Tensor, numbers: Tensor | None) -> None:
        if scores.dim() != 3 or scores.shape != labels.shape:
            msg = (
                f"scores have shape {tuple(scores.shape)} and labels {tuple(labels.shape)}; both "
                "must be (B, H, W). Bring the scores to the size of the labels first."
            )
            raise DataError(msg)
        if not scores.is_floating_point() or labels.is_floating_point():
            msg = (
                f"scores are {scores.dtype} and labels {labels.dtype}; scores must be floating and "
                "labels whole numbers of 0 inlier, 1 anomaly, 255 ignore."
            )
            raise DataError(msg)
        if numbers is not None and (numbers.shape != scores.shape[:1] or (numbers < 0).any()):
            msg = (
                f"`numbers` has shape {tuple(numbers.shape)}; it takes {len(scores)} numbers of "
                "frames, none below 0."
            )
            raise DataError(msg)


def _host(state: list[Tensor] | Tensor, kind: type) -> np.ndarray:
    """Return a state as one array; torchmetrics leaves a tensor of it where processes were."""
    parts = [state] if isinstance(state, Tensor) else state
    return torch.cat(parts).cpu().numpy() if parts else np.empty(0, kind)
