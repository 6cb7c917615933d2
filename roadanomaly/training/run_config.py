"""What every run decides, whatever it trains: data, crops, steps, machine, folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from roadanomaly.errors import OptionError

Part = dict[str, Any]
"""`{name: <catalogue name>, option: value, ...}`."""

Schedule = Literal["cosine", "poly", "constant"]


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The keys that all kinds of runs share.

    Args:
        train_data: labelled inlier frames.
        val_data: labelled inlier frames for validation, selection and calibration.
        out: run folder.
        crop: height and width of a training crop.
        scale: smallest and largest random scale of the image before cropping.
        balance: share of crops that show a pixel of a class drawn evenly from those of the frame,
            so that rare classes are seen more often.
        jitter: strength of the random brightness, contrast, saturation and hue change, 0 to 1.
        degrade: chance of blur, noise and JPEG compression over the mixed crop, each.
        steps: optimiser steps.
        batch_size: crops a process and a pass.
        accumulate: passes a step.
        lr: learning rate of the network that the run is about.
        schedule: of the rates, after the warm-up.
        warmup: steps of linear warm-up.
        clip: largest gradient norm; 0 for none.
        average: decay of an exponential moving average of the weights, which is then what is
            validated and saved; 0 for none.
        precision: of Lightning Fabric: `32-true`, `bf16-mixed`, `16-mixed`; or `auto`:
            `bf16-mixed` on a GPU that has it, `32-true` elsewhere. The run keeps what it stood for.
        accelerator: `auto`, `cpu`, `cuda`, or one of several GPUs, `cuda:1`; Lightning Fabric's
            words, such as `gpu`, too.
        devices: how many on this machine, each with a batch of its own; `auto` takes all. Under
            torchrun it says.
        workers: data loading processes; `auto`: one, or beside a GPU up to eight.
        sync_batch_norm: BatchNorm layers that learn take their statistics over the crops of all
            GPUs; left out with a message where there is one or none.
        compile: the network by `torch.compile`; left out with a message where that fails.
        seed: of everything random.
        validate_every: steps between validations; 0 validates at the end alone.
        checkpoint_every: steps between checkpoints.
        log_every: steps between log lines.
        logger: an experiment tracker that is told all that TensorBoard is, too: `mlflow` or
            `wandb`.

    Class facts:
        task: what is trained, a name of `training.tasks`.
    """

    task: ClassVar[str]

    train_data: Part
    val_data: Part
    out: str = "runs/train"
    crop: tuple[int, int] = (288, 384)
    scale: tuple[float, float] = (0.6, 2.0)
    balance: float = 0.0
    jitter: float = 0.3
    degrade: float = 0.3
    steps: int = 1000
    batch_size: int = 4
    accumulate: int = 1
    lr: float = 1e-4
    schedule: Schedule = "cosine"
    warmup: int = 0
    clip: float = 0.0
    average: float = 0.0
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    accelerator: str = "auto"
    devices: int | str = 1
    workers: int | Literal["auto"] = "auto"
    sync_batch_norm: bool = False
    compile: bool = False
    seed: int = 0
    validate_every: int = 200
    checkpoint_every: int = 100
    log_every: int = 10
    logger: Literal["none", "mlflow", "wandb"] = "none"

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read.

        Raises:
            OptionError: names the key, the value and what is allowed.
        """
        for key in ("steps", "batch_size", "accumulate", "checkpoint_every", "log_every"):
            self._require(key, getattr(self, key) >= 1, "at least 1")
        for key in ("lr", "warmup", "clip", "seed", "validate_every"):
            self._require(key, getattr(self, key) >= 0, "not negative")
        counted = self.workers == "auto" or (isinstance(self.workers, int) and self.workers >= 0)
        self._require("workers", counted, "`auto` or a number that is not negative")
        self._require("crop", min(self.crop) >= 16, "two sides of at least 16 pixels")
        self._require("scale", 0 < self.scale[0] <= self.scale[1], "two rising positive numbers")
        for key in ("balance", "jitter", "degrade"):
            self._require(key, 0 <= getattr(self, key) <= 1, "in 0..1")
        loggers = ("none", "mlflow", "wandb")
        self._require("logger", self.logger in loggers, f"one of {', '.join(loggers)}")
        self._require("average", 0 <= self.average < 1, "in 0..1, 1 excluded")

    def _require(self, key: str, holds: bool, allowed: str) -> None:
        if not holds:
            msg = f"config: `{key}` must be {allowed}, not {getattr(self, key)!r}."
            raise OptionError(msg)
