"""The flow of scales: invertible, its log-determinant the Jacobian's, every parameter reached."""

from __future__ import annotations

import pytest
import torch

from roadanomaly.errors import OptionError
from roadanomaly.flows.scale_flow import ScaleFlow
from roadanomaly.flows.vector_flow import VectorFlow


def awake(flow):
    """Leave the identity that the couplings start as."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return flow.double().eval()


def flat(maps):
    return torch.cat([one.flatten() for one in maps])


@pytest.fixture(scope="module")
def case():
    torch.manual_seed(0)
    flow = awake(ScaleFlow(3, steps=1, hidden=4, scales=2))
    return flow, [torch.randn(1, 3, 3, 4).double(), torch.randn(1, 3, 2, 2).double()]


def test_the_log_determinant_is_that_of_the_jacobian(case):
    flow, maps = case
    shapes, sizes = [one.shape for one in maps], [one.numel() for one in maps]

    def encode(x):
        parts = [part.view(shape) for part, shape in zip(x.split(sizes), shapes, strict=True)]
        return flat(flow.encode(parts)[0])

    matrix = torch.autograd.functional.jacobian(encode, flat(maps))
    expected = torch.linalg.slogdet(matrix)[1]
    torch.testing.assert_close(flow.encode(maps)[1][0], expected, rtol=1e-8, atol=1e-8)


def test_it_is_undone(case):
    flow, maps = case
    for one, other in zip(flow.inverse(flow.encode(maps)[0]), maps, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


def test_each_scale_hears_its_neighbours(case):
    flow, maps = case
    changed = [maps[0], maps[1] + 1]
    fine, coarse = (flow.encode(some)[0][0] for some in (maps, changed))
    assert not torch.allclose(fine, coarse)


def test_its_density_is_the_latents_and_the_volume_and_every_parameter_learns():
    torch.manual_seed(0)
    flow = ScaleFlow(4, steps=1, hidden=4)
    x = torch.randn(2, 4, 9, 6)
    latents, log_det = flow.transform(x)
    normal = torch.distributions.Normal(0, 1)
    density = sum(normal.log_prob(one).flatten(1).sum(1) for one in latents)
    torch.testing.assert_close(flow.log_prob(x), density + log_det)
    assert flow.cost(x).shape == (2, 9, 6)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    flow.log_prob(x).sum().backward()
    assert all(one.grad is not None and one.grad.any() for one in flow.parameters())


def test_a_conditional_density_of_vectors_is_one_for_each_condition():
    torch.manual_seed(0)
    flow = VectorFlow(3, couplings=2, hidden=8, context=2)
    x, given = torch.randn(5, 3), torch.randn(5, 2)
    latents, log_det = flow.transform(x, given)
    matrix = torch.autograd.functional.jacobian(lambda v: flow.transform(v, given[0])[0], x[0])
    expected = torch.linalg.slogdet(matrix)[1]
    torch.testing.assert_close(log_det[0], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(flow.inverse(latents, given), x, rtol=1e-4, atol=1e-5)
    normal = torch.distributions.Normal(0, 1).log_prob(latents).sum(-1)
    torch.testing.assert_close(flow.log_prob(x, given), normal + log_det)
    assert not torch.allclose(flow.log_prob(x, given), flow.log_prob(x, given + 1))


def test_a_flow_of_nothing_is_refused():
    with pytest.raises(OptionError, match="2 channels"):
        ScaleFlow(1)
