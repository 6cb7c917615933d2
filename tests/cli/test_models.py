"""Which detectors a network gets when none are named, and what runs are called in a table."""

import numpy as np
import pytest
import torch

import roadanomaly
from roadanomaly.cli.models import gather, suited
from roadanomaly.evaluation.sources import NetworkScores
from roadanomaly.model import Model
from roadanomaly.segmenters import SEGMENTERS
from roadanomaly.types import Frame
from tests.contracts.toy import ToyMasks, ToySegmenter


def test_a_network_with_logits_gets_the_scores_of_logits():
    assert suited(ToySegmenter()) == ["msp", "max_logit", "entropy", "energy"]


def test_a_mask_network_gets_those_of_masks_and_probabilities():
    assert suited(ToyMasks()) == ["msp", "entropy", "rba", "eam", "mask2anomaly"]


@pytest.fixture
def runs(tmp_path):
    torch.manual_seed(0)
    segmenter = roadanomaly.segmenter("espnetv2", scale=0.5, classes=("road", "sky", "car"))
    names = {"a_0": "energy", "a_1": "energy", "a_2": "energy", "other": "entropy"}
    for run, name in names.items():
        Model(segmenter, roadanomaly.detector(name)).save(tmp_path / run / "model")
    return {run: str(tmp_path / run) for run in names}


@pytest.mark.slow
def test_runs_of_one_detector_carry_their_folders_names(runs):
    (group,) = gather(list(runs.values()), None, ["msp", "energy"], torch.device("cpu"))
    expected = ["energy (a_0)", "energy (a_1)", "energy (a_2)", "entropy", "msp"]
    assert list(group.heads) == expected
    assert list(group.calibrations) == expected[:4]
    assert len({id(one) for one in group.heads.values()}) == 5


@pytest.mark.slow
def test_beside_another_network_each_detector_carries_its_own_folders_name(runs, tmp_path):
    torch.manual_seed(1)
    other = roadanomaly.segmenter("espnetv2", scale=0.5, classes=("road", "sky", "car"))
    Model(other, roadanomaly.detector("energy")).save(tmp_path / "b" / "model")
    first, second = gather(
        [runs["a_0"], runs["other"], str(tmp_path / "b")], None, [], torch.device("cpu")
    )
    assert list(first.heads) == ["energy (a_0)", "entropy (other)"]
    assert list(second.heads) == ["energy (b)"]


@pytest.mark.slow
def test_equal_folders_names_under_two_networks_stay_apart(runs, tmp_path):
    torch.manual_seed(1)
    other = roadanomaly.segmenter("espnetv2", scale=0.5, classes=("road", "sky", "car"))
    again = [tmp_path / "again" / name for name in ("a_0", "other")]
    for place, name in zip(again, ("energy", "entropy"), strict=True):
        Model(other, roadanomaly.detector(name)).save(place / "model")
    named = [runs["a_0"], runs["other"], *map(str, again)]
    groups = gather(named, None, [], torch.device("cpu"))
    names = [name for group in groups for name in group.heads]
    assert names[:3] == ["energy (a_0)", "entropy (other)", "energy (a_0 2)"]
    assert len(set(names)) == 4


def test_a_run_alone_needs_no_label(runs):
    (group,) = gather([runs["a_1"]], None, [], torch.device("cpu"))
    assert list(group.heads) == ["energy"]


@pytest.fixture
def windowed(monkeypatch, tmp_path):
    """Return runs of one network's weights: seen whole, in windows, and in other windows."""
    monkeypatch.setitem(roadanomaly.SEGMENTERS.entries, "toy", "tests.contracts.toy:ToySegmenter")
    specs = {"a": (32, 32), "b": (32, 64), "c": (32, 64)}
    for name, window in specs.items():
        spec = {"name": "sliding", "segmenter": {"name": "toy"}, "window": window}
        model = Model(SEGMENTERS.from_spec(spec), roadanomaly.detector("max_logit"))
        model.save(tmp_path / name)
    return [str(tmp_path / name) for name in specs]


def test_networks_of_equal_weights_and_other_options_are_not_one(windowed):
    groups = gather(windowed, None, [], torch.device("cpu"))
    assert [list(one.heads) for one in groups] == [
        ["max_logit (a)"],
        ["max_logit (b)", "max_logit (c)"],
    ]
    frame = Frame("0", torch.randint(256, (3, 48, 96), dtype=torch.uint8))
    scores = {}
    for group in groups:
        for name, found in NetworkScores(group.segmenter, group.heads).score(frame).scores.items():
            scores[name[11]] = found
    for run in windowed:
        assert np.array_equal(scores[run[-1]], roadanomaly.load(run)(frame.image).score)
    assert not np.array_equal(scores["a"], scores["b"])


def test_a_network_that_is_described_joins_the_run_that_was_saved_of_it(windowed):
    spec = {"name": "sliding", "segmenter": {"name": "toy"}, "window": (32, 32)}
    assert len(gather(windowed[:1], spec, ["msp"], torch.device("cpu"))) == 1
    assert len(gather(windowed[:1], {"name": "toy"}, ["msp"], torch.device("cpu"))) == 2
