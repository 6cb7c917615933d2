import cv2
import numpy as np
import pytest
import torch
from scipy.stats import chi2

from roadanomaly.data.class_names import CITYSCAPES_SHARES
from roadanomaly.data.transforms import Degrade
from roadanomaly.errors import OptionError
from roadanomaly.negatives.label_swap import LabelSwap
from roadanomaly.negatives.mixture import Mixture
from roadanomaly.training.stream import Collate
from roadanomaly.types import ASSUMED, IGNORE, NEGATIVE, TURNS, Batch, Frame, Segmentation
from tests.negatives import tiny

CAR, ROAD, SKY, PERSON = 13, 0, 10, 11


def street(crops=1, cars=4):
    """Road below sky with cars of 12 x 12 pixels on it, one of 3 x 3, and void on the right."""
    label = np.full((crops, 60, 100), SKY, np.uint8)
    label[:, 30:] = ROAD
    for number in range(cars):
        label[:, 40:52, 4 + 20 * number : 16 + 20 * number] = CAR
    label[:, 56:59, 40:43] = CAR
    label[:, :, 90:] = IGNORE
    image = np.random.default_rng(0).integers(0, 256, (crops, 3, 60, 100), dtype=np.uint8)
    ids = tuple(map(str, range(crops)))
    return Batch(torch.from_numpy(image), torch.from_numpy(label), ids)


def mix(source, batch, seed=0):
    return source.mix(batch, np.random.default_rng(seed))


def test_whole_objects_get_another_class_and_nothing_else_changes():
    batch = street()
    mixed = mix(LabelSwap(), batch)
    assert torch.equal(mixed.image, batch.image)
    label, assumed, true = (
        mixed.label[0].numpy(),
        mixed.note(ASSUMED)[0].numpy(),
        batch.label[0].numpy(),
    )
    swapped = label == NEGATIVE
    assert swapped.sum() == 2 * 12 * 12  # half of four cars; the small one is no object
    count, numbers = cv2.connectedComponents(swapped.astype(np.uint8))
    assert count == 3
    for number in (1, 2):
        values = np.unique(assumed[numbers == number])
        assert len(values) == 1
        assert values[0] != CAR
        assert values[0] < 19
    assert (label[~swapped] == true[~swapped]).all()
    assert (assumed[~swapped] == true[~swapped]).all()
    assert (true[swapped] == CAR).all()


def test_void_stays_void():
    """Also under a blob that covers everything."""
    batch = street()
    mixed = mix(LabelSwap(blobs=[1, 1], blob_side=[400, 400]), batch)
    void = batch.label == IGNORE
    assert mixed.negative.any()
    assert (mixed.label[void] == IGNORE).all()
    assert (mixed.note(ASSUMED)[void] == IGNORE).all()
    nothing = street()
    nothing.label[:] = IGNORE
    mixed = mix(LabelSwap(blobs=[1, 1]), nothing)
    assert (mixed.label == IGNORE).all()


@pytest.mark.slow
@pytest.mark.parametrize("share", [[0.0, 0.0], [0.25, 0.25], [0.5, 0.5], [0.0, 1.0], [1.0, 1.0]])
def test_the_share_of_swapped_objects(share):
    """The mean over many crops of one object is the middle of the share."""
    mixed = mix(LabelSwap(share=share), street(crops=600, cars=1))
    swapped = mixed.negative.flatten(1).any(1).float().mean().item()
    assert abs(swapped - sum(share) / 2) < 0.07  # 3.4 deviations
    assert swapped in (0.0, 1.0) or 0 < share[1] < 1 or share == [0.0, 1.0]


def test_only_the_allowed_classes_are_swapped_and_given():
    mixed = mix(
        LabelSwap(swap=[ROAD, SKY], to=[PERSON, ROAD], to_by="uniform", share=[1, 1]),
        street(crops=20),
    )
    batch = street(crops=20)
    assert set(batch.label[mixed.negative].tolist()) == {ROAD, SKY}
    assert (mixed.note(ASSUMED)[batch.label == ROAD] == PERSON).all()  # never its own class
    assert set(mixed.note(ASSUMED)[batch.label == SKY].tolist()) == {PERSON, ROAD}


def drawn(source, cls, count=5_000):
    """How often each of 19 classes takes the place of one."""
    rng = np.random.default_rng(0)
    found = [int(source._other(cls, rng)) for _ in range(count)]
    return np.bincount(found, minlength=19)


def too_far(counts, shares):
    """Whether a chi-square test tells counts from shares, once in a million by chance."""
    expected = counts.sum() * shares / shares.sum()
    there = expected > 0
    assert (counts[~there] == 0).all()
    distance = ((counts - expected)[there] ** 2 / expected[there]).sum()
    return distance > chi2.isf(1e-6, there.sum() - 1)


@pytest.mark.parametrize("cls", [CAR, ROAD])
def test_the_new_class_is_drawn_by_its_frequency(cls):
    shares = np.array(CITYSCAPES_SHARES)
    shares[cls] = 0  # never its own
    counts = drawn(LabelSwap(), cls)
    assert not too_far(counts, shares)
    uniform = np.ones(19)
    uniform[cls] = 0
    assert too_far(counts, uniform)
    assert not too_far(drawn(LabelSwap(to_by="uniform"), cls), uniform)


