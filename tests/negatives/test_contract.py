"""What a source to come may do: fill whole crops, ask the segmenter, leave notes of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from roadanomaly.data.transforms import Degrade
from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.base import NegativeSource
from roadanomaly.negatives.flow import FlowSamples
from roadanomaly.negatives.mixture import Mixture
from roadanomaly.negatives.whole import fill
from roadanomaly.training.config import TrainConfig
from roadanomaly.training.parts import build_parts
from roadanomaly.training.step import TrainingStep
from roadanomaly.types import ASSUMED, IGNORE, NEGATIVE, TURNS
from tests.contracts import toy
from tests.negatives import tiny
from tests.training import runs


class Foreign(NegativeSource):
    """Half of the crops show an image of another world."""

    def mix(self, batch, rng):
        chosen = np.flatnonzero(rng.random(len(batch.image)) < 0.5)
        shape = tuple(batch.image.shape[1:])
        made = {one: rng.integers(0, 256, shape, dtype=np.uint8) for one in chosen}
        return fill(batch, {one: torch.from_numpy(image) for one, image in made.items()})

    def record(self):
        return {"name": "foreign"}


class Attack(NegativeSource):
    """A patch that moves the image to where the segmenter is less sure of its class."""

    stage, content, step = "step", "synthetic negatives", 0.2

    def attach(self, segmenter):
        self.asked = (segmenter,)

    def mix(self, batch, rng):
        with torch.enable_grad():
            image = batch.image.detach().requires_grad_()
            sure = self.asked[0](image).image_logits().log_softmax(1).amax(1).sum()
            (slope,) = torch.autograd.grad(sure, image)
        inside = torch.zeros_like(batch.label, dtype=torch.bool)
        inside[:, 4:12, 6:16] = True
        moved = (batch.image - self.step * slope.sign()).clamp(0, 1)
        image = torch.where(inside[:, None], moved, batch.image)
        label = batch.label.masked_fill(inside, NEGATIVE)
        mixed = replace(batch, image=image, label=label, original=batch.image)
        return mixed.noted({"slope": slope[inside[:, None].expand_as(slope)]})

    def record(self):
        return {"name": "attack"}


@pytest.fixture
def catalogue(monkeypatch):
    entries = {"foreign": f"{__name__}:Foreign", "attack": f"{__name__}:Attack"}
    monkeypatch.setattr(NEGATIVES, "entries", {**NEGATIVES.entries, **entries})


def step(source, detector="densehybrid", **options):
    torch.manual_seed(0)
    segmenter = toy.segmenter_for(detector)
    part = toy.build_detector(detector, len(segmenter.classes))
    part.attach(segmenter)
    settings = {"freeze_batch_norm": True, "supervise": "logits", "distill": 0.5}
    return TrainingStep(segmenter, part, source, **settings, **options).train()


def test_a_filled_crop_is_negative_throughout_and_its_original_stays():
    batch = tiny.batch(40)
    mixed = Foreign().mix(batch, np.random.default_rng(0))
    filled = mixed.negative.flatten(1).all(1)
    assert 10 < filled.sum() < 30
    assert torch.equal(mixed.negative.flatten(1).any(1), filled)
    assert torch.equal(mixed.original, batch.image)
    assert torch.equal(mixed.image[~filled], batch.image[~filled])
    assert (mixed.image[filled] != batch.image[filled]).float().mean() > 0.99


def test_nothing_is_assumed_of_a_filled_crop_and_gradients_pass_to_what_fills_it():
    batch = toy.inliers(3, 0).noted({ASSUMED: torch.zeros(3, toy.HEIGHT, toy.WIDTH).byte()})
    foreign = torch.rand_like(batch.image[1]).requires_grad_()
    mixed = fill(batch, {1: foreign})
    assert [set(one.unique().tolist()) for one in mixed.note(ASSUMED)] == [{0}, {IGNORE}, {0}]
    assert not batch.note(ASSUMED).any()
    mixed.image.sum().backward()
    assert torch.equal(foreign.grad, torch.ones_like(foreign))
    with pytest.raises(ValueError, match=r"crop 0 is \(3, 20, 28\) torch.float32"):
        fill(batch, {0: foreign[:, :5]})


def test_in_a_mixture_only_its_own_crops_are_filled(catalogue):
    mixture = Mixture([{"name": "foreign"}, {"name": "noise"}])
    mixed = mixture.mix(tiny.batch(60), np.random.default_rng(0))
    filled = mixed.negative.flatten(1).all(1)
    foreign = torch.tensor(mixed.note(TURNS)) == 0
    assert filled[foreign].any()
    assert not filled[~foreign].any()


@pytest.mark.parametrize("name", ["densehybrid", "jsrnet", "nflowjs"])
def test_a_batch_of_filled_crops_alone_can_be_trained_on(name):
    """No inlier is in it: every term and every gradient is finite."""
    module = step(None, name)
    batch = toy.inliers(2, 0)
    batch = fill(batch, {one: torch.rand_like(batch.image[one]) for one in range(2)})
    terms = module(batch)
    assert all(term.isfinite() for term in terms.values()), terms
    total = sum(terms.values())
    if total.requires_grad:
        total.backward()
    for key, parameter in module.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), key


def test_an_attack_follows_the_segmenters_slope():
    source, segmenter, batch = Attack(), toy.ToySegmenter(), toy.inliers(4, 0)
    source.attach(segmenter)
    mixed = source.mix(batch, np.random.default_rng(0))
    source.step = -source.step
    away = source.mix(batch, np.random.default_rng(0))
    with torch.no_grad():
        found = [segmenter(one.image).image_logits() for one in (batch, mixed, away)]
    doubt, attacked, soothed = (
        (1 - one.softmax(1).amax(1))[mixed.negative].mean() for one in found
    )
    assert attacked > 5 * doubt
    assert soothed < doubt
    assert mixed.note("slope").any()
    assert all(parameter.grad is None for parameter in segmenter.parameters())
    assert not source.state_dict()
    assert not list(source.parameters())


def test_a_step_with_an_attack_learns_what_its_crops_say_and_no_more():
    """The weights' gradients are those of the same crops, mixed before."""
    source, batch = Attack(), toy.inliers(3, 1)
    module = step(source)
    source.attach(module.segmenter)
    mixed = source.mix(batch, np.random.default_rng(0))
    sum(module(batch, np.random.default_rng(0)).values()).backward()
    plain = step(None)
    plain.load_state_dict(module.state_dict())
    sum(plain(mixed).values()).backward()
    pairs = zip(module.named_parameters(), plain.parameters(), strict=True)
    for (key, one), other in pairs:
        assert (one.grad is None) == (other.grad is None), key
        assert one.grad is None or torch.equal(one.grad, other.grad), key


