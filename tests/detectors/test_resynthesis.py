"""What the family shares: what it learns from, what stays as it is, and the published scores."""

import math

import pytest
import torch
from torch.nn import functional

from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.explanation import explanation
from roadanomaly.detectors.resynthesis.resynthesis import Comparison
from roadanomaly.errors import DataError, OptionError
from roadanomaly.generators.store import save_generator
from roadanomaly.types import ASSUMED, IGNORE, NEGATIVE, Batch, Segmentation
from tests.contracts import toy
from tests.contracts.built import DRAWING, detector_options

both = pytest.mark.parametrize("name", DRAWING)


def built(name, **options):
    torch.manual_seed(0)
    detector = DETECTORS.build(name, {**detector_options(name, 3), **options})
    detector.attach(toy.ToySegmenter())
    return detector


def segmented(batch):
    with torch.no_grad():
        return toy.ToySegmenter()(batch.image)


def swapped(batch):
    """The same images; what is red or green in the middle is assumed to be blue."""
    label, assumed = batch.label.clone(), batch.label.clone()
    middle = torch.zeros_like(label, dtype=torch.bool)
    middle[:, 4:12, 6:20] = True
    middle &= label < 2
    label[middle], assumed[middle] = NEGATIVE, 2
    return Batch(batch.image, label, batch.ids, batch.image, {ASSUMED: assumed})


class Recorder(torch.nn.Module):
    """Stands for a generator and remembers what it was asked for."""

    classes, stride = 3, 8

    def synthesise(self, labels, size):
        self.labels, self.size = labels, size
        return torch.rand(len(labels), 3, *size)


@both
def test_it_draws_from_what_is_assumed_and_else_from_the_prediction(name):
    detector, batch = built(name), swapped(toy.inliers(2, 0))
    detector.generator = Recorder()
    segmentation = segmented(batch)
    detector.loss(segmentation, batch)
    assumed = batch.note(ASSUMED)
    expected = torch.where(assumed == IGNORE, segmentation.classes(), assumed.long())
    assert torch.equal(detector.generator.labels, expected)
    assert not torch.equal(expected, segmentation.classes())
    detector.eval().score(segmentation, batch.image)
    assert torch.equal(detector.generator.labels, segmentation.classes())


@both
def test_void_is_neither_inlier_nor_outlier(name, monkeypatch):
    """Logits below void get no gradient, and a batch of void alone costs nothing."""
    detector, batch = built(name), swapped(toy.inliers(2, 0))
    logits = torch.randn(2, 2, toy.HEIGHT, toy.WIDTH, requires_grad=True)
    found = Comparison(batch.image, logits, logits[:, :0])
    monkeypatch.setattr(detector, "compare", lambda *_: found)
    detector.loss(segmented(batch), batch)["discrepancy"].backward()
    void = batch.label == IGNORE
    assert void.any()
    assert (logits.grad.abs().sum(1)[void] == 0).all()
    assert (logits.grad.abs().sum(1)[~void] > 0).all()
    batch.label[:] = IGNORE
    assert detector.loss(segmented(batch), batch)["discrepancy"].item() == 0


@pytest.mark.parametrize(
    ("name", "weight"),
    [("image_resynthesis", lambda f: 1 / math.log(1.02 + f)), ("synboost", lambda f: 1 / f)],
)
def test_the_loss_weighs_classes_by_their_frequency_in_the_training_stream(
    name, weight, monkeypatch
):
    """Against PyTorch's own weighted cross-entropy, with frequencies counted by hand."""
    detector = built(name).train()
    batches = [swapped(toy.inliers(2, seed)) for seed in range(3)]
    counts = [0, 0]
    for batch in batches:
        logits = torch.randn(2, 2, toy.HEIGHT, toy.WIDTH)
        found = Comparison(batch.image, logits, logits[:, :0])
        monkeypatch.setattr(detector, "compare", lambda *_, found=found: found)
        loss = detector.loss(segmented(batch), batch)["discrepancy"]
        counts[0] += int((batch.label < NEGATIVE).sum())
        counts[1] += int((batch.label == NEGATIVE).sum())
    weights = torch.tensor([weight(count / sum(counts)) for count in counts])
    target = (batch.label == NEGATIVE).long().masked_fill(batch.label == IGNORE, -100)
    expected = functional.cross_entropy(logits, target, weights)
    torch.testing.assert_close(loss, expected)
    before = detector.seen.clone()
    detector.eval().loss(segmented(batch), batch)
    assert torch.equal(detector.seen, before)


