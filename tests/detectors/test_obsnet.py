"""ObsNet: what it calls an error, and that it learns where the network errs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from roadanomaly.detectors import DETECTORS
from roadanomaly.errors import UserError
from roadanomaly.model import Model
from roadanomaly.negatives.laa import ATTACKED, LocalAttack
from roadanomaly.training.step import TrainingStep
from roadanomaly.types import IGNORE, INLIER, NEGATIVE, VOID, Batch, Segmentation
from tests.contracts import toy
from tests.contracts.tiny import network


def observer(segmenter=None, **options):
    detector = DETECTORS.build("obsnet", {"width": 8, **options})
    segmenter = segmenter or toy.ToySegmenter()
    detector.attach(segmenter)
    return detector, segmenter


def answered(classes):
    """A segmentation whose most likely classes are these, at image size."""
    size = tuple(classes.shape[1:])
    return Segmentation(functional.one_hot(classes, 3).movedim(-1, 1).float(), size, size)


@pytest.mark.parametrize("void", ["ignore", "error"])
def test_an_error_is_another_class_than_the_label(void):
    label = torch.tensor([[[0, 1, 2, NEGATIVE, VOID, INLIER, IGNORE]]], dtype=torch.uint8)
    said = torch.tensor([[[0, 0, 2, 0, 0, 0, 0]]])
    detector, _ = observer(void=void)
    wrong, counted = detector.errors(answered(said), label)
    known = [True, True, True, True, void == "error", False, False]
    assert counted[0, 0].tolist() == known
    errs = [False, True, False, True, True]
    assert wrong[0, 0, :5].tolist() == errs


def test_the_loss_is_the_weighted_mean_of_what_counts(monkeypatch):
    detector, _ = observer(pos_weight=3.0)
    label = torch.tensor([[[0, 1, 2, IGNORE]]], dtype=torch.uint8)
    said = torch.tensor([[[0, 0, 2, 1]]])
    given = torch.tensor([[[-1.0, 2.0, 0.5, 9.0]]])
    monkeypatch.setattr(detector, "observe", lambda *_: given)
    batch = Batch(torch.zeros(1, 3, 1, 4), label, ("a",))
    found = detector.loss(answered(said), batch)["errors"].item()
    terms = [np.log(1 + np.exp(-1)), 3 * np.log(1 + np.exp(-2)), np.log(1 + np.exp(0.5))]
    assert found == pytest.approx(sum(terms) / 3)


def test_what_it_learned_from_is_said():
    detector, _ = observer()
    assert detector.learned_from == "none"
    detector.trained_on = "synthetic negatives"
    assert detector.learned_from == "synthetic negatives"
    assert observer(void="error")[0].learned_from == "void"


def confused(seed, count=4):
    """Stripes in which the network takes blue for red wherever a corner mark is near: here, in
    the left half, where the blue is tinted so that red wins."""
    batch = toy.inliers(count, seed)
    image = batch.image.clone()
    tinted = (batch.label == 2) & (torch.arange(toy.WIDTH) < toy.WIDTH // 2)
    colour = torch.tensor([0.9, 0.0, 0.7])[:, None, None]
    return Batch(torch.where(tinted[:, None], colour, image), batch.label, batch.ids)


@pytest.mark.slow
def test_it_learns_constructed_errors():
    detector, segmenter = observer()
    segmenter.requires_grad_(False)
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(detector.train().parameters(), lr=0.01)
    for step in range(60):
        batch = confused(100 + step)
        terms = detector.loss(segmenter(batch.image, detector.needs), batch)
        optimiser.zero_grad()
        terms["errors"].backward()
        optimiser.step()
    detector.eval()
    batch = confused(7, 8)
    with torch.inference_mode():
        segmentation = segmenter(batch.image, detector.needs)
        score = detector.score(segmentation, batch.image)
        shown = detector.explain(segmentation, batch.image)["predicted error"]
    wrong = (segmentation.classes() != batch.label) & batch.known
    right = (segmentation.classes() == batch.label) & batch.known
    assert wrong.float().mean() > 0.05
    higher = (score[wrong][:500, None] > score[right][None, ::5]).float().mean()
    assert higher > 0.9
    assert torch.equal(shown, score.sigmoid())


def test_a_step_under_attack_teaches_it_what_was_attacked():
    segmenter = toy.ToySegmenter()
    model = Model(segmenter, DETECTORS.build("obsnet", {"width": 8}))
    source = LocalAttack(shape="square", window=8, epsilon=0.6, noise=0.0)
    source.attach(segmenter)
    settings = {"freeze_batch_norm": True, "supervise": "image", "distill": 0.0}
    module = TrainingStep(segmenter, model.detector, source, **settings).train()
    seen = []
    found = model.detector.errors
    model.detector.errors = lambda *given: seen.append(found(*given)) or seen[-1]
    batch = toy.inliers(4, 0)
    terms = module(batch, np.random.default_rng(0))
    terms["errors"].backward()
    wrong, counted = seen[0]
    inside = source.mix(batch, np.random.default_rng(0)).note(ATTACKED)
    errs = wrong & counted
    assert errs[inside].float().mean() > 5 * errs[~inside].float().mean()
    assert all(one.grad is None for one in segmenter.parameters())
    assert all(one.grad is not None for one in model.detector.parameters())


def test_it_reads_one_map_of_each_stride_from_fine_to_coarse():
    detector, _ = observer(network("espnetv2"))
    assert detector.needs == ("decoder2", "decoder4", "decoder8", "encoder16")
    chosen, _ = observer(network("espnetv2"), features=["encoder16", "decoder4"])
    assert chosen.needs == ("decoder4", "encoder16")


@pytest.mark.parametrize(
    ("options", "said"),
    [({"width": 0}, "width"), ({"pos_weight": 0.0}, "pos_weight"), ({"void": "errors"}, "error")],
)
def test_wrong_options_are_refused(options, said):
    with pytest.raises(UserError, match=said):
        DETECTORS.build("obsnet", options)


def test_a_network_without_features_is_refused():
    with pytest.raises(UserError, match="offers none"):
        observer(network("torchscript"))
