"""The endless stream of training crops, each a pure function of the seed and its number."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler

from roadanomaly.data.base import FrameSet
from roadanomaly.data.stack import stack
from roadanomaly.data.transforms import ColourJitter, Compose, Degrade, RandomFlip, RandomScaleCrop
from roadanomaly.errors import DataError, UserError
from roadanomaly.negatives import NegativeSource
from roadanomaly.training.run_config import RunConfig
from roadanomaly.types import Batch, Frame

ORDER, CROP, MIX = 1, 2, 3


class CropStream(Dataset[tuple[int, Frame | UserError]]):
    """Crop number `n` of a run: which frame, cut where, coloured how.

    Because a crop depends on `(seed, n)` alone, a run resumes at any step with the same data,
    and the number of workers changes nothing. What is wrong with a file is returned, not raised:
    the loader would bury it in a worker's traceback.

    Args:
        frames: labelled inlier frames.
        transform: joint transform of a frame, `(frame, rng) -> frame`.
        seed: of the run.
    """

    def __init__(self, frames: FrameSet, transform: Compose, seed: int) -> None:
        if not len(frames):
            msg = f"the training set is empty: {frames.record()}. Check its root and split."
            raise DataError(msg)
        self.frames = frames
        self.transform = transform
        self.seed = seed

    def __getitem__(self, number: int) -> tuple[int, Frame | UserError]:
        epoch, place = divmod(number, len(self.frames))
        order = np.random.default_rng([self.seed, ORDER, epoch]).permutation(len(self.frames))
        try:
            frame = self.frames[int(order[place])]
        except UserError as error:
            return number, error
        return number, self.transform(frame, np.random.default_rng([self.seed, CROP, number]))


class ShardSampler(Sampler[int]):
    """Crop numbers of one process, from a step on, in order.

    Args:
        config: gives steps, batch size and accumulation.
        start: first step, counted from 0.
        rank: of this process.
        world: number of processes.
    """

    def __init__(self, config: RunConfig, start: int, rank: int, world: int) -> None:
        self.passes = range(start * config.accumulate, config.steps * config.accumulate)
        self.batch = config.batch_size
        self.rank = rank
        self.world = world

    def __iter__(self) -> Iterator[int]:
        for number in self.passes:
            first = (number * self.world + self.rank) * self.batch
            yield from range(first, first + self.batch)

    def __len__(self) -> int:
        return len(self.passes) * self.batch


class Collate:
    """Stack crops, mix negatives in and degrade the result, all from the first crop's number.

    Where a source works inside the step, the step degrades, after it: see `TrainingStep`.
    """

    def __init__(self, source: NegativeSource | None, degrade: Degrade, seed: int) -> None:
        self.source = source
        self.degrade = degrade
        self.seed = seed

    def __call__(self, items: Sequence[tuple[int, Frame | UserError]]) -> Batch | UserError:
        """Return the mixed uint8 batch of numbered crops, or what is wrong with one of them."""
        rng = np.random.default_rng([self.seed, MIX, items[0][0]])
        frames = []
        for _, frame in items:
            if isinstance(frame, UserError):
                return frame
            frames.append(frame)
        batch = stack(frames)
        try:
            if self.source is not None and self.source.stage != "step":
                batch = self.source.mix(batch, rng)
        except UserError as error:
            return error
        if self.source is not None and self.source.stage != "loader":
            return batch
        return self.degrade.batch(batch, rng)


def train_transform(config: RunConfig) -> Compose:
    """Return the joint transform that the config describes."""
    strength = config.jitter
    return Compose(
        (
            RandomScaleCrop(*config.crop, *config.scale),
            RandomFlip(0.5),
            ColourJitter(strength, strength, strength, strength / 10),
        )
    )


def train_loader(
    config: RunConfig,
    frames: FrameSet,
    source: NegativeSource | None,
    *,
    start: int,
    rank: int,
    world: int,
) -> DataLoader[Batch | UserError]:
    """Return the loader of mixed uint8 batches from step `start` to the run's end.

    With workers, OpenCV is left one thread in this process too.
    """
    degrade = Degrade(p=config.degrade)
    if config.workers:
        cv2.setNumThreads(
            1
        )  # a worker that is forked beside OpenCV's threads waits for them forever
    loader: DataLoader[Batch | UserError] = DataLoader(
        CropStream(frames, train_transform(config), config.seed),  # type: ignore[arg-type]
        batch_size=config.batch_size,
        sampler=ShardSampler(config, start, rank, world),
        collate_fn=Collate(source, degrade, config.seed),
        num_workers=config.workers,
        prefetch_factor=4 if config.workers else None,
        multiprocessing_context="fork" if config.workers else None,
        worker_init_fn=_quiet_worker,
    )
    return loader


def _quiet_worker(_: int) -> None:
    """Let the trainer alone answer Ctrl-C, and keep a worker on its one core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(1)
