"""The stream of crops: which crop comes when, whoever loads it."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from roadanomaly.data.streets import Streets
from roadanomaly.data.transforms import Degrade
from roadanomaly.errors import DataError
from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.mixture import Mixture
from roadanomaly.negatives.shapes import Shapes
from roadanomaly.training.stream import (
    Collate,
    CropStream,
    ShardSampler,
    stack,
    train_loader,
    train_transform,
)
from roadanomaly.types import IGNORE, TURNS, Frame
from tests.training import runs

FRAMES = Streets(count=5, height=48, width=64)


def config(**changes):
    return runs.config(Path("x"), **{"steps": 6, **changes})


def stream(seed=0, frames=FRAMES):
    return CropStream(frames, train_transform(config()), seed)


def numbers(world, start=0, **changes):
    """Crop numbers by process, in the order in which they come."""
    setup = config(**changes)
    return [list(ShardSampler(setup, start, rank, world)) for rank in range(world)]


def equal(one, other):
    return (
        torch.equal(one.image, other.image)
        and torch.equal(one.label, other.label)
        and one.ids == other.ids
        and (one.original is other.original is None or torch.equal(one.original, other.original))
    )


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_every_crop_comes_once(world, accumulate):
    shards = numbers(world, steps=4, batch_size=3, accumulate=accumulate)
    assert len({len(shard) for shard in shards}) == 1
    assert sorted(itertools.chain(*shards)) == list(range(4 * 3 * accumulate * world))


def test_a_step_sees_the_same_crops_however_they_are_spread():
    """2 processes, 2 passes of 2, 1 pass of 4 and 4 processes of 1 all see 4 crops a step."""
    spreads = [
        numbers(2, steps=3, batch_size=2, accumulate=1),
        numbers(1, steps=3, batch_size=2, accumulate=2),
        numbers(1, steps=3, batch_size=4, accumulate=1),
        numbers(4, steps=3, batch_size=1, accumulate=1),
    ]
    for step in range(3):
        for shards in spreads:
            share = 4 // len(shards)
            seen = [n for shard in shards for n in shard[step * share : (step + 1) * share]]
            assert sorted(seen) == list(range(4 * step, 4 * step + 4))


@pytest.mark.parametrize("start", [0, 1, 3, 4])
def test_it_goes_on_from_any_step(start):
    whole = numbers(2, steps=4, batch_size=2, accumulate=2)
    rest = numbers(2, start, steps=4, batch_size=2, accumulate=2)
    assert rest == [shard[start * 2 * 2 :] for shard in whole]
    sampler = ShardSampler(config(steps=4, batch_size=2, accumulate=2), start, 0, 2)
    assert len(sampler) == len(list(sampler))


def test_each_frame_comes_once_an_epoch_in_another_order():
    crops = stream()
    epochs = [[crops[5 * epoch + place][1].id for place in range(5)] for epoch in range(4)]
    assert all(sorted(epoch) == [frame.id for frame in FRAMES] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_a_crop_depends_on_seed_and_number_alone():
    one, two, other = stream(), stream(), stream(seed=1)
    np.random.seed(1)  # noqa: NPY002
    first = one[12]
    for number in (3, 0, 12):
        again = two[number]
    assert again[0] == 12
    assert torch.equal(again[1].image, first[1].image)
    assert torch.equal(again[1].label, first[1].label)
    assert not torch.equal(other[12][1].image, first[1].image)
    assert not torch.equal(one[17][1].image, first[1].image)
    assert first[1].image.shape == (3, 32, 48)


def test_a_frame_is_cut_anew_each_time_that_it_comes():
    crops = stream(frames=Streets(count=1, height=48, width=64))
    images = [crops[number][1].image for number in range(4)]
    assert not any(one.equal(other) for one, other in itertools.combinations(images, 2))


def test_an_empty_set_is_refused():
    class Empty(Streets):
        def __len__(self):
            return 0

    with pytest.raises(DataError, match="the training set is empty"):
        stream(frames=Empty(count=1))


@pytest.mark.slow
@pytest.mark.parametrize("source", [None, Shapes(look={"side": (12, 30)})])
def test_workers_change_nothing(source):
    batches = [
        list(train_loader(config(workers=workers), FRAMES, source, start=4, rank=1, world=2))
        for workers in (0, 2)
    ]
    assert len(batches[0]) == len(batches[1]) == 4
    for one, other in zip(*batches, strict=True):
        assert equal(one, other)
        assert one.image.dtype == torch.uint8


def test_workers_start_after_opencv_has_run_threads_here():
    """Forked beside OpenCV's own threads, a worker would wait for them forever."""
    cv2.setNumThreads(4)
    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (0, 0), 3)
    loader = train_loader(config(workers=1), FRAMES, None, start=5, rank=0, world=1)
    loader.timeout = 60
    assert len(list(loader)) == 2


