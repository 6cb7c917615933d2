"""Which parameters learn, by which optimisers, and what follows: the detector says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import roadanomaly
from roadanomaly.detectors import Detector
from roadanomaly.detectors.learner import Learner
from roadanomaly.errors import OptionError
from roadanomaly.model import Model
from roadanomaly.segmenters import Segmenter
from roadanomaly.training.checkpoint import load_checkpoint
from roadanomaly.training.loop import Trainer
from roadanomaly.training.optimiser import build_plans
from roadanomaly.training.step import TrainingStep
from tests.contracts import toy
from tests.training import runs


class Two(Detector):
    """Two own numbers that learn at paces of their own, beside a third and the classifier."""

    kind = "finetune"
    paper = "none"
    closed_set = False

    def __init__(self):
        super().__init__()
        self.slow, self.fast, self.rest = (nn.Parameter(torch.ones(2)) for _ in range(3))
        self.register_buffer("steps", torch.zeros(()))

    def options(self):
        return {}

    def moves(self, segmenter):
        return segmenter.classifier.parameters()

    def learners(self):
        return {
            "slow": Learner([self.slow], "sgd", lr=0.1, momentum=0.0),
            "fast": Learner([self.fast], "adam", lr=0.5, clip=1e-3),
        }

    def after_step(self, mean):
        self.steps += mean(torch.ones(()))

    def loss(self, segmentation, batch):
        self.ready = True
        own = sum((one**2).sum() for one in (self.slow, self.fast, self.rest))
        return {"own": own, "logits": segmentation.logits.mean() ** 2}

    def score(self, segmentation, image):
        self.require()
        return segmentation.image_logits().amax(1) + self.rest.sum()


class Stacked(toy.ToySegmenter):
    """A body that can learn before the classifier."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 3, 1)

    def maps(self, image, features):
        return super().maps(self.body(image), features)


def one_step(detector, segmenter, **changes):
    module = TrainingStep(
        segmenter, detector, freeze_batch_norm=True, supervise="logits", distill=0.0
    )
    plans = build_plans(module, runs.config("x", schedule="constant", **changes))
    terms = module.train()(toy.inliers(2, 0))
    sum(terms.values()).backward()
    return module, plans, terms


def test_only_what_the_detector_names_of_the_segmenter_learns():
    segmenter, detector = Stacked(), Two()
    Model(segmenter, detector)
    module, plans, terms = one_step(detector, segmenter, lr=0.1)
    assert list(terms) == ["own", "logits"]  # `closed_set` is False: no cross-entropy beside them
    assert module.moving
    assert not segmenter.body.weight.requires_grad
    assert segmenter.body.weight.grad is None
    before = segmenter.classifier.weight.detach().clone()
    for plan in plans:
        plan.optimiser.step()
    assert not torch.equal(segmenter.classifier.weight, before)


def test_each_learner_has_its_optimiser_and_the_rest_the_run_s():
    segmenter, detector = Stacked(), Two()
    Model(segmenter, detector)
    _, plans, _ = one_step(detector, segmenter, optimiser="sgd", head_lr=0.2, weight_decay=0.0)
    assert [plan.name for plan in plans] == ["networks", "slow", "fast"]
    assert [plan.clip for plan in plans] == [1.0, 0.0, 1e-3]
    assert [type(plan.optimiser).__name__ for plan in plans] == ["SGD", "SGD", "Adam"]
    for plan in plans:
        plan.optimiser.step()
    assert detector.slow.tolist() == pytest.approx([0.8, 0.8])  # 1 - 0.1 * 2
    assert detector.fast.tolist() == pytest.approx([0.5, 0.5])  # Adam's first step is its rate
    # Nesterov's first step: (1 + momentum) * gradient
    assert detector.rest.tolist() == pytest.approx([1 - 0.2 * 1.9 * 2] * 2)


def test_a_parameter_learns_by_one_optimiser_only():
    segmenter, detector = Stacked(), Two()
    Model(segmenter, detector)
    detector.learners = lambda: {name: Learner([detector.slow]) for name in ("a", "b")}
    with pytest.raises(ValueError, match="the same parameter"):
        one_step(detector, segmenter)


@pytest.mark.slow
def test_statistics_follow_every_step_and_an_unknown_optimiser_is_refused(tmp_path, monkeypatch):
    entries = roadanomaly.DETECTORS.entries
    monkeypatch.setitem(entries, "two", f"{__name__}:Counting")
    changes = {"detector": {"name": "two"}, "accumulate": 1, "average": 0.0}
    Trainer(runs.config(tmp_path / "run", **changes)).run()
    last = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt")
    assert last["networks"]["detector.steps"] == 4
    with pytest.raises(OptionError, match="`optimiser` must be"):
        runs.config(tmp_path / "run", optimiser="lion")


class Counting(Two):
    """The same on a segmenter of any kind."""

    def moves(self, segmenter):
        return ()


class Grey(Detector):
    """Reads the image alone."""

    kind = "posthoc"
    reads_segmentation = False
    accepts = ()
    paper = "none"

    def options(self):
        return {}

    def score(self, segmentation, image):
        return image.std(1)


class Silent(Segmenter):
    """Fails when it is run."""

    answers = ("masks",)

    def __init__(self):
        super().__init__(toy.CLASSES)

    def maps(self, image, features):
        raise AssertionError("the segmenter was run")

    def options(self):
        return {}


def test_a_detector_that_reads_the_image_alone_runs_no_segmenter():
    model = Model(Silent(), Grey())
    image = toy.inliers(2, 0).image
    score, segmentation = model.score(image)
    assert torch.equal(score, image.std(1))
    assert (segmentation.classes() == 255).all()
    result = model(image[0])
    assert (result.classes == 255).all()
