"""One pass of a training step: what is frozen, on which grid losses are taken, and the teacher."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import nn
from torch.nn import functional

import roadanomaly
from roadanomaly.detectors.hybrid.densehybrid import DenseHybrid
from roadanomaly.model import Model
from roadanomaly.segmenters.closed_set import closed_set_cross_entropy
from roadanomaly.training.step import TrainingStep
from roadanomaly.types import IGNORE, INLIER, Batch
from tests.contracts import toy


def training_step(segmenter=None, detector="densehybrid", **options):
    segmenter = segmenter or toy.ToySegmenter()
    model = Model(segmenter, roadanomaly.detector(detector))
    settings = {"freeze_batch_norm": True, "supervise": "logits", "distill": 0.0} | options
    return TrainingStep(model.segmenter, model.detector, **settings)


def espnetv2():
    return roadanomaly.segmenter("espnetv2", scale=0.5, classes=toy.CLASSES)


def norms(module):
    return [one for one in module.modules() if isinstance(one, nn.BatchNorm2d)]


def mixed(count=2):
    return toy.planted(toy.inliers(count, 0), 0.2)


def noise():
    """Two crops of 48x64 whose pixels are of a known class, and of every colour."""
    image = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    return Batch(image, torch.zeros(2, 48, 64, dtype=torch.uint8), ("a", "b"))


@pytest.mark.parametrize("freeze", [True, False])
def test_batch_norm_keeps_its_statistics_when_frozen(freeze):
    module = training_step(espnetv2(), freeze_batch_norm=freeze).train()
    before = [norm.running_mean.clone() for norm in norms(module.segmenter)]
    head = norms(module.detector)[0].running_mean.clone()
    module(mixed())
    after = [norm.running_mean for norm in norms(module.segmenter)]
    kept = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert all(kept) if freeze else not any(kept)
    assert not torch.equal(norms(module.detector)[0].running_mean, head)
    assert norms(module.segmenter)[0].weight.requires_grad


def test_a_detector_of_kind_train_leaves_the_segmenter_alone(monkeypatch):
    monkeypatch.setattr(roadanomaly.DETECTORS.get("densehybrid"), "kind", "train")
    module = training_step(espnetv2()).train()
    assert not module.segmenter.training
    assert module.detector.training
    assert not any(parameter.requires_grad for parameter in module.segmenter.parameters())
    sum(module(mixed()).values()).backward()
    assert all(parameter.grad is not None for parameter in module.detector.parameters())


def test_a_detector_that_learns_nothing_trains_the_segmenter_with_cross_entropy():
    module = training_step(detector="msp").train()
    batch = mixed()
    terms = module(batch)
    assert list(terms) == ["cross_entropy"]
    expected = closed_set_cross_entropy(module.segmenter(batch.image), batch.label)
    assert terms["cross_entropy"].item() == expected.item()


def test_at_image_size_the_loss_is_that_of_the_grown_logits():
    """Height 18 is padded to 20 inside; the cross-entropy is that of the cropped logits."""
    module = training_step(detector="msp", supervise="image").train()
    batch = mixed()
    batch = replace(batch, image=batch.image[..., :18, :], label=batch.label[..., :18, :])
    logits = module.segmenter(batch.image).image_logits().detach().numpy()
    label, known = batch.label.numpy(), batch.known.numpy()
    picked = np.take_along_axis(log_softmax(logits, 1), np.where(known, label, 0)[:, None], 1)[:, 0]
    assert module(batch)["cross_entropy"].item() == pytest.approx(-picked[known].mean(), rel=1e-5)


def test_at_image_size_features_and_logits_show_the_same_place():
    """Where a crop is padded inside, the dataset posterior must not be stretched over it."""
    module = training_step(supervise="image").train()
    module.detector.eval()
    found = []

    def watch(segmentation):
        found.append(segmentation.to_image(odds(DenseHybrid.log_posterior, segmentation)))
        return DenseHybrid.log_posterior(module.detector, segmentation)

    def odds(log_posterior, segmentation):
        both = log_posterior(module.detector, segmentation)
        return both[:, 1] - both[:, 0]

    module.detector.log_posterior = watch
    image = torch.rand(1, 3, 18, 26)
    module(replace(mixed(1), image=image, label=torch.zeros(1, 18, 26, dtype=torch.uint8)))
    segmentation = module.segmenter(image, module.detector.needs)
    expected = segmentation.to_image(odds(DenseHybrid.log_posterior, segmentation))
    torch.testing.assert_close(found[0], expected)


@pytest.mark.parametrize("supervise", ["logits", "image"])
def test_the_teacher_pulls_nowhere_at_the_start(supervise):
    """Cross-entropy to one's own soft predictions is stationary, and equals their entropy."""
    module = training_step(distill=0.5, supervise=supervise, detector="msp").train()
    batch = toy.inliers(2, 0)
    term = module(batch)["distill"]
    term.backward()
    for parameter in module.segmenter.parameters():
        torch.testing.assert_close(parameter.grad, torch.zeros_like(parameter), rtol=0, atol=1e-6)
    found = module.segmenter(batch.image)
    logits = (found.logits if supervise == "logits" else found.image_logits()).detach().numpy()
    entropy = -(softmax(logits, 1) * log_softmax(logits, 1)).sum(1).mean()
    assert term.item() == pytest.approx(0.5 * entropy, rel=1e-5)


