"""What every negative source of the catalogue keeps."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.laa import ATTACKED
from roadanomaly.types import ASSUMED, IGNORE, NEGATIVE
from tests.contracts.toy import ToySegmenter
from tests.negatives import tiny

CONTENT = {
    "laa": lambda root: {"window": 24, "side": [8, 16]},
    "label_swap": lambda root: {"swap": [0, 10]},
    "paste": lambda root: {"root": str(tiny.rgba(root)), "side": (24, 40)},
    "street_objects": lambda root: {"streets": 4},
    "whole_pictures": lambda root: {"root": str(tiny.rgba(root)), "share": 0.7, "min_side": 40},
    "mixture": lambda root: {"sources": [{"name": "shapes", "weight": 2}, {"name": "shapes"}]},
}
"""What an entry needs on disk or by option; others are built as they are."""

pytestmark = pytest.mark.parametrize("name", NEGATIVES, scope="module")


@pytest.fixture(scope="module")
def source(name, tmp_path_factory):
    """Build a source once, as one serves a whole training."""
    root = tmp_path_factory.mktemp(name) / "content"
    source = NEGATIVES.build(name, CONTENT.get(name, lambda _: {})(root))
    source.attach(ToySegmenter(CITYSCAPES))
    return source


@pytest.fixture
def batch(source):
    made = tiny.batch(3)
    return made if source.stage == "loader" else made.to("cpu")


def rng(seed=5):
    return np.random.default_rng(seed)


def changes(mixed, batch):
    """Where a crop shows something else, or is assumed to show something else."""
    changed = (mixed.image != batch.image).any(1)
    assumed = mixed.note(ASSUMED)
    if assumed is None:
        return changed
    return changed | ((assumed != batch.label) & (assumed != IGNORE))


def test_its_part_in_the_loader_can_be_sent_to_a_process_that_is_not_forked(source, batch):
    part = source.loader_part()
    if part is None:
        assert source.stage == "step"
        return
    sent = pickle.loads(pickle.dumps(part))
    assert torch.equal(sent.mix(batch, rng()).image, source.mix(batch, rng()).image)


def test_mix_returns_a_new_batch_and_keeps_the_original(source, batch):
    image, label = batch.image.clone(), batch.label.clone()
    mixed = source.mix(batch, rng())
    assert torch.equal(batch.image, image)
    assert torch.equal(batch.label, label)
    assert batch.original is None
    assert torch.equal(mixed.original, image)
    assert (mixed.image.shape, mixed.image.dtype) == (image.shape, image.dtype)
    assert (mixed.label.shape, mixed.label.dtype) == (label.shape, torch.uint8)
    assert mixed.ids == batch.ids


def test_pixels_change_where_the_label_says_so(source, batch):
    """A negative looks unlike what it covers; a pixel that is no negative keeps its known class.

    What is assumed to be of another class counts as looking unlike. A source that keeps labels
    notes where it has been.
    """
    mixed = source.mix(batch, rng())
    changed = changes(mixed, batch)
    if source.keeps_labels:
        noted = mixed.note(ATTACKED)
        assert torch.equal(mixed.label, batch.label)
        assert changed[noted].float().mean() > 0.9
        assert not changed[~noted].any()
        return
    assert mixed.negative.any()
    assert changed[mixed.negative].float().mean() > 0.9
    kept = mixed.known
    assert torch.equal(mixed.label[kept], batch.label[kept])
    assert not changed[kept & batch.known].float().mean() > 0.05


def test_the_three_meanings_of_a_label_stay_apart(source, batch):
    mixed = source.mix(batch, rng())
    ignored = mixed.label == IGNORE
    total = mixed.known.int() + mixed.negative.int() + ignored.int()
    assert (total == 1).all()
    assert not ((batch.label == IGNORE) & mixed.known).any()
    assert set(mixed.label.unique().tolist()) <= {*batch.label.unique().tolist(), NEGATIVE, IGNORE}


def test_equal_generators_give_equal_batches(source, batch):
    one, two, other = (source.mix(batch, rng(seed)) for seed in (5, 5, 6))
    assert torch.equal(one.image, two.image)
    assert torch.equal(one.label, two.label)
    assert not (torch.equal(one.image, other.image) and torch.equal(one.label, other.label))


def test_the_generator_is_the_only_source_of_chance(source, batch):
    one = source.mix(batch, rng())
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    assert torch.equal(source.mix(batch, rng()).image, one.image)


def test_the_record_is_plain(source):
    assert json.loads(json.dumps(source.record()))["name"]
