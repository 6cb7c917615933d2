"""Which frames a detector's passes see, in which order, and how they are batched."""

from __future__ import annotations

import hashlib

import pytest
import torch

from roadanomaly.data import DATASETS
from roadanomaly.data.derived import Resized
from roadanomaly.data.subset import Picked
from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.base import Detector, Pass
from roadanomaly.errors import DataError, OptionError
from roadanomaly.fitting import fit, run_passes, split_for
from roadanomaly.inliers import inlier_scores
from roadanomaly.model import Model
from roadanomaly.types import IGNORE, NEGATIVE, Frame, is_known
from tests.contracts import toy
from tests.contracts.built import build_detector, kind_of


class Rounds(Detector):
    """Writes down what it is shown."""

    kind = "fit"
    paper = "none"
    fit_passes = (Pass("fit"), Pass("round"), Pass("round"), Pass("judge", held_out=True))

    def __init__(self):
        super().__init__()
        self.seen = []

    def options(self):
        return {}

    def update(self, segmentation, batch, name):
        assert torch.is_inference_mode_enabled()
        assert not self.training
        assert segmentation.size == tuple(batch.image.shape[-2:])
        self.seen.append((name, *batch.ids))

    def finish(self, name):
        self.seen.append(f"finish {name}")

    def score(self, segmentation, image):
        return image[:, 0]


class Once(Rounds):
    fit_passes = (Pass("fit"),)


FRAMES = toy.Frames(*(toy.inliers(4, seed) for seed in range(10)))


def names(detector, share, frames=FRAMES):
    split = split_for(detector, frames, share)
    return split.held_in.frame_ids(), split.held_out.frame_ids()


def test_the_hash_of_a_frame_s_id_decides():
    for share in (0.1, 0.3):
        held_in, held_out = names(Rounds(), share)
        first = {name: hashlib.sha256(name.encode()).digest()[0] / 256 for name in FRAMES.ids}
        assert held_out == [name for name in FRAMES.ids if first[name] < share]
        assert held_in == [name for name in FRAMES.ids if name not in held_out]
    assert set(names(Rounds(), 0.1)[1]) < set(names(Rounds(), 0.3)[1])


def test_a_frame_stays_on_its_side_in_any_set_that_holds_it():
    some = Resized(Picked(FRAMES, range(0, 40, 3)), (8, 8))
    held_in, held_out = names(Rounds(), 0.3, some)
    assert set(held_in) <= set(names(Rounds(), 0.3)[0])
    assert set(held_out) <= set(names(Rounds(), 0.3)[1])
    assert held_in
    assert held_out


def joined(*sets):
    """Return a union of sets of 20 and of 3 drawn frames, of which the small one comes 10 times."""
    options = {"name": "streets", "height": 32, "width": 64}
    sets = [{**options, "split": split, "count": n, "share": part} for split, n, part in sets]
    return DATASETS.build("union", {"sets": sets})


@pytest.mark.parametrize("share", [1e-9, 0.1, 0.5, 1 - 1e-9])
def test_a_frame_that_a_union_repeats_is_on_one_side(share):
    frames = joined(("train", 20, 2), ("train", 20, 2), ("val", 3, 3))
    split = split_for(Rounds(), frames, share)
    held_in, held_out = (set(one.own_ids()) for one in (split.held_in, split.held_out))
    assert len(split.held_in) + len(split.held_out) == len(frames) == 70
    assert held_in
    assert held_out
    assert not held_in & held_out
    if share in (0.1, 0.5):
        first = {one: hashlib.sha256(one.encode()).digest()[0] / 256 for one in held_in | held_out}
        assert held_out == {name for name, place in first.items() if place < share}


def test_one_frame_that_a_union_repeats_cannot_be_split():
    with pytest.raises(DataError, match="the set has 1: give 2 or more"):
        split_for(Rounds(), joined(("train", 1, 1), ("train", 1, 3)), 0.5)


@pytest.mark.parametrize("share", [1e-9, 1 - 1e-9])
def test_each_side_has_a_frame(share):
    two = Picked(FRAMES, [0, 1])
    held_in, held_out = names(Rounds(), share, two)
    assert len(held_in) == len(held_out) == 1


def test_without_a_held_out_pass_all_frames_are_held_in():
    assert names(Once(), 0.1) == (FRAMES.ids, [])
    assert len(names(Once(), 0.1, Picked(FRAMES, [0]))[0]) == 1