def test_a_later_start_gives_the_later_batches():
    source = Shapes(look={"side": (12, 30)})
    whole = list(train_loader(config(), FRAMES, source, start=0, rank=0, world=1))
    rest = list(train_loader(config(), FRAMES, source, start=4, rank=0, world=1))
    assert len(whole) == 12
    assert all(equal(one, other) for one, other in zip(whole[8:], rest, strict=True))


def test_collate_mixes_then_degrades_and_keeps_the_clean_original():
    items = [stream()[number] for number in (4, 5)]
    clean = stack([frame for _, frame in items])
    mixed = Collate(Shapes(look={"side": (12, 30)}), Degrade(p=1.0), seed=0)(items)
    assert torch.equal(mixed.original, clean.image)
    assert mixed.negative.any()
    assert not torch.equal(mixed.image, clean.image)
    untouched = Collate(None, Degrade(p=0.0), seed=0)(items)
    assert torch.equal(untouched.image, clean.image)
    assert untouched.original is None


def test_where_a_source_works_in_the_step_the_loader_mixes_its_part_and_degrades_nothing():
    flow = {"name": "flow", "flow": {"name": "glow", "levels": 1, "steps": 1, "hidden": 4}}
    shapes = {"name": "shapes", "look": {"side": [12, 30]}}
    items = [stream()[number] for number in range(12)]
    clean = stack([frame for _, frame in items])
    for source, mixes in ((NEGATIVES.from_spec(flow), False), (Mixture([shapes, flow]), True)):
        batch = Collate(source.loader_part(), None, seed=0)(items)
        untouched = torch.ones(12, dtype=torch.bool)
        if mixes:
            untouched = torch.tensor(batch.note(TURNS)) == 1
            assert 0 < untouched.sum() < 12
            assert batch.negative[~untouched].flatten(1).any(1).all()
            assert torch.equal(batch.original, clean.image)
        assert torch.equal(batch.image[untouched], clean.image[untouched])
        assert not batch.negative[untouched].any()


def test_collate_follows_the_first_number_and_the_seed():
    items = [stream()[number] for number in (4, 5)]
    collate = Collate(Shapes(look={"side": (12, 30)}), Degrade(p=0.5), seed=0)
    assert equal(collate(items), collate(items))
    moved = [(number + 1, frame) for number, frame in items]
    assert not equal(collate(items), collate(moved))
    assert not equal(collate(items), Collate(collate.source, collate.degrade, seed=1)(items))


def test_a_frame_without_label_counts_for_nothing():
    image = torch.zeros(3, 4, 5, dtype=torch.uint8)
    batch = stack([Frame("a", image), Frame("b", image, torch.zeros(4, 5, dtype=torch.uint8))])
    assert (batch.label[0] == IGNORE).all()
    assert (batch.label[1] == 0).all()
    assert batch.ids == ("a", "b")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_cannot_be_used_comes_as_it_is_not_as_a_traceback(workers):
    class Broken(Streets):
        def __getitem__(self, index):
            msg = "the image a.jpg is truncated."
            raise DataError(msg)

    frames = Broken("train", count=2, height=64, width=64)
    made = config(crop=(32, 32), batch_size=2, workers=workers)
    (first,) = itertools.islice(train_loader(made, frames, None, start=0, rank=0, world=1), 1)
    assert isinstance(first, DataError)
    assert str(first) == "the image a.jpg is truncated."