@both
def test_generator_and_frozen_encoder_stay_as_they_are(name):
    """Weights and BatchNorm statistics, through steps of training."""
    detector, batch = built(name, train_encoder=False), swapped(toy.inliers(2, 0))
    fixed = ("generator.", "encoder.", "perceptual.")
    before = {key: value.clone() for key, value in detector.state_dict().items()}
    detector.train()
    moved = [one for one in detector.parameters() if one.requires_grad]
    optimiser = torch.optim.AdamW(moved, 1e-2, weight_decay=0.1)
    for _ in range(2):
        sum(detector.loss(segmented(batch), batch).values()).backward()
        optimiser.step()
    for key, value in detector.state_dict().items():
        if key.startswith(fixed):
            assert torch.equal(value, before[key]), key
    assert not torch.equal(detector.network.classify.weight, before["network.classify.weight"])


def test_synboost_trains_its_encoder_and_keeps_that_of_the_perceptual_difference():
    detector, batch = built("synboost"), swapped(toy.inliers(2, 0))
    detector.train()
    sum(detector.loss(segmented(batch), batch).values()).backward()
    first = next(detector.encoder.parameters())
    assert first.grad.abs().max() > 0
    assert not any(one.requires_grad for one in detector.perceptual.parameters())
    assert built("synboost", train_encoder=False).perceptual is None


@both
def test_supervision_is_what_it_was_trained_on_and_is_saved(name):
    """Swapped labels are no supervision beyond inliers; pasted content is, for good."""
    detector, inliers = built(name), toy.inliers(2, 0)
    detector.loss(segmented(inliers), swapped(inliers))
    assert detector.supervision == "none"
    pasted = toy.planted(inliers, 0.3)
    detector.loss(segmented(pasted), pasted)
    assert detector.supervision == "negatives"
    detector.loss(segmented(inliers), swapped(inliers))
    fresh = built(name)
    fresh.load_state_dict(detector.state_dict())
    assert fresh.supervision == "negatives"


def test_a_pasted_crop_beside_a_swapped_one_counts_as_negatives():
    """In a mixture the pasted crops assume nothing."""
    detector, inliers = built("image_resynthesis"), toy.inliers(2, 0)
    batch = swapped(inliers)
    batch.note(ASSUMED)[1] = IGNORE
    detector.loss(segmented(batch), batch)
    assert detector.supervision == "negatives"


def test_synboost_scores_three_quarters_probability_and_one_quarter_entropy(monkeypatch):
    detector = built("synboost").eval()
    detector.ready = True
    odds = torch.tensor([0.2, 0.8]).log().view(1, 2, 1, 1).expand(1, 2, 5, 7)
    monkeypatch.setattr(detector, "compare", lambda *_: Comparison(odds, odds, odds[:, :0]))
    logits = torch.tensor([0.5, 0.3, 0.2]).log().view(1, 3, 1, 1).expand(1, 3, 10, 14)
    score = detector.score(Segmentation(logits, (20, 28), (20, 28)), torch.rand(1, 3, 20, 28))
    entropy = -sum(p * math.log(p) for p in (0.5, 0.3, 0.2)) / math.log(3)
    torch.testing.assert_close(score, torch.full((1, 20, 28), 0.75 * 0.8 + 0.25 * entropy))


def test_image_resynthesis_orders_pixels_as_the_probability_does(monkeypatch):
    detector = built("image_resynthesis").eval()
    detector.ready = True
    logits = torch.randn(1, 2, 20, 28) * 4
    monkeypatch.setattr(detector, "compare", lambda *_: Comparison(logits, logits, logits[:, :0]))
    batch = toy.inliers(1, 0)
    score = detector.score(segmented(batch), batch.image)
    torch.testing.assert_close(score.sigmoid(), logits.softmax(1)[:, 1])


