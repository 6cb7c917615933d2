"""Made-up obstacles: on the road, by what they are filled with, and new ones every epoch."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from roadanomaly.data import DATASETS
from roadanomaly.errors import OptionError
from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.mixed import MixedFrames
from roadanomaly.negatives.outlines import fill, hull
from roadanomaly.negatives.road_obstacles import RoadObstacles
from roadanomaly.training.stream import train_loader
from roadanomaly.types import NEGATIVE
from tests.negatives import tiny
from tests.training import runs


def mixed(seed=0, batch=None, **options):
    textured = options.pop("textured", 0.5)
    source = RoadObstacles(textured, {"count": (1, 1), "side": (20, 20), **options})
    batch = tiny.batch(1) if batch is None else batch
    return source.mix(batch, np.random.default_rng(seed))


def test_hulls_are_convex():
    """The hull's area is that of its corners' triangle fan, and every turn goes the same way."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        edges = np.diff(corners := hull(rng), axis=0, append=corners[:1])
        following = np.roll(edges, -1, 0)
        turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
        assert (turns > 0).all() or (turns < 0).all()
        assert max(fill(corners, 30).shape) == 30


def test_an_obstacle_stands_on_the_road():
    """The road is the lower half: the lowest pixel of every obstacle lies on it."""
    for seed in range(20):
        rows = (mixed(seed).label[0] == NEGATIVE).any(1).nonzero()
        assert rows.numel()
        assert rows.max() >= 48


def test_without_a_road_there_is_no_obstacle():
    batch = tiny.batch(2)
    batch = replace(batch, label=torch.full_like(batch.label, 10))
    found = mixed(batch=batch)
    assert torch.equal(found.image, batch.image)
    assert torch.equal(found.label, batch.label)


def test_textures_come_from_the_image_and_not_from_its_road():
    """Sky is blue and road red: a texture is blue, a plain filling neither in most cases."""
    batch = tiny.batch(1)
    image = torch.zeros_like(batch.image)
    image[:, 0, 48:], image[:, 2, :48] = 200, 200
    batch = replace(batch, image=image)
    for seed in range(20):
        found = mixed(seed, batch, textured=1)
        inside = found.image[0].movedim(0, -1)[found.label[0] == NEGATIVE].float().mean(0)
        assert inside[2] > inside[0]
        assert inside[1] == 0
    plain = [mixed(seed, batch, textured=0) for seed in range(20)]
    assert any((one.image[0, 1][one.label[0] == NEGATIVE] > 0).any() for one in plain)


@pytest.mark.slow
def test_size_follows_the_place_as_far_as_perspective_says():
    def spread(perspective):
        """Correlation of an obstacle's lowest row with its longest side."""
        rows, sides = [], []
        for seed in range(60):
            found = mixed(seed, tiny.batch(1, 192, 128), side=(8, 60), perspective=perspective)
            where = (found.label[0] == NEGATIVE).nonzero()
            rows.append(where[:, 0].max().item())
            sides.append((where.max(0).values - where.min(0).values).max().item())
        return np.corrcoef(rows, np.log(sides))[0, 1]

    assert spread(1.0) > 0.95
    assert abs(spread(0.0)) < 0.5


def test_obstacles_differ_from_epoch_to_epoch(tmp_path):
    """Crops of the same frame in later epochs carry other obstacles; a second run repeats them."""
    config = runs.config(
        tmp_path,
        negatives={"name": "road_obstacles"},
        crop=(48, 64),
        scale=(1.0, 1.0),
        jitter=0.0,
        degrade=0.0,
        batch_size=1,
        accumulate=1,
        steps=6,
    )
    frames = DATASETS.build("streets", {"height": 48, "width": 64, "count": 1})
    source = NEGATIVES.build("road_obstacles", {"look": {"count": (3, 3), "side": (8, 20)}})

    def epochs():
        loader = train_loader(config, frames, source, start=0, rank=0, world=1)
        return [batch.label == NEGATIVE for batch in loader]

    first, second = epochs(), epochs()
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    shown = [one for one in first if one.any()]
    assert len(shown) >= 2
    assert not any(torch.equal(a, b) for a, b in pairwise(shown))


def test_mixed_frames_are_the_same_every_time():
    frames = DATASETS.build("streets", {"height": 48, "width": 64, "count": 2})
    source = NEGATIVES.build("shapes", {"look": {"side": (12, 30)}})
    one, other = (MixedFrames(frames, source) for _ in range(2))
    assert torch.equal(one[1].image, other[1].image)
    assert torch.equal(one[1].label, one.batch(1).label[0])
    assert (one[1].label == NEGATIVE).any()
    assert one.record()["negatives"]["name"] == "shapes"


def test_values_out_of_range_are_refused():
    with pytest.raises(OptionError, match="perspective"):
        RoadObstacles(look={"perspective": 2})
    with pytest.raises(OptionError, match="textured"):
        RoadObstacles(textured=-1)
