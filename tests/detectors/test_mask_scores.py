"""Scores of mask networks against their formulas written pixel by pixel, and their contract."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import average_precision_score
from torch.nn import functional

import roadanomaly
from roadanomaly.cli.fit import refuse_test
from roadanomaly.data.streets import Streets
from roadanomaly.detectors.masks.maskomaly import joined
from roadanomaly.detectors.masks.query_choice import average_precision, choose_queries
from roadanomaly.errors import DataError, KindError, NotFitted, OptionError
from roadanomaly.model import Model
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import IGNORE, NEGATIVE, Batch, Masks, Segmentation
from tests.contracts import toy

CLASSES, QUERIES, SIZE = 4, 11, (9, 13)


@pytest.fixture
def segmentation():
    """Random masks at a third of the padded size, so that enlarging and cropping both matter."""
    generator = torch.Generator().manual_seed(3)
    masks = Masks(
        3 * torch.randn(2, QUERIES, CLASSES + 1, generator=generator),
        4 * torch.randn(2, QUERIES, 4, 5, generator=generator),
    )
    evidence = masks.weighted(masks.probabilities)
    return Segmentation(evidence, SIZE, (12, 15), kind="evidence", masks=masks)


def by_hand(segmentation, image):
    """P as nested lists and the sigmoid of each mask at image size, for one image."""
    masks = segmentation.masks
    rows = []
    for logits in masks.classes[image].tolist():
        exponentials = [math.exp(value) for value in logits]
        rows.append([value / sum(exponentials) for value in exponentials])
    grown = functional.interpolate(masks.masks[image][None], (12, 15), mode="bilinear")[0]
    return rows, (1 / (1 + (-grown[:, :9, :13]).exp())).tolist()


def pixels(function, segmentation):
    """Compute a score pixel by pixel from P (with "no object" last) and the masks' values."""
    found = torch.zeros(2, *SIZE)
    for image in range(2):
        p, m = by_hand(segmentation, image)
        for row in range(SIZE[0]):
            for column in range(SIZE[1]):
                values = [m[q][row][column] for q in range(QUERIES)]
                found[image, row, column] = function(p, values)
    return found


def evidence(p, m):
    return [sum(p[q][k] * m[q] for q in range(QUERIES)) for k in range(CLASSES)]


def rba(p, m):
    return -sum(math.tanh(value) for value in evidence(p, m))


def eam(p, m):
    return 1 - sum(m[q] * max(p[q][:CLASSES]) for q in range(QUERIES))


def mask2anomaly(p, m):
    return 1 - max(evidence(p, m))


def mask2anomaly_refined(p, m):
    refining = [
        m[q]
        for q in range(QUERIES)
        if p[q][:CLASSES].index(max(p[q][:CLASSES])) in (1, 2) and max(p[q][:CLASSES]) > 0.5
    ]
    return (1 - max(evidence(p, m))) * (1 - max(refining))


def maskomaly(p, m):
    sure = [q for q in range(QUERIES) if max(p[q]) > 0.7 and max(p[q]) != p[q][CLASSES]]
    left = min(1 - m[q] * max(p[q]) for q in sure)
    if sum(m[q] > 0.1 for q in sure) > 1:
        left = 0
    return 0.6 * left


def maskomaly_chosen(p, m):
    return maskomaly(p, m) + 0.4 * max(m[2], m[7]) - m[5]


def msp(p, m):
    found = evidence(p, m)
    return 1 - max(found) / sum(found)


def entropy(p, m):
    found = evidence(p, m)
    return -sum(e / sum(found) * math.log(e / sum(found)) for e in found)


CASES = {
    "rba": (rba, {}),
    "eam": (eam, {}),
    "mask2anomaly": (mask2anomaly, {}),
    "mask2anomaly refined": (mask2anomaly_refined, {"refine": ["b", "c"], "sure": 0.5}),
    "maskomaly": (maskomaly, {}),
    "maskomaly chosen": (maskomaly_chosen, {"anomaly_queries": [2, 7], "inlier_queries": [5]}),
    "msp": (msp, {}),
    "entropy": (entropy, {}),
}


class FourClasses(toy.ToyMasks):
    def __init__(self):
        Segmenter.__init__(self, ("a", "b", "c", "d"))


@pytest.mark.parametrize("case", CASES)
def test_a_score_is_its_formula_at_every_pixel(segmentation, case):
    function, options = CASES[case]
    detector = roadanomaly.detector(case.split()[0], **options)
    detector.attach(FourClasses())
    score = detector.score(segmentation, torch.zeros(2, 3, *SIZE))
    torch.testing.assert_close(score, pixels(function, segmentation), rtol=1e-4, atol=1e-5)


