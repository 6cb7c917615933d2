"""DenseFlow: its size, its noise, its bound, and the parts of its networks."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd.functional import jacobian

from roadanomaly.errors import OptionError
from roadanomaly.flows import DenseFlow
from roadanomaly.flows.coupling import Coupling
from roadanomaly.flows.cross_unit import CrossUnit
from roadanomaly.flows.dense_network import DenseNetwork, pseudo_inverse
from roadanomaly.flows.layer import normal_log_density
from tests.flows import small


@pytest.mark.slow
def test_denseflow_25_6_has_its_size():
    """25 couplings and 35.7 million parameters, its dequantiser aside."""
    flow = DenseFlow(dequantise="uniform")
    assert sum(isinstance(one, Coupling) for one in flow.modules()) == 25
    assert round(sum(p.numel() for p in flow.parameters()) / 1e6, 1) == 35.7
    assert flow.stride == 8
    assert flow.latent_shapes(64, 64) == [(48, 16, 16), (108, 8, 8), (108, 8, 8)]


@pytest.mark.slow
def test_with_its_noise_it_is_a_bijection_with_the_determinant_of_the_jacobian():
    """From image and noise to latents; what is left of log_det is the noise's own density."""
    flow = small.build("denseflow", torch.float64)
    x = small.images(flow, 1, (1, 1))
    noise = flow.draw_noise(x)
    flat = torch.cat([x.flatten(), *(one.flatten() for ones in noise for one in ones)])

    def joint(v):
        taken, parts = x.numel(), []
        for ones in noise:
            row = []
            for one in ones:
                row.append(v[taken : taken + one.numel()].view(one.shape))
                taken += one.numel()
            parts.append(row)
        latents, _ = flow.encode_levels(v[: x.numel()].view(x.shape), parts)
        return torch.cat([part.flatten() for part in latents])

    matrix = jacobian(joint, flat)
    assert matrix.shape == (len(flat), len(flat))
    log_det = sum(flow.encode_levels(x, noise)[1])
    own = sum(normal_log_density(one) for ones in noise for one in ones)
    expected = torch.linalg.slogdet(matrix)[1]
    assert (log_det + own).item() == pytest.approx(expected.item())


def log_mean_exp(values):
    return (values.logsumexp(0) - math.log(len(values))).item()


@pytest.mark.slow
def test_the_bound_averages_to_the_density_that_other_noise_finds_too():
    """exp(log_prob) over draws of noise has the mean p(x): the joint density without its noise.

    That integral is taken again with noise of another deviation, weighed by its own density.
    """
    flow = small.build("denseflow", torch.float64, spread=0.05)
    x = small.images(flow, 1, (1, 1)).expand(20_000, -1, -1, -1)
    other = torch.distributions.Normal(0, 1.2)
    noise = [[other.sample(one.shape).to(x) for one in ones] for ones in flow.draw_noise(x)]
    with torch.no_grad():
        draws = flow.log_prob(x)
        latents, parts = flow.encode_levels(x, noise)
    drawn = torch.cat([one.flatten(1) for ones in noise for one in ones], 1)
    usual = torch.distributions.Normal(0, 1)
    joint = usual.log_prob(torch.cat([one.flatten(1) for one in latents], 1)).sum(1)
    joint += sum(parts) + usual.log_prob(drawn).sum(1)
    expected = log_mean_exp(joint - other.log_prob(drawn).sum(1))
    assert log_mean_exp(draws) == pytest.approx(expected, abs=0.05)
    assert draws.mean().item() < expected - 0.05


def test_cross_unit_coupling_shapes_its_noise():
    link = CrossUnit(3, 2).double()
    with torch.no_grad():
        for parameter in link.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    seen = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    noise = torch.randn(2, 2, 4, 4, dtype=torch.float64)
    x = torch.rand(2, 5, 4, 4, dtype=torch.float64)
    wide, gain = link(x, seen, noise)
    assert torch.equal(wide[:, :5], x)
    matrix = jacobian(lambda v: link(x[:1], seen[:1], v)[0][:, 5:].flatten(), noise[:1])
    log_det = torch.linalg.slogdet(matrix.reshape(32, 32))[1]
    expected = log_det - torch.distributions.Normal(0, 1).log_prob(noise[0]).sum()
    assert gain[0].item() == pytest.approx(expected.item())


def test_the_pseudo_inverse_inverts():
    matrix = (3 * torch.randn(5, 4, 4, dtype=torch.float64)).softmax(-1)
    matrix = 0.5 * matrix + 0.5 * torch.eye(4)
    found = pseudo_inverse(matrix, rounds=12)
    torch.testing.assert_close(found, torch.linalg.inv(matrix), rtol=1e-4, atol=1e-4)


def test_its_network_sees_one_image_at_a_time_and_starts_at_0():
    network = DenseNetwork(4, 6, width=8, depth=2, growth=4)
    x = torch.rand(3, 4, 6, 10)
    assert not network(x).any()
    with torch.no_grad():
        network.leave.weight.normal_()
        together = network(x)
        alone = torch.cat([network(one[None]) for one in x])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize(
    "options",
    [{"units": (2,)}, {"units": (), "modules": ()}, {"growth": 0}, {"modules": (1, 0, 1)}],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(OptionError, match="`units` and `modules` are lists of one length"):
        DenseFlow(**options)
