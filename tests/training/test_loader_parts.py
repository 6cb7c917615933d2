"""What data workers get of a source, and that it reaches them where they cannot be forked."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from roadanomaly.data.class_names import CAMVID
from roadanomaly.data.streets import Streets
from roadanomaly.data.transforms import Degrade
from roadanomaly.negatives import NEGATIVES
from roadanomaly.training import stream
from roadanomaly.training.parts import build_parts
from roadanomaly.training.stream import CropStream, train_loader, train_transform
from roadanomaly.types import TURNS, Batch
from tests import layouts
from tests.contracts import toy
from tests.negatives import tiny
from tests.training import runs
from tests.training.test_joint import JOINT

FLOW = JOINT["negatives"]
MIXTURE = {"name": "mixture", "sources": [FLOW, runs.SHAPES]}


def batch() -> Batch:
    image = torch.randint(0, 256, (6, 3, 32, 48), dtype=torch.uint8)
    return Batch(image, torch.zeros(6, 32, 48, dtype=torch.uint8), tuple("abcdef"))


def test_a_source_of_the_loader_is_its_own_part():
    shapes = NEGATIVES.from_spec(runs.SHAPES)
    assert shapes.loader_part() is shapes


def test_known_objects_are_labelled_by_the_classes_of_the_training_frames(tmp_path):
    own = {"name": "camvid", "root": str(layouts.camvid(tmp_path / "camvid")), "classes": "camvid"}
    pasted = {"name": "paste", "root": str(tiny.coco(tmp_path / "coco")), "known": [1, 1]}
    config = runs.config(
        tmp_path / "run",
        train_data={**own, "split": "train"},
        val_data={**own, "split": "val"},
        segmenter={"name": "espnetv2", "scale": 0.5, "classes": list(CAMVID)},
        negatives={**pasted, "min_area": 0},
    )
    assert build_parts(config).source.classes == CAMVID


def test_nothing_of_a_flow_goes_to_the_loader():
    assert NEGATIVES.from_spec(FLOW).loader_part() is None


def test_the_part_of_a_mixture_has_no_network_and_mixes_as_the_whole():
    whole = NEGATIVES.from_spec(MIXTURE)
    part = whole.loader_part()
    assert whole.learned_flow() is not None
    assert not list(part.parameters())
    assert list(whole.parameters())
    given = batch()
    one, other = (source.mix(given, np.random.default_rng(3)) for source in (whole, part))
    assert torch.equal(one.image, other.image)
    assert torch.equal(one.label, other.label)
    assert one.note(TURNS) == other.note(TURNS)
    assert set(one.note(TURNS)) == {0, 1}


def test_cut_outs_are_not_copied():
    whole = NEGATIVES.from_spec(MIXTURE)
    assert whole.loader_part().sources[1] is whole.sources[1]


@pytest.mark.slow
def test_workers_of_a_server_give_the_same_batches(tmp_path, monkeypatch):
    config = runs.config(tmp_path, steps=2, workers=2)
    frames, source = Streets("train", count=3, height=48, width=64), NEGATIVES.from_spec(MIXTURE)
    given = {"start": 0, "rank": 0, "world": 1}
    forked = list(train_loader(config, frames, source, **given))
    taken = []
    context = stream._processes
    monkeypatch.setattr(
        stream, "_processes", lambda _: taken.append("forkserver") or context("forkserver")
    )
    served = list(train_loader(config, frames, source, **given))
    assert taken == ["forkserver"]
    assert len(forked) == len(served) == 4
    for one, other in zip(forked, served, strict=True):
        assert torch.equal(one.image, other.image)
        assert torch.equal(one.label, other.label)


def test_beside_other_processes_workers_are_not_forked(tmp_path):
    frames, config = (
        Streets("train", count=1, height=48, width=64),
        runs.config(tmp_path, workers=1),
    )
    methods = [
        train_loader(config, frames, None, start=0, rank=0, world=world).multiprocessing_context
        for world in (1, 2)
    ]
    assert [method.get_start_method() for method in methods] == ["fork", "forkserver"]


def test_what_goes_to_a_server_s_workers_can_be_sent(tmp_path):
    """A class that cannot be pickled would be found only where there is a GPU."""
    frames = Streets("train", count=1, height=48, width=64)
    crops = CropStream(frames, train_transform(runs.config(tmp_path)), 0)
    again = pickle.loads(pickle.dumps((crops, Degrade(p=0.5))))
    assert torch.equal(again[0][3][1].image, crops[3][1].image)


def test_a_pinned_batch_is_moved_with_all_that_it_holds(monkeypatch):
    pinned = []

    def pin(tensor):
        pinned.append(tuple(tensor.shape))
        return tensor.clone()

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    given = toy.inliers(2, 0).noted({"replaced": torch.zeros(1, 3, 4, 4), TURNS: (0, 1)})
    same = given.pin_memory()
    assert len(pinned) == 3 + (given.original is not None)
    assert same.note(TURNS) == (0, 1)
    assert torch.equal(same.image, given.image)
