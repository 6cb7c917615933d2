"""The endless stream of training crops, each a pure function of the seed and its number."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.context import BaseContext

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from roadanomaly.data.base import FrameSet
from roadanomaly.data.stack import stack
from roadanomaly.data.transforms import ColourJitter, Compose, Degrade, RandomFlip, RandomScaleCrop
from roadanomaly.errors import DataError, UserError
from roadanomaly.locks import whole_number
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

    Args:
        source: of negatives, or its part that works here.
        degrade: what is done to the mixed crops; None where a source works inside the step, which
            then degrades, after it: see `TrainingStep`.
        seed: of the run.
    """

    def __init__(self, source: NegativeSource | None, degrade: Degrade | None, seed: int) -> None:
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
            if self.source is not None:
                batch = self.source.mix(batch, rng)
        except UserError as error:
            return error
        return batch if self.degrade is None else self.degrade.batch(batch, rng)


def train_transform(config: RunConfig) -> Compose:
    """Return the joint transform that the config describes."""
    strength = config.jitter
    return Compose(
        (
            RandomScaleCrop(*config.crop, *config.scale, config.balance),
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
    device: torch.device | None = None,
) -> DataLoader[Batch | UserError]:
    """Return the loader of mixed uint8 batches from step `start` to the run's end.

    Its workers get of the source what works there, never a network. On a processor alone they are
    forked, and OpenCV is left one thread in this process too. Beside a GPU or other processes they
    come from a server that knows neither, since what CUDA and NCCL have started cannot be forked.

    Args:
        config: of the run.
        frames: inlier frames.
        source: of negatives.
        start: steps that are done.
        rank: of this process.
        world: number of processes.
        device: where batches go; for a GPU they wait in pinned memory.
    """
    cuda = device is not None and device.type == "cuda"
    workers = worker_count(config, cuda=cuda, world=world)
    spoils = source is None or source.stage == "loader"
    method = "forkserver" if cuda or world > 1 else "fork"
    if workers and method == "fork":
        cv2.setNumThreads(
            1
        )  # a worker that is forked beside OpenCV's threads waits for them forever
    loader: DataLoader[Batch | UserError] = DataLoader(
        CropStream(frames, train_transform(config), config.seed),  # type: ignore[arg-type]
        batch_size=config.batch_size,
        sampler=ShardSampler(config, start, rank, world),
        collate_fn=Collate(
            source.loader_part() if source else None,
            Degrade(p=config.degrade) if spoils else None,
            config.seed,
        ),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        multiprocessing_context=_processes(method) if workers else None,
        worker_init_fn=_quiet_worker,
        pin_memory=cuda,
    )
    return loader


def worker_count(config: RunConfig, *, cuda: bool, world: int) -> int:
    """Return how many processes load data: those that the config names, or what fits the machine.

    One feeds a processor that trains; a GPU gets its share of the cores but one, at most eight.
    """
    if config.workers != "auto":
        return int(config.workers)
    if not cuda:
        return 1
    here = whole_number("LOCAL_WORLD_SIZE", str(world), least=1)
    return max(1, min(8, cores() // here - 1))


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processes(method: str) -> BaseContext:
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([__name__])
    return context


def _quiet_worker(_: int) -> None:
    """Let the trainer alone answer Ctrl-C and SIGTERM, and keep a worker on its one core.

    What stops a service or a cluster's job tells every process of it, and a trainer whose workers
    have ended cannot take the step that it would save. A worker goes when its trainer does.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    cv2.setNumThreads(1)