def firing(negative, known, unlike):
    """Masks of six queries: 2 fires on negatives, 4 on much that is known, others anywhere."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.randn(2, 6, *SIZE, generator=generator)
    masks[:, 2] += 2 * negative
    masks[:, 4] = 12.0 * (known & unlike) - 6
    classes = torch.zeros(2, 6, CLASSES + 1)
    classes[..., CLASSES] = 3
    found = Masks(classes, masks)
    evidence = found.weighted(found.probabilities)
    return Segmentation(evidence, SIZE, SIZE, kind="evidence", masks=found)


def test_maskomaly_chooses_the_queries_that_fire_on_negatives():
    generator = torch.Generator().manual_seed(1)
    draw = torch.rand(2, *SIZE, generator=generator)
    label = torch.zeros(2, *SIZE, dtype=torch.uint8)
    label[draw < 0.1], label[draw > 0.95] = NEGATIVE, IGNORE
    segmentation = firing(label == NEGATIVE, label == 0, draw < 0.7)
    batch = Batch(torch.zeros(2, 3, *SIZE), label, ("a", "b"))
    detector = roadanomaly.detector("maskomaly", choose=[3, 1])
    assert (detector.kind, detector.supervision) == ("fit", "negatives")
    with pytest.raises(NotFitted):
        detector.score(segmentation, batch.image)
    detector.update(segmentation, batch, "queries")
    detector.finish("queries")
    assert detector.anomaly_queries[0] == 2
    assert detector.inlier_queries == (4,)
    again = roadanomaly.detector("maskomaly", **detector.options())
    again.load_state_dict(detector.state_dict())
    score = again.score(segmentation, batch.image)
    plain = roadanomaly.detector("maskomaly").score(segmentation, batch.image)
    assert precision(score, label) > precision(plain, label) + 0.2


def precision(score, label):
    counted = label != IGNORE
    return average_precision_score(label[counted] == NEGATIVE, score[counted])


def test_the_choice_counts_as_scikit_learn_does():
    """With weights and equal scores; and each step of the choice is the best of all."""
    generator = torch.Generator().manual_seed(2)
    score = torch.randint(0, 9, (200,), generator=generator).float()
    strange = torch.rand(200, generator=generator) < 0.2
    weights = torch.where(strange, 1.5, 7.0)
    expected = average_precision_score(strange, score, sample_weight=weights)
    assert average_precision(score, strange, weights) == pytest.approx(expected)
    masks = torch.rand(200, 5, generator=generator)
    masks[:, 3] += 0.5 * strange
    anomalies, known = choose_queries(score / 20, masks, strange, weights, (1, 0), joined)
    by_one = [
        average_precision_score(strange, score / 20 + 0.4 * one, sample_weight=weights)
        for one in masks.unbind(1)
    ]
    assert (anomalies, known) == ([by_one.index(max(by_one))], [])


def test_maskomaly_chooses_nothing_without_negatives_or_on_a_test_set():
    detector = roadanomaly.detector("maskomaly", choose=[1, 0])
    with pytest.raises(DataError, match=r"--negatives\.name"):
        detector.finish("queries")
    with pytest.raises(OptionError, match="is a set to test on"):
        refuse_test(Streets("test", count=1, height=32, width=64))
    refuse_test(Streets("val", count=1, height=32, width=64))


def test_classes_are_those_of_the_evidence_at_image_size(segmentation):
    best = pixels(lambda p, m: evidence(p, m).index(max(evidence(p, m))), segmentation)
    assert torch.equal(segmentation.classes(), best.long())


def test_evidence_at_the_masks_own_stride_is_the_sum_over_queries(segmentation):
    p = segmentation.masks.classes.softmax(2)[..., :-1]
    expected = sum(
        p[:, q, :, None, None] * segmentation.masks.masks[:, q, None].sigmoid()
        for q in range(QUERIES)
    )
    torch.testing.assert_close(segmentation.logits, expected)


@pytest.mark.parametrize("name", ["rba", "eam", "mask2anomaly", "maskomaly"])
def test_a_mask_detector_refuses_a_network_with_logits(name):
    with pytest.raises(KindError, match="reads masks, and `ToySegmenter` answers logits: give it"):
        Model(toy.ToySegmenter(), roadanomaly.detector(name))


@pytest.mark.parametrize("name", ["energy", "max_logit", "densehybrid"])
def test_a_logit_detector_refuses_evidence_that_would_mean_nothing(name):
    with pytest.raises(KindError, match="reads logits, and `ToyMasks` answers evidence and masks"):
        Model(toy.ToyMasks(), roadanomaly.detector(name))


def test_masks_asked_of_logits_say_so():
    segmentation = toy.ToySegmenter()(torch.zeros(1, 3, 8, 8))
    with pytest.raises(KindError, match="use a mask network"):
        segmentation.need_masks()


def test_impossible_options_are_refused(segmentation):
    with pytest.raises(OptionError, match="no query 11; this network has 0 to 10"):
        roadanomaly.detector("maskomaly", anomaly_queries=[11]).score(segmentation, torch.zeros(0))
    with pytest.raises(OptionError, match="did you mean `road`"):
        Model(toy.ToyMasks(), roadanomaly.detector("mask2anomaly", refine=["raod"]))
    for name in ("mask2anomaly", "maskomaly"):
        with pytest.raises(OptionError, match=r"`sure` must be in 0\.\.1"):
            roadanomaly.detector(name, sure=1.5)


def test_a_frozen_network_is_not_fine_tuned():
    frozen = toy.ToySegmenter()
    frozen.trainable = False
    with pytest.raises(KindError, match="cannot be trained"):
        Model(frozen, roadanomaly.detector("densehybrid"))
