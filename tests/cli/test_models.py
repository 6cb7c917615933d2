"""Which detectors a network gets when none are named, and what runs are called in a table."""

import pytest
import torch

import roadanomaly
from roadanomaly.cli.models import gather, suited
from roadanomaly.model import Model
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


def test_a_run_alone_needs_no_label(runs):
    (group,) = gather([runs["a_1"]], None, [], torch.device("cpu"))
    assert list(group.heads) == ["energy"]
