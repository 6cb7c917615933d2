"""What every data set of the catalogue keeps, on made-up files in its layout."""

from __future__ import annotations

import json
import pickle

import pytest
import torch

from roadanomaly.data import DATASETS
from roadanomaly.types import IGNORE, NEGATIVE
from tests import layouts

STREETS = {"count": 3, "height": 48, "width": 64}
OPTIONS = {
    "folder": lambda root: {"images": str(root / "images"), "labels": str(root / "masks")},
    "streets": lambda _: STREETS,
    "union": lambda _: {"sets": [{"name": "streets", **STREETS}] * 2},
}
"""How an entry is pointed to its files; others take `root`. `tests.layouts` makes the files."""

pytestmark = pytest.mark.parametrize("name", DATASETS, scope="module")


@pytest.fixture(scope="module")
def frames(name, tmp_path_factory):
    """Make a set's files once; the tests only read them."""
    root = tmp_path_factory.mktemp(name) / "made"
    if hasattr(layouts, name):
        getattr(layouts, name)(root)
    point = OPTIONS.get(name, lambda root: {"root": str(root)})
    return DATASETS.build(name, point(root))


def test_frames_are_in_order_and_read_alike_each_time(frames):
    ids = [frame.id for frame in frames]
    assert len(frames) == len(ids) > 1
    assert ids == sorted(set(ids))
    again = frames[1]
    assert again.id == ids[1]
    assert torch.equal(again.image, frames[1].image)
    with pytest.raises(IndexError):
        frames[len(frames)]


def test_images_and_labels_are_of_one_size_and_type(frames):
    for frame in frames:
        assert frame.image.dtype == torch.uint8
        assert frame.image.shape[0] == 3
        for part in (frame.label, frame.anomaly):
            assert part is None or (part.dtype, part.shape) == (
                torch.uint8,
                frame.image.shape[1:],
            )
        assert not (frame.label is None and frame.anomaly is None)


def test_labels_hold_what_the_contract_allows(frames):
    allowed = {*range(len(frames.classes)), NEGATIVE, IGNORE}
    for frame in frames:
        if frame.label is not None:
            assert set(frame.label.unique().tolist()) <= allowed
        if frame.anomaly is not None:
            assert set(frame.anomaly.unique().tolist()) <= {0, 1, IGNORE}
        assert set(frame.truth.unique().tolist()) <= {0, 1, IGNORE}


def test_it_can_be_sent_to_a_process_that_is_not_forked(frames):
    sent = pickle.loads(pickle.dumps(frames))
    assert sent[0].id == frames[0].id
    assert torch.equal(sent[0].image, frames[0].image)


def test_the_record_is_plain_and_the_origin_stated(frames, name, tmp_path_factory):
    record = json.loads(json.dumps(frames.record()))
    assert record["name"] == name
    assert record["count"] == len(frames)
    assert str(tmp_path_factory.getbasetemp()) not in str(record)
    assert frames.source
    assert frames.licence