def test_the_teacher_pulls_a_moved_student_back():
    module = training_step(distill=1.0, detector="msp").train()
    start = [value.clone() for value in module.teacher.state_dict().values()]
    with torch.no_grad():
        module.segmenter.classifier.bias += torch.tensor([1.0, 0.0, -1.0])
    module(toy.inliers(2, 0))["distill"].backward()
    gradient = module.segmenter.classifier.bias.grad
    assert gradient[0] > 0 > gradient[2]
    assert all(value.grad is None for value in module.teacher.parameters())
    assert all(map(torch.equal, start, module.teacher.state_dict().values()))
    assert not module.teacher.training


@pytest.mark.parametrize("supervise", ["logits", "image"])
def test_another_network_teaches_by_its_soft_predictions(supervise):
    """Against the cross-entropy worked out pixel by pixel, under each cell of the logits."""
    teacher = roadanomaly.segmenter("espnetv2", scale=0.5, classes=toy.CLASSES).eval()
    module = training_step(distill=0.5, supervise=supervise, detector="msp", teacher=teacher)
    batch = toy.inliers(2, 0)
    term = module.train()(batch)["distill"]
    with torch.no_grad():
        taught = teacher(batch.image).image_logits().numpy()
        found = module.segmenter(batch.image)
    logits = (found.logits if supervise == "logits" else found.image_logits()).numpy()
    height, width = logits.shape[-2:]
    step = taught.shape[-2] // height, taught.shape[-1] // width
    cells = taught[..., step[0] // 2 :: step[0], step[1] // 2 :: step[1]]
    expected = -(softmax(cells, 1) * log_softmax(logits, 1)).sum(1).mean()
    assert term.item() == pytest.approx(0.5 * expected, rel=1e-4)
    assert all(value.grad is None for value in teacher.parameters())


def test_a_teacher_may_teach_what_nobody_labelled_alone():
    """Against the mean over half of the cells, those of no class, worked out from all of them."""
    module = training_step(distill=1.0, detector="msp", unlabelled=True).train()
    batch = noise()
    label = batch.label.clone()
    label[:, : label.shape[1] // 2] = INLIER
    with torch.no_grad():
        logits = module.segmenter(batch.image).logits.numpy()
    each = -(softmax(logits, 1) * log_softmax(logits, 1)).sum(1)
    upper = each[:, : each.shape[1] // 2].mean()
    assert upper != pytest.approx(each.mean(), rel=1e-4)
    taught = module(replace(batch, label=label))["distill"].item()
    assert taught == pytest.approx(upper, rel=1e-5)
    assert module(batch)["distill"].item() == 0


def test_a_teacher_of_several_views_teaches_their_mean_where_they_agree():
    """Against the views asked one by one, under each cell of the logits."""
    teacher = roadanomaly.segmenter("espnetv2", scale=0.5, classes=toy.CLASSES).eval()
    settings = {"distill": 1.0, "detector": "msp", "teacher": teacher, "agree": True}
    module = training_step(**settings, supervise="image").train()
    batch = noise()
    size = batch.image.shape[-2:]
    views = []
    with torch.no_grad():
        for factor, mirrored in ((1, False), (1, True), (0.75, False), (1.25, False)):
            image = batch.image.flip(-1) if mirrored else batch.image
            if factor != 1:
                smaller = tuple(round(factor * side) for side in size)
                options = {"mode": "bilinear", "align_corners": False, "antialias": factor < 1}
                image = functional.interpolate(image, smaller, **options)
            chances = teacher(image).image_logits().softmax(1)
            chances = functional.interpolate(chances, size, mode="bilinear", align_corners=False)
            views.append((chances.flip(-1) if mirrored else chances).numpy())
        logits = module.segmenter(batch.image).image_logits().numpy()
    mean = np.mean(views, 0)
    agreed = np.all([view.argmax(1) == mean.argmax(1) for view in views], 0)
    assert 0 < agreed.mean() < 1
    each = -(mean * log_softmax(logits, 1)).sum(1)
    assert module(batch)["distill"].item() == pytest.approx(each[agreed].mean(), rel=1e-4)


def test_the_teacher_sees_the_image_before_the_negatives_and_is_silent_on_them():
    module = training_step(distill=1.0, detector="msp").train()
    batch = mixed()
    term = module(batch)["distill"].item()
    garbled = replace(batch, original=torch.rand_like(batch.image))
    assert module(garbled)["distill"].item() != pytest.approx(term)
    original = batch.original.clone()
    original.movedim(1, -1)[toy.PATCH] = 0.9
    assert module(replace(batch, original=original))["distill"].item() == pytest.approx(term)


@pytest.mark.parametrize("supervise", ["logits", "image"])
def test_the_loss_hears_where_in_their_frames_the_crops_lie(monkeypatch, supervise):
    module, heard = training_step(supervise=supervise), []

    def loss(segmentation, batch):
        heard.append(segmentation.places)
        return {"loss": batch.image.sum()}

    monkeypatch.setattr(module.detector, "loss", loss)
    places = torch.tensor([[0.0, 0.1, 0.5, 0.6], [0.5, 0.0, 1.0, 0.5]])
    module(replace(mixed(), places=places))
    module(mixed())
    assert torch.equal(heard[0], places)
    assert heard[1] is None


def test_a_batch_of_void_costs_nothing():
    module = training_step(distill=1.0).train()
    batch = mixed()
    terms = module(replace(batch, label=torch.full_like(batch.label, IGNORE)))
    assert all(torch.isfinite(term) for term in terms.values())
    assert sum(value.item() for key, value in terms.items() if key != "distill") == 0
