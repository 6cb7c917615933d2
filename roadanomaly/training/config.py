"""Everything that decides a training run, flat and typed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from roadanomaly.errors import OptionError

Part = dict[str, Any]
"""`{name: <catalogue name>, option: value, ...}`."""


@dataclass(frozen=True)
class TrainConfig:
    """One training run. A part is a mapping: its catalogue `name` and that entry's options.

    Args:
        segmenter: network, with the weights to start from.
        start: run folder whose segmenter to start from, instead of `segmenter`.
        out: run folder.
        detector: what is trained. A `posthoc` detector trains the segmenter alone, with
            cross-entropy.
        train_data: labelled inlier frames.
        val_data: labelled inlier frames for validation, selection and calibration.
        negatives: source of negatives in training; none where the detector needs none.
        val_negatives: source of the validation's negatives: other content than `negatives`.
        crop: height and width of a training crop.
        scale: smallest and largest random scale of the image before cropping.
        jitter: strength of the random brightness, contrast, saturation and hue change, 0 to 1.
        degrade: chance of blur, noise and JPEG compression over the mixed crop, each.
        steps: optimiser steps.
        batch_size: crops a process and a pass.
        accumulate: passes a step.
        lr: learning rate of the segmenter.
        head_lr: learning rate of the detector's own layers.
        weight_decay: of AdamW, on weights of two dimensions or more.
        schedule: of both rates, after the warm-up.
        warmup: steps of linear warm-up.
        clip: largest gradient norm; 0 for none.
        freeze_batch_norm: keep the segmenter's BatchNorm statistics as they are.
        average: decay of an exponential moving average of the weights, which is then what is
            validated and saved; 0 for none.
        distill: weight of a term that keeps the segmenter's predictions near those it started
            with, on pixels that show no negative; 0 for none.
        supervise: take the losses at the logits' own stride or at image size.
        precision: of Lightning Fabric: `32-true`, `bf16-mixed`, `16-mixed`.
        accelerator: of Lightning Fabric: `auto`, `cpu`, `gpu`.
        devices: how many on this machine; under torchrun it says.
        workers: data loading processes.
        seed: of everything random.
        validate_every: steps between validations; 0 validates at the end alone.
        val_frames: validation frames, evenly spaced over `val_data`; 0 takes all.
        val_size: height and width that validation frames are brought to; their own if not given.
        checkpoint_every: steps between checkpoints.
        log_every: steps between log lines.
        false_alarms: share of inlier validation pixels above the saved threshold.
    """

    detector: Part
    train_data: Part
    val_data: Part
    segmenter: Part | None = None
    start: str | None = None
    out: str = "runs/train"
    negatives: Part | None = None
    val_negatives: Part | None = None
    crop: tuple[int, int] = (288, 384)
    scale: tuple[float, float] = (0.6, 2.0)
    jitter: float = 0.3
    degrade: float = 0.3
    steps: int = 1000
    batch_size: int = 4
    accumulate: int = 1
    lr: float = 1e-4
    head_lr: float = 1e-3
    weight_decay: float = 1e-4
    schedule: Literal["cosine", "poly", "constant"] = "cosine"
    warmup: int = 0
    clip: float = 0.0
    freeze_batch_norm: bool = True
    average: float = 0.0
    distill: float = 0.0
    supervise: Literal["logits", "image"] = "logits"
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    accelerator: str = "auto"
    devices: int | str = "auto"
    workers: int = 1
    seed: int = 0
    validate_every: int = 200
    val_frames: int = 0
    val_size: tuple[int, int] | None = None
    checkpoint_every: int = 100
    log_every: int = 10
    false_alarms: float = 0.01

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read.

        Raises:
            OptionError: names the key, the value and what is allowed.
        """
        for key in ("steps", "batch_size", "accumulate", "checkpoint_every", "log_every"):
            self._require(key, getattr(self, key) >= 1, "at least 1")
        for key in ("lr", "head_lr", "weight_decay", "warmup", "clip", "distill", "workers"):
            self._require(key, getattr(self, key) >= 0, "not negative")
        for key in ("seed", "validate_every", "val_frames"):
            self._require(key, getattr(self, key) >= 0, "not negative")
        if (self.segmenter is None) == (self.start is None):
            msg = "config: give either `segmenter`, a network, or `start`, a run folder."
            raise OptionError(msg)
        self._require("crop", min(self.crop) >= 16, "two sides of at least 16 pixels")
        self._require("scale", 0 < self.scale[0] <= self.scale[1], "two rising positive numbers")
        for key in ("jitter", "degrade"):
            self._require(key, 0 <= getattr(self, key) <= 1, "in 0..1")
        self._require("average", 0 <= self.average < 1, "in 0..1, 1 excluded")
        self._require("false_alarms", 0 < self.false_alarms < 1, "between 0 and 1")

    def _require(self, key: str, holds: bool, allowed: str) -> None:
        if not holds:
            msg = f"config: `{key}` must be {allowed}, not {getattr(self, key)!r}."
            raise OptionError(msg)


@dataclass(frozen=True)
class Progress:
    """How far a run has come; all that the schedule and the data order depend on."""

    step: int = 0
    best: float = float("-inf")
    best_step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
