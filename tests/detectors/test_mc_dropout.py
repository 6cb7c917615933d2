"""MC dropout: closed forms, draws that can be repeated, and a network that is left as it was."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import roadanomaly
from roadanomaly.detectors.confidence.disagreement import Disagreement, measured
from roadanomaly.errors import FeatureError, KindError, OptionError
from roadanomaly.model import Model
from roadanomaly.types import Segmentation
from tests.contracts import toy


class Dropping(toy.ToySegmenter):
    """The toy network with BatchNorm and dropout before its classifier."""

    def __init__(self, classes=toy.CLASSES, rate=0.4):
        super().__init__(classes)
        self.norm, self.dropout = nn.BatchNorm2d(4), nn.Dropout(rate)

    def maps(self, image, features):
        _, found = super().maps(image, ["colour"])
        colour = self.dropout(self.norm(found["colour"]))
        return self.classifier(colour), dict.fromkeys(features, colour)


def segmentation(probabilities):
    """Turn `(K, H, W)` probabilities into a segmentation at image size."""
    logits = torch.from_numpy(np.log(probabilities))[None].float()
    return Segmentation(logits, logits.shape[-2:], logits.shape[-2:])


def distributions(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(4), (count, 5, 6)).transpose(0, 3, 1, 2)


def closed_form(p, measure):
    """Of `(T, K, H, W)` probabilities, by SciPy and NumPy in double precision."""
    of_mean = stats.entropy(p.mean(0), axis=0)
    return {
        "entropy": of_mean,
        "mutual_information": of_mean - stats.entropy(p, axis=1).mean(0),
        "variance": p.var(0).sum(0),
    }[measure]


@pytest.mark.parametrize("measure", ["entropy", "mutual_information", "variance"])
@pytest.mark.parametrize("count", [2, 7])
def test_measures_have_their_closed_form(measure, count):
    p = distributions(count)
    found = Disagreement.of(segmentation(one) for one in p).as_segmentation((5, 6))
    np.testing.assert_allclose(found.logits.exp()[0].numpy(), p.mean(0), rtol=1e-5)
    np.testing.assert_allclose(measured(found, measure)[0], closed_form(p, measure), atol=1e-5)


def test_two_sure_passes_that_contradict_share_one_bit_and_two_that_agree_none():
    sure = np.array([[[1 - 1e-7]], [[1e-7]]])
    other = sure[::-1].copy()
    for second, expected in ((other, np.log(2)), (sure, 0.0)):
        pair = (segmentation(sure), segmentation(second))
        found = Disagreement.of(pair).as_segmentation((1, 1))
        assert measured(found, "mutual_information").item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("at", ["network", "classifier"])
@pytest.mark.parametrize("measure", ["entropy", "mutual_information", "variance"])
def test_its_score_is_that_of_its_passes(at, measure):
    """The same draws, taken by hand with the classifier that the network ends in."""
    network = Dropping().eval()
    options = {"passes": 5, "at": at, "rate": 0.4, "score_by": measure}
    model = Model(network, roadanomaly.detector("mc_dropout", **options))
    image = toy.inliers(1, 0).image
    torch.manual_seed(3)
    score, _ = model.score(image)
    torch.manual_seed(3)
    with torch.inference_mode():
        mean = nn.functional.avg_pool2d(image, 2)
        colour = network.norm(torch.cat([mean, mean.mean(1, keepdim=True)], 1))
        passes = [network.classifier(nn.functional.dropout(colour, 0.4)) for _ in range(5)]
        grown = [nn.functional.interpolate(one, scale_factor=2, mode="bilinear") for one in passes]
    p = torch.stack(grown).double().softmax(2)[:, 0].numpy()
    np.testing.assert_allclose(score[0].numpy(), closed_form(p, measure), atol=1e-5)


def test_the_seed_decides_and_other_seeds_differ():
    model = Model(Dropping(), roadanomaly.detector("mc_dropout", passes=3))
    image = toy.inliers(2, 0).image
    scores = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        scores.append(model.score(image)[0])
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_left_exactly_as_it_was(fails, monkeypatch):
    """Modes, BatchNorm's statistics and weights, also where a pass fails."""
    network = Dropping()
    model = Model(network, roadanomaly.detector("mc_dropout", passes=3))
    network.dropout.eval()
    state = copy.deepcopy(network.state_dict())
    modes = {name: one.training for name, one in network.named_modules()}
    inside = []

    def watched(module, entering, out):
        inside.append((network.dropout.training, network.norm.training))
        if fails:
            msg = "a pass fails"
            raise RuntimeError(msg)

    handle = network.classifier.register_forward_hook(watched)
    if fails:
        with pytest.raises(RuntimeError, match="a pass fails"):
            model.score(toy.inliers(1, 0).image)
    else:
        model.score(toy.inliers(1, 0).image)
    handle.remove()
    assert set(inside) == {(True, False)}
    assert modes == {name: one.training for name, one in network.named_modules()}
    assert all(torch.equal(state[name], one) for name, one in network.state_dict().items())


def test_a_segmenter_learns_under_it_with_the_added_dropout():
    detector = roadanomaly.detector("mc_dropout", at="classifier")
    model = Model(toy.ToySegmenter(), detector)
    detector.train()
    image = toy.inliers(1, 0).image
    one, other = (detector.look(model.segmenter, image).logits for _ in range(2))
    assert one.requires_grad
    assert not torch.equal(one, other)


def test_a_network_without_dropout_is_refused_with_a_way_out():
    for network in (toy.ToySegmenter(), Dropping(rate=0.0)):
        with pytest.raises(KindError, match=r"no dropout layer .*at: classifier"):
            Model(network, roadanomaly.detector("mc_dropout"))


def test_dropout_is_added_only_where_the_last_layer_can_be_asked_alone():
    network = roadanomaly.segmenter("espnetv2", scale=0.5)
    network.classified = ""
    network.classify = super(type(network), network).classify
    with pytest.raises(FeatureError, match="no classifier that can be asked alone"):
        Model(network, roadanomaly.detector("mc_dropout", at="classifier"))


@pytest.mark.parametrize(
    ("option", "value"),
    [("passes", 1), ("rate", 0.0), ("rate", 1.0), ("at", "x"), ("score_by", "")],
)
def test_options_that_mean_nothing_are_refused(option, value):
    with pytest.raises(OptionError, match=option):
        roadanomaly.detector("mc_dropout", **{option: value})
