"""Frames scored together have the scores that they have alone, whatever a detector does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roadanomaly.data.derived import Resized
from roadanomaly.data.groups import groups
from roadanomaly.data.subset import Picked
from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.head import Head
from roadanomaly.errors import DataError
from roadanomaly.evaluation.evaluate import evaluate, scored_before
from roadanomaly.evaluation.sources import NetworkScores
from roadanomaly.evaluation.spool import FrameSpool
from roadanomaly.model import Model
from roadanomaly.types import Frame, Segmentation
from tests.contracts import toy
from tests.contracts.built import build_detector
from tests.contracts.toy import segmenter_for
from tests.evaluation.scenes import Scenes, job

CPU = torch.device("cpu")
NAMES = ("energy", "mahalanobis", "embedding_density", "densehybrid", "jsrnet", "rba")
"""One of each kind, one of the road, and one that reads masks."""


class TwoSizes(Scenes):
    """Scenes of which the third and fourth are larger."""

    def __getitem__(self, index):
        if index not in (2, 3):
            return super().__getitem__(index)
        frame = Scenes(self.count)[index]
        whole = toy.Frames()
        whole.frames = [frame]
        return Resized(Picked(whole, [0]), (24, 36))[0]


class Stub(Detector):
    """Red, and what a subclass does with it; remembers how many images it was shown at a time."""

    paper = "none"

    def __init__(self):
        super().__init__()
        self.shown = []

    def options(self):
        return {}

    def score(self, segmentation, image):
        self.shown.append(len(image))
        return image[:, 0]


class Drawing(Stub):
    def score(self, segmentation, image):
        return super().score(segmentation, image) + torch.rand(image[:, 0].shape)


class Counting(Stub):
    """Adds how many images it has seen since it was reset."""

    asks = ("state",)
    seen = 0

    def reset(self):
        self.seen = 0

    def look(self, segmenter, image):
        self.seen += len(image)
        return segmenter(image)

    def score(self, segmentation, image):
        return super().score(segmentation, image) + self.seen


class OfWeights(Stub):
    """Adds the norm of the weights' gradient, which mixes images that are looked at together."""

    asks = ("gradients",)

    def look(self, segmenter, image):
        found = segmenter(image)
        (slope,) = torch.autograd.grad(found.logits.softmax(1).amax(1).sum(), [segmenter.weight])
        sized = {"slope": slope.norm().expand(len(image))}
        return Segmentation(found.logits.detach(), found.size, found.padded, features=sized)

    def score(self, segmentation, image):
        return super().score(segmentation, image) + segmentation.features["slope"][:, None, None]


def network():
    torch.manual_seed(0)
    segmenter = toy.ToySegmenter().eval()
    segmenter.weight = segmenter.classifier.weight
    return segmenter


def attached(**detectors):
    segmenter = network()
    for one in detectors.values():
        one.attach(segmenter)
    return NetworkScores(segmenter, {name: Head(one) for name, one in detectors.items()})


def seen_of(source, frames, batch):
    seen = {}
    found = evaluate(
        job(source, frames, batch=batch), seen=lambda n, _, scores: seen.update({n: scores})
    )
    return found, seen


@pytest.mark.parametrize("name", NAMES)
def test_together_as_alone(name):
    segmenter = segmenter_for(name)
    model = Model(segmenter, build_detector(name, len(segmenter.classes)))
    toy.prepare(model, steps=3)
    source = NetworkScores(segmenter.eval(), {name: Head(model.detector.eval())})
    frames = TwoSizes(7)
    alone, one = seen_of(source, frames, 1)
    together, other = seen_of(source, frames, 3)
    assert one.keys() == other.keys() == set(range(7))
    for number in one:
        assert other[number][name].shape == tuple(frames[number].image.shape[1:])
        np.testing.assert_allclose(other[number][name], one[number][name], rtol=1e-4, atol=1e-4)
    assert together[0].exact["ap"] == pytest.approx(alone[0].exact["ap"], abs=1e-3)
    assert [frame.id for frame in together[0].per_frame] == [f.id for f in alone[0].per_frame]


def test_the_names_are_of_every_kind():
    assert {DETECTORS.get(name).kind for name in NAMES} == {"posthoc", "fit", "train", "finetune"}


def test_alone_a_score_is_what_the_parts_give_to_the_bit():
    source = attached(energy=DETECTORS.build("energy"))
    frame = Scenes()[0]
    image = frame.image[None].float() / 255
    with torch.inference_mode():
        found = source.segmenter(image)
        expected = -torch.logsumexp(found.image_logits(), 1)[0]
    assert np.array_equal(source.score(frame).scores["energy"], expected.numpy())


