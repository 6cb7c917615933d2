"""Local adversarial attacks: what they move, how far, where, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roadanomaly.errors import OptionError, UserError
from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.laa import ATTACKED, LocalAttack
from roadanomaly.negatives.mixture import Mixture
from roadanomaly.training.parts import build_parts
from roadanomaly.types import TURNS, is_known
from tests.contracts import toy
from tests.contracts.tiny import network
from tests.training import runs

SMALL = {"window": 12, "side": (4, 8), "count": (2, 3)}
SHAPES = ("blob", "square", "all")
MODES = ("min", "max")


def rng(seed=0):
    return np.random.default_rng(seed)


def soft_network():
    """The toy network, less sure of itself, so that every pixel has a slope."""
    segmenter = toy.ToySegmenter()
    with torch.no_grad():
        segmenter.classifier.weight.mul_(0.2)
    return segmenter


def attack(segmenter=None, **options):
    source = LocalAttack(**{**SMALL, **options})
    source.attach(segmenter or soft_network())
    return source


def grey(batch):
    """Away from 0 and 1, so that no step is cut."""
    return batch.image.mul_(0.5).add_(0.25)


def cross_entropy(segmenter, image, target):
    """Of each pixel, by its definition, `(B, H, W)` in double precision."""
    logits = segmenter.double()(image.double()).image_logits()
    chances = logits.exp() / logits.exp().sum(1, keepdim=True)
    picked = chances.gather(1, target.clamp(0, logits.shape[1] - 1)[:, None])[:, 0]
    segmenter.float()
    return -picked.log()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", MODES)
def test_the_attack_stays_within_epsilon_and_its_region(mode, shape):
    batch = toy.inliers(6, 0)
    mixed = attack(mode=mode, shape=shape, epsilon=0.03, noise=0.0).mix(batch, rng())
    inside = mixed.note(ATTACKED)
    moved = (mixed.image - batch.image).abs()
    assert moved.max() <= 0.03 + 1e-6
    assert moved.max() > 0.029
    assert not moved.amax(1)[~inside].any()
    assert mixed.image.min() >= 0
    assert mixed.image.max() <= 1
    areas = inside.flatten(1).sum(1)
    expected = {"square": 12 * 12, "all": toy.HEIGHT * toy.WIDTH}
    if shape in expected:
        assert (areas == expected[shape]).all()
    else:
        assert ((areas > 4) & (areas < 12 * 12)).all()
        rows, columns = inside.any(2).sum(1), inside.any(1).sum(1)
        assert rows.max() <= 12
        assert columns.max() <= 12


def test_the_noise_comes_first_and_is_as_wide_as_it_says():
    batch = toy.inliers(40, 0)
    grey(batch)
    mixed = attack(shape="all", epsilon=0.0, noise=0.02).mix(batch, rng())
    assert (mixed.image - batch.image).std().item() == pytest.approx(0.02, rel=0.02)


@pytest.mark.parametrize("mode", MODES)
def test_each_pixel_moves_as_a_finite_difference_says(mode, monkeypatch):
    """`min` climbs the true class's cross-entropy in the region, `max` goes down another's."""
    segmenter, batch = soft_network(), toy.inliers(1, 0)
    grey(batch)
    source = attack(segmenter, mode=mode, shape="square", epsilon=0.01, noise=0.0)
    targets = []
    found = source._targets
    monkeypatch.setattr(
        source, "_targets", lambda *given: targets.append(found(*given)) or targets[0]
    )
    mixed = source.mix(batch, rng())
    target, inside = targets[0], mixed.note(ATTACKED)
    counted = inside & (is_known(batch.label) if mode == "min" else True)
    expected = batch.label.long() if mode == "min" else target
    assert torch.equal(target[counted], expected[counted])
    assert mode == "min" or len(set(target[inside].tolist())) == 1

    def loss(image):
        with torch.no_grad():
            return (cross_entropy(segmenter, image, target) * counted).sum().item()

    sign = 1 if mode == "min" else -1
    places = inside[0].nonzero()[:: max(1, int(inside.sum()) // 12)]
    checked = 0
    for row, column in places.tolist():
        step = torch.zeros_like(batch.image, dtype=torch.float64)
        step[0, 1, row, column] = 1e-4
        slope = (loss(batch.image + step) - loss(batch.image - step)) / 2e-4
        if abs(slope) > 1e-6:
            moved = (mixed.image - batch.image)[0, 1, row, column]
            assert moved.sign().item() == sign * np.sign(slope)
            checked += 1
    assert checked > 6
    assert sign * (loss(mixed.image) - loss(batch.image)) > 0


def test_the_network_errs_where_it_was_attacked_hard():
    segmenter, batch = soft_network(), toy.inliers(4, 0)
    source = attack(segmenter, shape="square", epsilon=0.6, noise=0.0)
    mixed = source.mix(batch, rng())
    inside = mixed.note(ATTACKED) & batch.known
    with torch.no_grad():
        before, after = (
            (segmenter(one.image).classes() != one.label)[inside].float().mean()
            for one in (batch, mixed)
        )
    assert before < 0.05
    assert after > 0.5


@pytest.mark.parametrize("mode", MODES)
def test_batch_labels_and_gradients_of_weights_stay_as_they_were(mode):
    segmenter, batch = soft_network(), toy.inliers(3, 0)
    for parameter in segmenter.parameters():
        parameter.grad = torch.ones_like(parameter)
    image, label = batch.image.clone(), batch.label.clone()
    with torch.no_grad():
        mixed = attack(segmenter, mode=mode).mix(batch, rng())
    assert torch.equal(batch.image, image)
    assert torch.equal(batch.label, label)
    assert torch.equal(mixed.label, label)
    assert torch.equal(mixed.original, image)
    assert not batch.notes
    assert not mixed.image.requires_grad
    assert all((parameter.grad == 1).all() for parameter in segmenter.parameters())
    assert not batch.image.requires_grad


def test_half_precision_of_a_step_does_not_change_the_attack():
    batch, source = toy.inliers(2, 0), attack()
    exact = source.mix(batch, rng())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(source.mix(batch, rng()).image, exact.image)


def test_a_mask_network_is_attacked_by_its_evidence():
    batch = toy.inliers(2, 0)
    grey(batch)
    source = attack(toy.ToyMasks(), shape="all", epsilon=0.05, noise=0.0)
    mixed = source.mix(batch, rng())
    with torch.no_grad():
        found = [source.attacked[0](one.image) for one in (batch, mixed)]
    target = batch.label.long().clamp_max(2)[:, None]
    right = [
        one.class_logits(one.image_logits()).softmax(1).gather(1, target)[:, 0][batch.known].mean()
        for one in found
    ]
    assert right[1] < right[0]


def test_a_share_of_the_crops_is_attacked():
    mixed = attack(probability=0.5, shape="square").mix(toy.inliers(60, 0), rng())
    share = mixed.note(ATTACKED).flatten(1).any(1).float().mean().item()
    assert 0.3 < share < 0.7
    none = attack(probability=0.0).mix(toy.inliers(2, 0), rng())
    assert torch.equal(none.image, none.original)


def test_the_published_window_fits_into_a_small_crop():
    source = LocalAttack()
    source.attach(toy.ToySegmenter())
    assert source.mix(toy.inliers(2, 0), rng()).note(ATTACKED).flatten(1).any(1).all()


def test_in_a_mixture_its_crops_alone_are_attacked():
    mixture = Mixture([{"name": "laa", **SMALL}, {"name": "noise"}])
    mixture.attach(soft_network())
    assert not mixture.keeps_labels
    batch = toy.inliers(12, 0)
    mixed = mixture.mix(batch, rng())
    mine = torch.tensor(mixed.note(TURNS)) == 0
    changed = (mixed.image != batch.image).flatten(1).any(1)
    assert torch.equal(changed, mine)
    assert torch.equal(mixed.label, batch.label)
    assert len(mixed.note(ATTACKED)) == mine.sum()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "mean"}, "mode"),
        ({"shape": "blobs"}, "blob"),
        ({"epsilon": 2.0}, "epsilon"),
        ({"side": [80, 60]}, "side"),
        ({"count": [0, 2]}, "count"),
    ],
)
def test_wrong_options_are_refused(options, said):
    with pytest.raises(OptionError, match=said):
        NEGATIVES.build("laa", options)


def test_a_network_without_gradients_is_refused():
    with pytest.raises(OptionError, match="passes none"):
        LocalAttack().attach(network("torchscript"))


def test_a_detector_that_needs_labelled_negatives_is_refused_it(tmp_path):
    config = runs.config(tmp_path, negatives={"name": "laa"})
    assert config.detector["name"] == "densehybrid"
    with pytest.raises(UserError, match="keep the label"):
        build_parts(config)
