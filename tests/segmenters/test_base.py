"""What the base class of all segmenters does with answers."""

from __future__ import annotations

import pytest
import torch

from roadanomaly.errors import FeatureError
from roadanomaly.segmenters import Segmenter
from tests.contracts import toy


class FiveOutputs(toy.ToySegmenter):
    """Two more outputs than classes."""

    def maps(self, image, features):
        logits, found = super().maps(image, features)
        return torch.cat([logits, 100 + logits[:, :2]], 1), found


def test_logits_beyond_the_classes_stand_apart():
    image = torch.rand(2, 3, 20, 28, generator=torch.Generator().manual_seed(0))
    plain, more = toy.ToySegmenter()(image), FiveOutputs()(image)
    assert plain.extra is None
    assert torch.equal(more.logits, plain.logits)
    assert torch.equal(more.extra, 100 + plain.logits[:, :2])
    assert torch.equal(more.classes(), plain.classes())
    label = torch.zeros(2, 20, 28, dtype=torch.uint8)
    losses = [
        one.loss(one(image), label)["cross_entropy"] for one in (toy.ToySegmenter(), FiveOutputs())
    ]
    assert losses[0] == losses[1]


def test_a_network_that_names_no_map_refuses_to_classify():
    class Bare(toy.ToySegmenter):
        classified = None
        classify = Segmenter.classify

    with pytest.raises(FeatureError, match=r"`Bare` has no classifier .* one map"):
        Bare().classify(torch.zeros(1, 4, 2, 2))
    with pytest.raises(FeatureError, match="it answers masks"):
        toy.ToyMasks().classify(torch.zeros(1, 4, 2, 2))