def test_frequencies_of_ones_own_for_some_classes():
    source = LabelSwap(to=[1, 4, 5], frequencies=[9, 3, 9, 9, 1, 0])
    assert not too_far(drawn(source, CAR), np.array([0, 3, 0, 0, 1, 0] + [0] * 13))


def test_the_shares_are_those_of_the_published_class_weights():
    """ENet's weights, 1 / ln(1.02 + share), as trainings on Cityscapes carry them."""
    road, person, bus, motorcycle = 3.045384, 31.563286, 45.23716, 48.14782
    for cls, weight in ((0, road), (11, person), (15, bus), (17, motorcycle)):
        assert 1 / np.log(1.02 + CITYSCAPES_SHARES[cls]) == pytest.approx(weight, rel=1e-4)
    assert sum(CITYSCAPES_SHARES) == pytest.approx(1, abs=1e-5)
    assert len(CITYSCAPES_SHARES) == 19


def test_what_share_of_a_class_is_wrong_is_the_same_for_all():
    """Uniformly drawn, buses and trains are mostly wrong ones; by frequency none stands out."""
    shares = np.array(CITYSCAPES_SHARES)
    wrong = {}
    for by in ("frequency", "uniform"):
        put = drawn(LabelSwap(to_by=by), 11, 10_000) / 10_000 * shares[11:].sum() / 2
        wrong[by] = (put / (put + shares))[[2, 8, 13, 14, 15, 16]]
    assert wrong["frequency"].max() < 1.5 * wrong["frequency"].min()
    assert wrong["uniform"].max() > 10 * wrong["uniform"].min()


def test_predicted_crops_assume_only_what_is_swapped():
    batch = street(crops=200)
    mixed = mix(LabelSwap(predicted=0.5), batch)
    own = mixed.note(ASSUMED) != IGNORE
    alone = torch.tensor([torch.equal(a, b) for a, b in zip(own, mixed.negative, strict=True)])
    full = torch.tensor(
        [torch.equal(a, b) for a, b in zip(own, batch.label != IGNORE, strict=True)]
    )
    assert (alone | full).all()
    assert 70 < int((alone & ~full).sum()) < 130


def test_it_differs_from_epoch_to_epoch_and_is_a_function_of_the_crop_number():
    batch = street()
    frame = Frame("one", batch.image[0], batch.label[0])
    collate = Collate(LabelSwap(share=[0, 1]), Degrade(p=0), seed=3)
    labels = [collate([(number, frame)]).note(ASSUMED) for number in (0, 7, 14, 21, 0)]
    assert torch.equal(labels[0], labels[4])
    assert sum(not torch.equal(labels[0], one) for one in labels[1:4]) >= 2


def test_what_is_assumed_survives_the_way_to_the_detector():
    """Loader, degradation, device; and in a mixture crops of other sources assume nothing."""
    batch = street(crops=40)
    source = Mixture(
        [{"name": "label_swap", "share": [1, 1]}, {"name": "shapes", "side": [10, 20]}]
    )
    frames = [
        (number, Frame(str(number), image, label))
        for number, (image, label) in enumerate(zip(batch.image, batch.label, strict=True))
    ]
    mixed = Collate(source, Degrade(p=1.0), seed=1)(frames).to("cpu")
    assert mixed.image.is_floating_point()
    mine = torch.tensor(mixed.note(TURNS)) == 0
    assert 5 < mine.sum() < 35
    assert (mixed.note(ASSUMED)[~mine] == IGNORE).all()
    expected = batch.label[mine]
    assert (mixed.note(ASSUMED)[mine] != expected)[expected == CAR].float().mean() > 0.9
    assert torch.equal(mixed.note(ASSUMED)[mine][expected == ROAD], expected[expected == ROAD])
    only_shapes = Mixture([{"name": "shapes", "side": [10, 20]}])
    assert mix(only_shapes, batch).note(ASSUMED) is None


def test_a_segmentation_is_explained_by_what_is_assumed_first():
    logits = torch.zeros(1, 3, 2, 2)
    logits[:, 1] = 1
    assumed = torch.tensor([[[0, IGNORE], [2, IGNORE]]], dtype=torch.uint8)
    found = Segmentation(logits, (2, 2), (2, 2), assumed=assumed).explained()
    assert found.tolist() == [[[0, 1], [2, 1]]]
    assert Segmentation(logits, (2, 2), (2, 2)).explained().tolist() == [[[1, 1], [1, 1]]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"share": [0.5, 1.5]}, "`share`"),
        ({"swap": [255]}, "`swap` holds 255"),
        ({"to": [3]}, "two classes are needed"),
        ({"predicted": 2.0}, "`predicted`"),
        ({"to_by": "frequent"}, "did you mean `frequency`"),
        ({"to": [1, 30]}, "`to` holds the class 30, and `frequencies` gives those of 19"),
        ({"frequencies": [1] + [0] * 18}, "at least two of them must be above 0"),
        ({"to": [0, 1], "frequencies": [1, -1]}, "must not be negative"),
    ],
)
def test_what_cannot_work_is_refused(options, words):
    with pytest.raises(OptionError, match=words):
        LabelSwap(**options)


def test_it_leaves_the_given_batch():
    batch = tiny.batch(2)
    before = batch.image.clone(), batch.label.clone()
    mix(LabelSwap(swap=[0, 10], blobs=[2, 2]), batch)
    assert torch.equal(batch.image, before[0])
    assert torch.equal(batch.label, before[1])
    assert batch.note(ASSUMED) is None
