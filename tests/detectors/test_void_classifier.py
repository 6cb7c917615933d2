"""The void class: its loss by NumPy, what it learns on toy data, and what teaches nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special

import roadanomaly
from roadanomaly.errors import DataError, FeatureError, OptionError
from roadanomaly.model import Model
from roadanomaly.training.parts import build_parts
from roadanomaly.types import IGNORE, INLIER, NEGATIVE, VOID, Batch
from tests.contracts import toy
from tests.training.runs import config


def model(**options):
    torch.manual_seed(0)
    return Model(toy.ToySegmenter(), roadanomaly.detector("void_classifier", **options))


def labelled(word):
    """Planted toy images with another label for the patch."""
    batch = toy.planted(toy.inliers(2, 0), 0.3)
    batch.label[batch.negative] = word
    return batch


def loss_of(found, batch):
    seen = found.head.look(found.segmenter, batch.image)
    (loss,) = found.detector.loss(seen, batch).values()
    return loss, found.detector.all_logits(seen)


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_the_loss_is_the_cross_entropy_of_one_more_class(weight):
    """On the cells' labels: the pixel at twice the place and one more."""
    batch = labelled(VOID)
    loss, logits = loss_of(model(weight=weight), batch)
    label = batch.label[:, 1::2, 1::2].numpy()
    log_p = special.log_softmax(logits.detach().double().numpy(), 1)
    known, void = label < 3, label == VOID
    assert void.any()
    own = np.take_along_axis(log_p, np.where(known, label, 0)[:, None].astype(int), 1)[:, 0]
    total = -(own[known].sum() + weight * log_p[:, 3][void].sum())
    assert loss.item() == pytest.approx(total / (known.sum() + weight * void.sum()), rel=1e-5)


@pytest.mark.parametrize("word", [NEGATIVE, IGNORE, INLIER])
def test_only_void_is_taken_for_void(word):
    """Negatives, padding and unknown inliers change nothing, whatever they look like."""
    found = model()
    one, other = labelled(word), labelled(IGNORE)
    assert loss_of(found, one)[0] == loss_of(found, other)[0]


def test_a_batch_that_teaches_nothing_costs_nothing():
    batch = toy.inliers(1, 0)
    empty = Batch(batch.image, torch.full_like(batch.label, IGNORE), batch.ids)
    found = model()
    loss, _ = loss_of(found, empty)
    loss.backward()
    assert loss.item() == 0
    assert all(torch.isfinite(one.grad).all() for one in found.detector.parameters())


def test_what_was_void_scores_high_and_the_known_classes_stay():
    found = model()
    toy.prepare(found, 120)
    batch = toy.planted(toy.inliers(4, 7), 0.25)
    score, segmentation = found.eval().score(batch.image)
    inside = torch.zeros_like(batch.label, dtype=torch.bool)
    inside[:, 8:12, 12:18] = True
    assert score[inside].min() > score[batch.known].quantile(0.95)
    assert score.min() >= 0
    assert score.max() <= 1
    assert segmentation.logits.shape[1] == len(toy.CLASSES)
    right = segmentation.classes()[batch.known] == batch.label[batch.known]
    assert right.float().mean() > 0.9
    assert found.detector.learned_from == "void"


def test_the_score_is_the_last_of_a_softmax_at_image_size():
    found = model()
    found.detector.ready = True
    image = toy.inliers(1, 0).image
    score, seen = found.score(image)
    with torch.inference_mode():
        grown = torch.nn.functional.interpolate(
            found.detector.all_logits(seen), scale_factor=2, mode="bilinear"
        )
    np.testing.assert_allclose(score, special.softmax(grown.numpy(), 1)[:, -1], atol=1e-6)


def test_a_network_without_a_last_layer_of_its_own_is_refused():
    network = toy.ToySegmenter()
    network.classified = ""
    network.classify = super(toy.ToySegmenter, network).classify
    with pytest.raises(FeatureError, match="no classifier that can be asked alone"):
        Model(network, roadanomaly.detector("void_classifier"))


def test_training_refuses_data_without_void(tmp_path):
    changes = {"detector": {"name": "void_classifier"}, "negatives": None}
    with pytest.raises(DataError, match="void: label"):
        build_parts(config(tmp_path, **changes))


def test_a_weight_must_be_positive():
    with pytest.raises(OptionError, match="weight"):
        roadanomaly.detector("void_classifier", weight=0.0)
