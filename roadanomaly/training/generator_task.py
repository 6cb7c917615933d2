"""The task of training a generator against discriminators, on labelled inlier frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import nn
from torch.optim import Adam

from roadanomaly.data import DATASETS
from roadanomaly.data.images import write_image
from roadanomaly.encoders import ENCODERS, Encoder
from roadanomaly.errors import Mistakes, OptionError
from roadanomaly.generators import GENERATORS, Generator
from roadanomaly.generators.discriminators import Discriminators
from roadanomaly.generators.store import save_generator
from roadanomaly.segmenters import SEGMENTERS, Segmenter
from roadanomaly.training.generator_config import GeneratorConfig
from roadanomaly.training.generator_step import GeneratorStep
from roadanomaly.training.generator_validation import ResynthesisValidator
from roadanomaly.training.log import RunLog
from roadanomaly.training.optimiser import Plan, build_schedule
from roadanomaly.training.record import run_record
from roadanomaly.training.run_config import Part
from roadanomaly.training.run_folder import RunFolder
from roadanomaly.training.task import Task, Trial
from roadanomaly.weights_hash import weights_hash


class GeneratorTask(Task):
    """Trains a generator, and keeps the one whose labels the judge reads best.

    Args:
        config: the whole run.
        folder: where the generator goes.

    Raises:
        UserError: a part of the config cannot be built, or the parts do not fit together.
    """

    module: GeneratorStep
    source = None

    def __init__(self, config: GeneratorConfig, folder: RunFolder) -> None:
        self.config = config
        self.folder = folder
        self._build()
        self._check()
        self.discriminators: Discriminators | None = None
        if config.discriminated:
            self.discriminators = Discriminators(
                self.generator.classes,
                config.discriminator_width,
                config.discriminator_layers,
                config.discriminator_scales,
                config.spectral,
            )
        self.module = GeneratorStep(
            self.generator, self.discriminators, self.encoder, self.reader, config
        )
        size = config.val_size or config.crop
        self.validator = ResynthesisValidator(
            self.held_out, self.judge, size, config.judge_size, config.val_frames
        )
        self.about: dict[str, Any] = {}
        self.values: dict[str, float] = {}

    def _build(self) -> None:
        """Build the parts that do not hang together.

        Raises:
            UserError: what all lack of which one lacks something.
        """
        config, mistakes = self.config, Mistakes()
        with mistakes.noted():
            self.frames = DATASETS.from_spec(config.train_data, "--train_data")
        with mistakes.noted():
            self.held_out = DATASETS.from_spec(config.val_data, "--val_data")
        with mistakes.noted():
            self.generator: Generator = GENERATORS.from_spec(config.generator)
        with mistakes.noted():
            self.encoder: Encoder | None = (
                None if config.encoder is None else ENCODERS.from_spec(config.encoder)
            )
        with mistakes.noted():
            self.reader = _segmenter(config.reader)
        with mistakes.noted():
            self.judge = _segmenter(config.judge)
        mistakes.refuse()

    def _check(self) -> None:
        """Refuse parts that do not fit, before anything is trained; name the generator's classes.

        Raises:
            OptionError: a size that the generator cannot draw, or a number of classes.
            DataError: a set, a reader or a judge of other classes than the others.
        """
        sizes = {"crop": self.config.crop, "val_size": self.config.val_size}
        for key, size in sizes.items():
            try:
                self.generator.check_size(*(size or self.config.crop))
            except OptionError as error:
                msg = f"config: `{key}`: {error}"
                raise OptionError(msg) from error
        for frames in (self.frames, self.held_out):
            if len(frames.classes) != self.generator.classes:
                msg = (
                    f"the data set {frames.record()['name']} has {len(frames.classes)} classes, "
                    f"the generator {self.generator.classes}: set `generator.classes`."
                )
                raise OptionError(msg)
        self.frames.require_classes(self.held_out.classes, "`val_data`")
        self.generator.names = tuple(self.frames.classes)
        for name, segmenter in {"reader": self.reader, "judge": self.judge}.items():
            if segmenter is not None:
                self.held_out.require_classes(segmenter.classes, f"the {name}")

    @property
    def learned(self) -> nn.Module:
        """The generator."""
        return self.generator

    def compilable(self) -> list[tuple[nn.Module, Trial]]:
        """Return the generator, tried by drawing a batch's labels."""
        return [(self.generator, lambda network, batch: network(batch.label).mean().backward())]

    def plans(self, *, fused: bool = False) -> list[Plan]:
        """Return an Adam for each side that takes part, with the run's schedule."""
        config = self.config
        rates = {"generator": config.lr}
        if self.discriminators is not None:
            rates["discriminators"] = config.discriminator_lr
        plans = []
        for name, rate in rates.items():
            learns = getattr(self, name).parameters()
            optimiser = Adam(learns, rate, betas=config.betas, fused=fused or None)
            schedule = build_schedule(optimiser, config.schedule, config.warmup, config.steps)
            plans.append(Plan(name, optimiser, schedule, config.clip))
        return plans

    def record(self, processes: int) -> dict[str, Any]:
        """Return all that somebody needs to repeat the run."""
        parts: dict[str, Any] = {}
        if self.encoder is not None:
            assert self.config.encoder is not None
            about = {"name": self.config.encoder["name"], **self.encoder.record()}
            parts["encoder"] = {**about, "hash": weights_hash(self.encoder)}
        for name, segmenter in {"reader": self.reader, "judge": self.judge}.items():
            if segmenter is not None:
                about = getattr(self.config, name)
                parts[name] = {**about, "hash": weights_hash(segmenter)}
        self.about = run_record(
            seed=self.config.seed,
            config=asdict(self.config),
            parameters=_size(self.generator),
            discriminator_parameters=_size(self.discriminators) if self.discriminators else 0,
            **parts,
            train_data=self.frames.record(),
            val_data=self.held_out.record(),
            processes=processes,
        )
        return self.about

    def validate(self, step: int, log: RunLog, parts: Sequence[Any]) -> float:
        """Return the judge's mIoU of held-out resyntheses, or without a judge minus their L1."""
        del parts
        self.generator.eval()
        found = self.validator.run(self.generator)
        self.values = found.values
        text = f"L1 {found.values['l1']:.4f}"
        if "miou" in found.values:
            miou, real = 100 * found.values["miou"], 100 * found.values["miou_real"]
            text = f"mIoU {miou:.2f} (images themselves {real:.2f})  {text}"
        log.judge(step, found.values, text)
        log.show(step, {"generator/frames": found.sheet}, {})
        write_image(self.folder.path / "resyntheses" / f"step_{step:06d}.png", found.sheet)
        return found.values.get("miou", -found.values["l1"])

    def save(self, step: int) -> None:
        """Write the generator into the run folder."""
        card = {**self.about, "step": step, "validation": self.values}
        save_generator(self.generator, self.folder.path / "generator", card)

    def finish(self, log: RunLog | None, best_step: int, device: torch.device) -> None:
        """Say where the generator is."""
        if log:
            log.say(f"{self.which(best_step)}; it is in {self.folder.path / 'generator'}")

    def state_dict(self) -> dict[str, Any]:
        """Return the discriminators' weights and the passes so far."""
        return {
            "discriminators": self.discriminators.state_dict() if self.discriminators else {},
            "passes": torch.tensor(self.module.passes),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore them."""
        if self.discriminators is not None:
            self.discriminators.load_state_dict(saved["discriminators"])
        self.module.passes = int(saved["passes"])


def _segmenter(part: Part | None) -> Segmenter | None:
    return None if part is None else SEGMENTERS.from_spec(part)


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