def test_a_mixture_hands_the_segmenter_and_the_notes_on(catalogue):
    mixture = Mixture([{"name": "attack"}, {"name": "noise"}])
    segmenter = toy.ToySegmenter()
    mixture.attach(segmenter)
    assert mixture.sources[0].asked == (segmenter,)
    batch = toy.inliers(12, 0)
    mixed = mixture.mix(batch, np.random.default_rng(0))
    mine = sum(turn == 0 for turn in mixed.note(TURNS))
    assert 0 < mine < 12
    assert len(mixed.note("slope")) == mine * 3 * 8 * 10
    assert mixed.to("cpu").note("slope") is not None


def test_a_run_attaches_the_source_to_the_segmenter_that_it_trains(catalogue, tmp_path):
    sources = [{"name": "attack"}, runs.SHAPES]
    config = runs.config(tmp_path, negatives={"name": "mixture", "sources": sources})
    assert isinstance(config, TrainConfig)
    parts = build_parts(config)
    assert parts.source.sources[0].asked == (parts.model.segmenter,)


class Seen(NegativeSource):
    """Keeps nothing and remembers nothing: marks one window, unchanged."""

    stage, content = "step", "synthetic negatives"

    def mix(self, batch, rng):
        label = batch.label.clone()
        label[:, 4:12, 6:16] = NEGATIVE
        return replace(batch, label=label, original=batch.image)

    def record(self):
        return {"name": "seen"}


def test_the_step_degrades_what_its_source_has_mixed():
    """As `Degrade` does with the generator that has mixed; the clean images stay beside it."""
    module = step(Seen(), degrade=Degrade(p=1.0))
    given = []
    module.detector.loss = lambda segmentation, batch: (
        given.append(batch) or {"none": batch.image.sum() * 0}
    )
    batch = toy.inliers(2, 0)
    module(batch, np.random.default_rng(5))
    expected = Degrade(p=1.0).batch(batch, np.random.default_rng(5))
    assert torch.equal(given[0].image, expected.image)
    assert not torch.equal(given[0].image, batch.image)
    assert torch.equal(given[0].original, batch.image)
    assert step(None, degrade=Degrade(p=1.0)).source is None


def test_the_detectors_loss_reaches_a_flow_through_the_degradation():
    glow = {"name": "glow", "levels": 1, "steps": 2, "hidden": 4}
    source = FlowSamples(flow=glow, side=(8, 12), temperature=0.3)
    module = step(source, degrade=Degrade(p=1.0))
    module(toy.inliers(2, 0), np.random.default_rng(1))  # starts the flow
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.add_(0.03 * torch.randn_like(parameter))
    terms = module(toy.inliers(2, 0), np.random.default_rng(0))
    sum(value for key, value in terms.items() if not key.startswith("flow")).backward()
    found = [p.grad is not None and p.grad.abs().max() > 0 for p in source.parameters()]
    assert sum(found) > len(found) / 2
