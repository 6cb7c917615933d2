"""Several heads on one pass: one scale, stated rules, weights of its own, no folder needed."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import roadanomaly
from roadanomaly.detectors.fusion import Fusion
from roadanomaly.errors import DataError, KindError, OptionError
from roadanomaly.model import Model
from roadanomaly.types import NEGATIVE
from tests.contracts import toy

HEADS = [{"detector": {"name": "energy"}}, {"detector": {"name": "msp"}}]


def fitted(rule, segmenter, heads=HEADS, *, negatives=True):
    detector = Fusion(heads, rule)
    Model(segmenter, detector)
    for seed in range(4):
        batch = toy.inliers(4, seed)
        if negatives:
            batch = toy.planted(batch, 0.1 + 0.2 * seed)
        with torch.inference_mode():
            detector.update(segmenter(batch.image, detector.needs), batch, "scale")
    detector.finish("scale")
    return detector.eval()


def rows(detector, segmenter):
    """All pixels that `fitted` showed: scores of both heads, and which are negatives."""
    scores, strange = [], []
    for seed in range(4):
        batch = toy.planted(toy.inliers(4, seed), 0.1 + 0.2 * seed)
        with torch.inference_mode():
            seen = detector.raw(segmenter(batch.image, detector.needs), batch.image)
        counted = batch.label < 3
        scores += [seen[counted], seen[batch.label == NEGATIVE]]
        strange += [np.zeros(int(counted.sum())), np.ones(int((batch.label == NEGATIVE).sum()))]
    return torch.cat(scores).numpy(), np.concatenate(strange)


def rarity(inliers, scores):
    """`-log10` of the share of inliers that score at least as high."""
    above = len(inliers) - np.searchsorted(np.sort(inliers), scores, side="left")
    return -np.log10(np.maximum(above, 1) / len(inliers))


@pytest.mark.parametrize(("rule", "join"), [("mean", np.mean), ("max", np.max)])
def test_heads_are_joined_on_the_scale_of_their_rarity(rule, join):
    segmenter = toy.ToySegmenter().eval()
    detector = fitted(rule, segmenter)
    batch = toy.inliers(4, 9)
    with torch.inference_mode():
        segmentation = segmenter(batch.image)
        found = detector.score(segmentation, batch.image)[batch.label < 3].numpy()
        raw = detector.raw(segmentation, batch.image)[batch.label < 3].numpy()
    scores, strange = rows(detector, segmenter)
    inliers = scores[strange == 0]
    expected = join([rarity(inliers[:, one], raw[:, one]) for one in (0, 1)], axis=0)
    common = expected < 2  # beyond, a few pixels decide the empirical share
    assert common.mean() > 0.9
    np.testing.assert_allclose(found[common], expected[common], atol=0.06)


def test_learned_weights_are_those_of_logistic_regression():
    segmenter = toy.ToySegmenter().eval()
    detector = fitted("learned", segmenter)
    scores, strange = rows(detector, segmenter)
    with torch.inference_mode():
        x = detector._scaled(torch.from_numpy(scores)).numpy()
    model = LogisticRegression(C=1e5, class_weight="balanced", max_iter=2000, tol=1e-8)
    expected = model.fit(x, strange).decision_function(x)
    found = x @ detector.weights.numpy() + detector.bias.item()
    assert np.corrcoef(found, expected)[0, 1] > 0.9999
    assert detector.supervision == "negatives"


def test_a_saved_head_brings_its_weights_and_its_folder_is_not_needed(tmp_path, caplog):
    segmenter = toy.ToySegmenter().eval()
    trained = toy.prepared("densehybrid", segmenter)
    saved = Model(segmenter, roadanomaly.detector("densehybrid", features=["colour"]))
    saved.detector.load_state_dict(trained.state_dict())
    saved.detector.trained_on = "negatives"
    roadanomaly.SEGMENTERS.entries["toy"] = "tests.contracts.toy:ToySegmenter"
    try:
        saved.save(tmp_path / "model")
    finally:
        del roadanomaly.SEGMENTERS.entries["toy"]
    heads = [{"run": str(tmp_path / "model")}, HEADS[0]]
    detector = fitted("mean", segmenter, heads)
    assert not caplog.records
    shutil.rmtree(tmp_path / "model")
    batch = toy.inliers(2, 5)
    with torch.inference_mode():
        segmentation = segmenter(batch.image, detector.needs)
        expected = saved.detector.score(segmentation, batch.image)
        assert torch.equal(detector.raw(segmentation, batch.image)[..., 0], expected)
        again = Fusion(**detector.options())
        again.attach(segmenter)
        again.load_state_dict(detector.state_dict())
        again.eval()
        one, other = (part.score(segmentation, batch.image) for part in (detector, again))
    assert torch.equal(one, other)
    assert again.supervision == again.learned_from == "negatives"


def test_a_head_of_another_network_is_pointed_out(tmp_path, caplog):
    segmenter = toy.ToySegmenter().eval()
    model = Model(segmenter, roadanomaly.detector("energy"))
    roadanomaly.SEGMENTERS.entries["toy"] = "tests.contracts.toy:ToySegmenter"
    try:
        model.save(tmp_path / "model")
    finally:
        del roadanomaly.SEGMENTERS.entries["toy"]
    with torch.no_grad():
        segmenter.classifier.bias.add_(1)
    Fusion([{"run": str(tmp_path / "model")}, HEADS[1]]).attach(segmenter)
    assert "fusion: the head of " in caplog.text
    assert "another segmenter's weights" in caplog.text


ROAD = {"detector": {"name": "jsrnet"}}


@pytest.mark.parametrize(
    ("heads", "region"), [([ROAD, ROAD], "road"), ([ROAD, HEADS[0]], "image"), (HEADS, "image")]
)
def test_it_judges_the_road_alone_where_all_heads_do(heads, region):
    assert Fusion(heads).region == region


def test_it_says_what_is_missing():
    segmenter = toy.ToySegmenter().eval()
    with pytest.raises(OptionError, match="takes two"):
        Fusion(HEADS[:1])
    with pytest.raises(OptionError, match="did you mean `mean`"):
        Fusion(HEADS, "meam")
    with pytest.raises(OptionError, match="a head is"):
        Fusion([{"name": "energy"}, HEADS[1]])
    with pytest.raises(DataError, match="no model at nowhere"):
        Fusion([{"run": "nowhere"}, HEADS[1]])
    with pytest.raises(DataError, match="needs negatives"):
        fitted("learned", segmenter, negatives=False)
    with pytest.raises(KindError):
        Model(toy.ToyMasks(), Fusion(HEADS))