def test_faults():
    with pytest.raises(DataError, match="the set has 1: give 2 or more"):
        split_for(Rounds(), Picked(FRAMES, [0]), 0.1)
    for share in (0, 1, -0.1):
        with pytest.raises(OptionError, match="between 0 and 1"):
            split_for(Once(), FRAMES, share)


def test_passes_come_in_order_each_with_its_frames_and_its_end():
    model = Model(toy.ToySegmenter(), Rounds())
    model.detector.train()
    fit(model, FRAMES, 0.3)
    held_in, held_out = names(Rounds(), 0.3)
    expected = []
    for name, ids in (("fit", held_in), ("round", held_in), ("round", held_in)):
        expected += [*[(name, one) for one in ids], f"finish {name}"]
    expected += [*[("judge", one) for one in held_out], "finish judge"]
    assert model.detector.seen == expected


def test_batches_hold_neighbours_of_one_size():
    frames = toy.Frames(toy.inliers(5, 0))
    frames.frames[2:4] = [Resized(Picked(frames, [n]), (8, 12))[0] for n in (2, 3)]
    model = Model(toy.ToySegmenter(), Once())
    run_passes(model, model.detector.fit_passes, split_for(model.detector, frames), 3)
    seen = [("fit", "0_0", "0_1"), ("fit", "0_2", "0_3"), ("fit", "0_4"), "finish fit"]
    assert model.detector.seen == seen


def test_inlier_scores_are_those_of_pixels_whose_truth_is_0():
    image = torch.randint(0, 256, (3, 4, 6), dtype=torch.uint8)
    label = torch.zeros(4, 6, dtype=torch.uint8)
    label[0], label[1] = NEGATIVE, IGNORE
    truth = torch.zeros(4, 6, dtype=torch.uint8)
    truth[:, 0], truth[:, 1] = 1, IGNORE
    frames = toy.Frames()
    frames.frames = [
        Frame("labelled", image, label),
        Frame("truth alone", image, anomaly=truth),
        Frame("nothing", image),
    ]
    found = list(inlier_scores(Model(toy.ToySegmenter(), Once()), frames))
    red = image[0].numpy() / 255
    expected = [red[2:], red[:, 2:], red]
    for one, other in zip(found, expected, strict=True):
        assert one.shape == (other.size,)
        torch.testing.assert_close(torch.from_numpy(one).double(), torch.from_numpy(other).ravel())


def learned(name, frames):
    """Return all that a detector learns on the toy network from whole frames."""
    model = Model(toy.segmenter_for(name), build_detector(name, len(toy.CLASSES)))
    torch.manual_seed(0)
    fit(model, frames, 0.25)
    return model.detector.state_dict()


@pytest.mark.parametrize("name", [name for name in DETECTORS if kind_of(name) == "fit"])
def test_a_detector_reads_classes_if_it_learns_something_else_of_renumbered_ones(name):
    named = toy.Frames(*(toy.inliers(4, seed) for seed in range(3)))
    renumbered = toy.Frames(*(toy.inliers(4, seed) for seed in range(3)))
    for frame in renumbered.frames:
        known = is_known(frame.label)
        frame.label[known] = (frame.label[known] + 1) % len(toy.CLASSES)
    first, second = learned(name, named), learned(name, renumbered)
    differs = any(not torch.equal(first[key], second[key]) for key in first)
    assert differs == DETECTORS.get(name).reads_classes


def with_classes(*classes):
    frames = toy.Frames(toy.inliers(4, 0))
    frames.classes = classes
    return frames


@pytest.mark.parametrize("name", ["gmmseg", "mahalanobis"])
@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (("sidewalk", "road", "pavement"), "number 0 is 'sidewalk' there and 'road' here"),
        (("road", "sidewalk"), "2 classes and the segmenter 3, and number 2 is none there"),
        ((), "the data set toy has no classes and the segmenter 3"),
    ],
)
def test_what_learns_from_classes_is_fitted_on_the_segmenter_s_alone(name, classes, words):
    with pytest.raises(DataError, match=words):
        learned(name, with_classes(*classes))


@pytest.mark.parametrize("classes", [("sidewalk", "road", "pavement"), ("a", "b"), ()])
def test_what_reads_no_classes_is_fitted_on_frames_of_any(classes):
    found = learned("knn", with_classes(*classes))
    for key, one in learned("knn", with_classes(*toy.CLASSES)).items():
        torch.testing.assert_close(found[key], one, rtol=0, atol=0)
