"""The flow of feature maps: invertible, a density, and a cost that belongs to a place."""

from __future__ import annotations

import pytest
import torch
from torch.autograd.functional import jacobian

from roadanomaly.errors import OptionError
from roadanomaly.flows.map_flow import MapFlow


@pytest.fixture
def flow():
    torch.manual_seed(1)
    made = MapFlow(3, steps=4, hidden=6).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return made


def test_log_prob_is_that_of_the_latents_and_the_jacobian(flow):
    x = torch.randn(1, 3, 4, 5)
    latents, log_det = flow.transform(x)
    matrix = jacobian(lambda flat: flow.transform(flat.view_as(x))[0].flatten(), x.flatten())
    expected = torch.linalg.slogdet(matrix.double())[1]
    assert log_det.item() == pytest.approx(expected.item(), abs=1e-3)
    normal = torch.distributions.Normal(0, 1).log_prob(latents).sum()
    assert flow.log_prob(x).item() == pytest.approx((normal + log_det).item(), rel=1e-5)
    torch.testing.assert_close(flow.inverse(latents), x, rtol=0, atol=1e-5)


def test_cost_is_the_latents_of_a_place(flow):
    x = torch.randn(2, 3, 6, 7)
    cost = flow.cost(x)
    assert cost.shape == (2, 6, 7)
    normal = torch.distributions.Normal(0, 1).log_prob(flow.transform(x)[0])
    torch.testing.assert_close(cost, -normal.sum(1))


@pytest.mark.parametrize("sizes", [{"channels": 1}, {"channels": 4, "steps": 0}])
def test_too_small(sizes):
    with pytest.raises(OptionError, match="2 channels and 1 step"):
        MapFlow(**sizes)
