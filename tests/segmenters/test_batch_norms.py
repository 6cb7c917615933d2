"""Every BatchNorm layer is seen and moved, also where a network folds it into a convolution."""

from __future__ import annotations

import copy

import pytest
import torch

from roadanomaly.segmenters.batch_norms import divergence, kept, mixing, norms_of
from tests.contracts.tiny import network

AUXILIARY = "logits_aux"
"""In the names of heads that answer in training alone."""


def images(count=2):
    return torch.rand(count, 3, 32, 48, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["deeplab_wrn38", "espnetv2", "ladder_densenet"])
def test_every_layer_is_reached(name):
    net = network(name)
    names = {module: key for key, module in net.named_modules()}
    norms = [one for one in norms_of(net) if AUXILIARY not in names[one]]
    before = [norm.running_mean.clone() for norm in norms]
    with torch.no_grad(), kept(norms):
        with mixing(norms, torch.tensor(0.5)):
            net(images())
        still = [
            names[norm]
            for norm, mean in zip(norms, before, strict=True)
            if torch.equal(norm.running_mean, mean)
        ]
    assert not still


def test_a_whole_share_in_a_network_that_folds_is_its_training_answer():
    net = network("espnetv2")
    image, norms = images(), norms_of(net)
    with torch.no_grad():
        plain, trained = net(image).logits, copy.deepcopy(net).train()(image).logits
        with kept(norms), mixing(norms, torch.tensor(1.0)):
            found = net(image).logits
        torch.testing.assert_close(found, trained, rtol=1e-3, atol=1e-3)
        assert torch.equal(net(image).logits, plain)


def test_the_divergence_of_a_network_that_folds_is_that_of_each_layer():
    net = network("espnetv2")
    norms = norms_of(net)
    with torch.no_grad():
        alone = [float(divergence([norm], lambda: net(images()))) for norm in norms[::20]]
        together = float(divergence(norms[::20], lambda: net(images())))
    assert all(one > 0 for one in alone)
    assert together == pytest.approx(sum(alone), rel=1e-4)