@both
def test_priors_are_scaled_by_training_and_not_by_the_image(name):
    if name != "synboost":
        pytest.skip("it has no priors")
    detector, batch = built(name).train(), swapped(toy.inliers(4, 0))
    detector.loss(segmented(batch), batch)
    low, high = detector.scale.low.clone(), detector.scale.high.clone()
    assert int(detector.scale.images) == 4
    detector.eval()
    alone = detector.compare(segmented(batch), batch.image).priors
    assert torch.equal(detector.scale.low, low)
    assert torch.equal(detector.scale.high, high)
    one = Batch(batch.image[:1], batch.label[:1], batch.ids[:1])
    again = detector.compare(segmented(one), one.image).priors
    torch.testing.assert_close(again, alone[:1], rtol=1e-4, atol=1e-5)
    assert alone.min() >= 0
    assert alone.max() <= 1


@both
def test_sizes_of_the_parts_are_chosen_apart(name):
    detector = built(name, generator_size=[64, 96], size=[40, 56], tile=0).eval()
    detector.generator = Recorder()
    batch = toy.inliers(1, 0)
    found = detector.compare(segmented(batch), batch.image)
    assert detector.generator.size == (64, 96)
    assert found.resynthesis.shape[-2:] == detector.generator.size
    assert found.logits.shape[-2:] == (20, 28)


@both
def test_tiles_change_little(name):
    """Two tiles a side of a larger image: the network sees past the margin, but not much."""
    options = {"size": [192, 192], "generator_size": [64, 64]}
    whole, tiled = built(name, **options).eval(), built(name, **options, tile=96).eval()
    tiled.load_state_dict(whole.state_dict())
    image = torch.rand(1, 3, 192, 192, generator=torch.Generator().manual_seed(0))
    segmentation = segmented(Batch(image, torch.zeros(1, 192, 192), ("",)))
    with torch.inference_mode():
        one, other = (part.compare(segmentation, image).logits for part in (whole, tiled))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@both
def test_it_explains_its_score(name):
    detector, batch = built(name), swapped(toy.inliers(1, 0))
    detector.loss(segmented(batch), batch)
    found = explanation(detector.eval(), segmented(batch), batch.image)
    assert list(found.maps) == ["resynthesis", *detector.priors, "discrepancy"]
    assert found.classes.shape == (toy.HEIGHT, toy.WIDTH)
    assert found.maps["resynthesis"].dtype == "uint8"
    for title in (*detector.priors, "discrepancy"):
        assert found.maps[title].ndim == 2
        assert 0 <= found.maps[title].min() <= found.maps[title].max() <= 1


@both
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"generator": None}, "give either `start`"),
        ({"start": "somewhere"}, "give either `start`"),
        ({"size": [64]}, "`size` is"),
        ({"width": 0}, "`width` must be at least 1"),
        ({"encoder": {"model": "resnet18"}}, "needs a `name:`"),
    ],
)
def test_options_that_cannot_work_are_refused(name, options, words):
    with pytest.raises(OptionError, match=words):
        DETECTORS.build(name, {**detector_options(name, 3), **options})


@both
def test_a_generator_of_other_classes_is_refused(name):
    detector = DETECTORS.build(name, detector_options(name, 19))
    with pytest.raises(OptionError, match="19 classes and the segmenter knows 3"):
        detector.attach(toy.ToySegmenter())


@both
def test_a_generator_of_the_same_classes_in_another_order_is_refused(name, tmp_path):
    drawn = DETECTORS.build(name, detector_options(name, 3)).generator
    drawn.names = toy.ToySegmenter().classes[::-1]
    save_generator(drawn, tmp_path)
    options = {**detector_options(name, 3), "generator": None, "start": str(tmp_path)}
    with pytest.raises(OptionError, match=r"number 0 is '.*' there and '.*' here; train a gen"):
        DETECTORS.build(name, options).attach(toy.ToySegmenter())


@both
def test_a_missing_generator_says_what_writes_one(name, tmp_path):
    options = {**detector_options(name, 3), "generator": None, "start": str(tmp_path / "none")}
    with pytest.raises(DataError, match="train generator"):
        DETECTORS.build(name, options)