def test_neighbours_of_one_size_are_scored_together():
    stub = Stub()
    evaluate(job(attached(stub=stub), TwoSizes(7), batch=3))
    assert stub.shown == [2, 2, 3]


def test_draws_do_not_depend_on_the_batch():
    frames = Scenes(5)
    _, one = seen_of(attached(drawing=Drawing(), red=Stub()), frames, 1)
    source = attached(drawing=Drawing(), red=Stub())
    _, other = seen_of(source, frames, 4)
    assert source.draws
    for number in range(5):
        assert np.array_equal(one[number]["drawing"], other[number]["drawing"])
        assert np.array_equal(one[number]["red"], other[number]["red"])
    assert not np.array_equal(one[0]["drawing"] - one[0]["red"], one[1]["drawing"] - one[1]["red"])


@pytest.mark.parametrize("kind", [Counting, OfWeights])
def test_state_and_gradients_of_weights_are_taken_frame_by_frame(kind):
    frames, alone, together = Scenes(4), kind(), kind()
    _, one = seen_of(attached(own=alone, red=Stub()), frames, 1)
    red = Stub()
    _, other = seen_of(attached(own=together, red=red), frames, 4)
    assert together.shown == [1] * 4
    assert red.shown == [4]
    for number in range(4):
        np.testing.assert_allclose(other[number]["own"], one[number]["own"], rtol=1e-6)


def test_a_frame_s_time_is_its_share_of_the_batch(monkeypatch):
    source = attached(red=Stub(), other=Stub())
    ticks = iter(range(0, 1200, 12))
    monkeypatch.setattr(source, "_now", lambda: float(next(ticks)))
    frames = [Scenes(4)[n] for n in range(3)]
    found = source.score_together(frames, [0, 1, 2])
    assert [one.ms for one in found] == [{"red": 8, "other": 8}] * 3  # (12 shared + 12 own) / 3


class Small(Stub):
    """Has memory for two images."""

    def score(self, segmentation, image):
        found = super().score(segmentation, image)
        if len(image) > 2:
            raise torch.OutOfMemoryError
        return found


def test_what_does_not_fit_into_memory_is_split():
    small = Small()
    _, seen = seen_of(attached(small=small), Scenes(7), 5)
    assert small.shown == [5, 2, 2, 1, 2]  # it is tried once
    assert seen.keys() == set(range(7))


class Diverges(Stub):
    """NaN where the whole frame is brighter than the others."""

    def score(self, segmentation, image):
        found = super().score(segmentation, image)
        return torch.where(image.mean((1, 2, 3))[:, None, None] > 0.9, torch.nan, found)


class OneWhite(Scenes):
    white = 3

    def __getitem__(self, index):
        frame = super().__getitem__(index)
        bright = torch.full_like(frame.image, 255) if index == self.white else frame.image
        return Frame(frame.id, bright, frame.label)


def test_frames_before_a_mistake_in_their_batch_are_kept(tmp_path):
    one = job(attached(own=Diverges()), OneWhite(6), batch=6)
    with pytest.raises(DataError, match="frame scene_3: 560 of 560 scores are NaN"):
        evaluate(one, folder=tmp_path)
    assert scored_before(one, FrameSpool(tmp_path)) == [0, 1, 2]
    frames, stub = OneWhite(6), Stub()
    frames.white = None
    (found,) = evaluate(job(attached(own=stub), frames, batch=2), folder=tmp_path)
    assert stub.shown == [2, 1]
    assert found.frames == 6


class Unreadable(Scenes):
    def __getitem__(self, index):
        if index == 4:
            msg = "frame 4 is broken"
            raise DataError(msg)
        return super().__getitem__(index)


def test_what_was_read_before_a_broken_frame_comes_first():
    found = []
    with pytest.raises(DataError, match="frame 4 is broken"):
        found.extend([n for n, _ in group] for group in groups(Unreadable(6), range(6), 3, CPU))
    assert found == [[0, 1, 2], [3]]


def test_for_a_gpu_frames_are_read_by_several_threads_and_pinned(monkeypatch):
    pinned = []
    monkeypatch.setattr(Frame, "pinned", lambda frame: pinned.append(frame.id) or frame)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    found = [n for group in groups(Scenes(9), range(9), 2, torch.device("cuda")) for n, _ in group]
    assert found == list(range(9))
    assert sorted(pinned) == [f"scene_{n}" for n in range(9)]
