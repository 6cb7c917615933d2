"""Which detectors a network gets when none are named."""

from roadanomaly.cli.models import suited
from tests.contracts.toy import ToyMasks, ToySegmenter


def test_a_network_with_logits_gets_the_scores_of_logits():
    assert suited(ToySegmenter()) == ["msp", "max_logit", "entropy", "energy"]


def test_a_mask_network_gets_those_of_masks_and_probabilities():
    assert suited(ToyMasks()) == ["msp", "entropy", "rba", "eam", "mask2anomaly"]
