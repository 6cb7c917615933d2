"""Whether a normalisation was started is a plain value that follows all that can happen to it."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from roadanomaly.flows.actnorm import ActNorm
from tests.contracts import toy
from tests.cuda import pretended


def started() -> ActNorm:
    layer = ActNorm(3).train()
    layer(5 + 3 * torch.randn(4, 3, 4, 4))
    return layer


def copied_in_place(layer: ActNorm) -> ActNorm:
    """Do what processes do that get another one's state: write into the tensors of their own."""
    other = ActNorm(3).train()
    for own, sent in zip(other.state_dict().values(), layer.state_dict().values(), strict=True):
        own.copy_(sent)
    return other


def loaded(layer: ActNorm) -> ActNorm:
    other = ActNorm(3).train()
    other.load_state_dict(layer.state_dict())
    return other


WAYS = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)),
    "load": loaded,
    "in place": copied_in_place,
    "double": lambda layer: copy.deepcopy(layer).double().float(),
    "in place, then moved": lambda layer: copied_in_place(layer)._apply(torch.clone),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_started_layer_stays_started(way):
    layer = started()
    again = WAYS[way](layer)
    assert again.is_started()
    again(torch.randn(4, 3, 4, 4) - 7)
    for one, other in zip(layer.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("way", WAYS)
def test_a_fresh_layer_is_started_by_its_next_batch(way):
    again = WAYS[way](ActNorm(3).train())
    assert not again.is_started()
    y, _ = again(5 + 3 * torch.randn(4, 3, 4, 4))
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    assert again.is_started()
    assert again.started


def test_a_state_may_be_loaded_in_inference_mode():
    layer = started()
    with torch.inference_mode():
        for again in (loaded(layer), copied_in_place(layer)):
            assert again.is_started()
        assert not loaded(ActNorm(3)).is_started()


def test_loading_a_fresh_state_makes_a_started_layer_fresh():
    layer = started()
    layer.load_state_dict(ActNorm(3).state_dict())
    assert not layer.is_started()
    layer(torch.randn(4, 3, 4, 4))
    assert layer.is_started()


@pretended.tried
def test_a_device_is_never_waited_for_by_a_pass():
    fresh, again = ActNorm(3).train(), started()
    image = toy.inliers(2, 0).image
    with pretended.device():
        x = image.as_subclass(pretended.OnDevice)
        for layer in (pretended.on_device(fresh), pretended.on_device(again).eval()):
            for _ in range(2):
                y, log_det = layer(x)
                assert {y.device, log_det.device} == {pretended.DEVICE}
            assert layer.is_started()
