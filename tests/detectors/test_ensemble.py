"""Ensembles: means of members, equal classes, and weights that travel with the model."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from scipy import stats

import roadanomaly
from roadanomaly.errors import ClassesError, DataError, OptionError
from roadanomaly.model import Model
from tests.contracts import toy

ROAD = {"detector": {"name": "jsrnet"}}
ENERGY = {"detector": {"name": "energy"}}


@pytest.fixture(autouse=True)
def known_toy(monkeypatch):
    monkeypatch.setitem(roadanomaly.SEGMENTERS.entries, "toy", "tests.contracts.toy:ToySegmenter")


def network(seed):
    """A toy network of its own weights."""
    found = toy.ToySegmenter()
    with torch.no_grad():
        for one in found.parameters():
            one += torch.randn(one.shape, generator=torch.Generator().manual_seed(seed))
    return found


def runs(folder, detector="energy", count=3):
    """Save models of other seeds; return them and what names them."""
    models = [Model(network(seed), roadanomaly.detector(detector)) for seed in range(count)]
    for number, one in enumerate(models):
        one.save(folder / str(number))
    return models, [{"run": str(folder / str(number))} for number in range(count)]


def image():
    return toy.planted(toy.inliers(2, 0), 0.3).image


def test_its_scores_are_those_of_the_mean_distribution(tmp_path):
    models, named = runs(tmp_path)
    with torch.inference_mode():
        logits = [one.segmenter(image()).image_logits().double() for one in models]
    p = torch.stack(logits).softmax(2).numpy()
    of_mean = stats.entropy(p.mean(0), axis=1)
    expected = {
        "entropy": of_mean,
        "mutual_information": of_mean - stats.entropy(p, axis=2).mean(0),
        "variance": p.var(0).sum(1),
    }
    for measure, wanted in expected.items():
        detector = roadanomaly.detector("ensemble", members=named, score_by=measure)
        score, found = Model(models[0].segmenter, detector).score(image())
        np.testing.assert_allclose(score, wanted, atol=1e-5)
        np.testing.assert_allclose(found.logits.exp(), p.mean(0), atol=1e-6)


@pytest.mark.parametrize("scorer", [None, {"name": "max_logit"}])
def test_scores_are_the_mean_of_the_members(scorer, tmp_path):
    """Of their own detectors, or of the one that is given."""
    models, named = runs(tmp_path)
    options = {"members": named, "score_by": "scores", "detector": scorer}
    score, _ = Model(models[0].segmenter, roadanomaly.detector("ensemble", **options)).score(
        image()
    )
    each = [
        Model(one.segmenter, roadanomaly.detector("max_logit")) if scorer else one for one in models
    ]
    expected = np.mean([one.score(image())[0].numpy() for one in each], 0)
    np.testing.assert_allclose(score, expected, rtol=1e-5, atol=1e-5)


def test_identical_members_equal_one():
    segmenter = network(0)
    for measure, wanted in (("entropy", "entropy"), ("mutual_information", None)):
        detector = roadanomaly.detector("ensemble", members=[{}, {}, {}], score_by=measure)
        score, _ = Model(segmenter, detector).score(image())
        alone = torch.zeros_like(score)
        if wanted:
            alone, _ = Model(segmenter, roadanomaly.detector(wanted)).score(image())
        torch.testing.assert_close(score, alone, rtol=1e-4, atol=1e-5)
    options = {"members": [{}, {}], "score_by": "scores", "detector": {"name": "energy"}}
    score, _ = Model(segmenter, roadanomaly.detector("ensemble", **options)).score(image())
    alone, _ = Model(segmenter, roadanomaly.detector("energy")).score(image())
    torch.testing.assert_close(score, alone)


def test_its_weights_travel_with_it_and_the_runs_are_not_needed(tmp_path):
    """Also the members' own prepared detectors, and what they learned from."""
    models, named = [], []
    for seed in (0, 1):
        segmenter = network(seed)
        trained = toy.prepared("densehybrid", segmenter)
        trained.trained_on = "negatives"
        model = Model(segmenter, roadanomaly.detector("densehybrid", features=["colour"]))
        model.detector.load_state_dict(trained.state_dict())
        model.detector.trained_on = "negatives"
        model.save(tmp_path / f"run{seed}")
        models.append(model)
        named.append({"run": str(tmp_path / f"run{seed}")})
    detector = roadanomaly.detector("ensemble", members=named, score_by="scores")
    ensemble = Model(models[0].segmenter, detector)
    expected, _ = ensemble.score(image())
    ensemble.save(tmp_path / "ensemble")
    for one in named:
        shutil.rmtree(one["run"])
    shutil.move(tmp_path / "ensemble", tmp_path / "moved")
    again = roadanomaly.load(tmp_path / "moved")
    assert torch.equal(again.score(image())[0], expected)
    assert again.detector.learned_from == "negatives"
    each = [one.score(image())[0].numpy() for one in models]
    np.testing.assert_allclose(expected, np.mean(each, 0), rtol=1e-5, atol=1e-5)


def test_members_that_are_described_are_built(tmp_path):
    told = {"segmenter": {"name": "espnetv2", "scale": 0.5, "classes": list(toy.CLASSES)}}
    detector = roadanomaly.detector("ensemble", members=[{}, told])
    model = Model(network(0), detector)
    expected, _ = model.score(image())
    model.save(tmp_path / "model")
    assert torch.equal(roadanomaly.load(tmp_path / "model").score(image())[0], expected)


def test_other_classes_are_refused():
    told = {"segmenter": {"name": "espnetv2", "scale": 0.5}}
    detector = roadanomaly.detector("ensemble", members=[{}, told])
    with pytest.raises(ClassesError, match="member 2 has 19 classes and the model 3"):
        Model(network(0), detector)


def test_the_first_member_is_the_models_own_network(tmp_path):
    _, named = runs(tmp_path, count=2)
    with pytest.raises(DataError, match="first member"):
        Model(network(5), roadanomaly.detector("ensemble", members=named))


@pytest.mark.parametrize(
    ("members", "options", "region"),
    [
        ([ROAD, ROAD], {"score_by": "scores"}, "road"),
        ([ROAD, ENERGY], {"score_by": "scores"}, "image"),
        ([{}, {}], {"score_by": "scores", "detector": ROAD["detector"]}, "road"),
        ([ROAD, ROAD], {"score_by": "scores", "detector": ENERGY["detector"]}, "image"),
        ([ROAD, ROAD], {"score_by": "entropy"}, "image"),
    ],
)
def test_it_judges_the_road_alone_where_all_scores_do(members, options, region):
    assert roadanomaly.detector("ensemble", members=members, **options).region == region


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"members": []}, "names none"),
        ({"members": [{"folder": "a"}]}, "a member is"),
        ({"members": [{}], "score_by": "mean"}, "score_by"),
        ({"members": [{}], "score_by": "scores"}, "what scores a member"),
        ({"members": [{}], "detector": {"name": "msp"}}, "score_by: scores"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, word):
    with pytest.raises(OptionError, match=word):
        roadanomaly.detector("ensemble", **options)


def test_a_member_of_a_saved_ensemble_names_no_program(tmp_path):
    """Loading runs no config file of a member, as none of the model's own network."""
    model = Model(network(0), roadanomaly.detector("ensemble", members=[{}]))
    path = model.save(tmp_path / "model") / "model.json"
    told = json.loads(path.read_text())
    told["detector"]["members"].append({"segmenter": {"name": "mmseg", "config": "evil.py"}})
    path.write_text(json.dumps(told))
    with pytest.raises(DataError, match="config"):
        roadanomaly.load(tmp_path / "model")
