"""What makes a flow a flow: invertible, with the determinant that calculus gives, a density."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd.functional import jacobian
from torch.distributions import MultivariateNormal

from roadanomaly.flows.actnorm import ActNorm
from roadanomaly.flows.coupling import MASKS, Coupling, mask
from roadanomaly.flows.elementwise import Affine, LogisticMixture
from roadanomaly.flows.invertible1x1 import Invertible1x1
from roadanomaly.flows.layer import Chain
from roadanomaly.flows.networks import convolutions
from roadanomaly.flows.reshaping import Logit, Shift, Squeeze
from tests.flows import small

flows = pytest.mark.parametrize("name", small.SMALL)
without_noise = pytest.mark.parametrize("name", [n for n in small.SMALL if "dense" not in n])
"""DenseFlow adds noise; `test_denseflow.py` says what holds for it."""

PRECISIONS = ((torch.float32, 1e-5), (torch.float64, 1e-10))
precisions = pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)


def coupling(kind: str, channels: int, elementwise):
    place = mask(kind, channels, 1)
    read, moved = (part.stop - part.start for part in (place.read, place.moved))
    return Coupling(place, convolutions(read, elementwise.count * moved, 6), elementwise)


LAYERS = {
    "actnorm": lambda: ActNorm(4),
    "invertible1x1": lambda: Invertible1x1(4),
    "squeeze": Squeeze,
    "shift": Shift,
    "logit": Logit,
    "chain": lambda: Chain([ActNorm(4), Invertible1x1(4)], save_memory=True),
    **{f"affine_{kind}": lambda kind=kind: coupling(kind, 4, Affine()) for kind in MASKS},
    **{f"mixture_{kind}": lambda kind=kind: coupling(kind, 4, LogisticMixture()) for kind in MASKS},
    "odd_channels": lambda: coupling("channel", 3, Affine()),
}


@pytest.fixture
def layer(kind):
    made = LAYERS[kind]().double().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))
    return made


def data(kind: str, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3 if kind == "odd_channels" else 4, 2, 4, dtype=torch.float64)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_is_undone_by_its_inverse(layer, kind):
    x = data(kind)
    y, _ = layer(x)
    assert (layer.inverse(y) - x).abs().max() < 1e-10


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layers_log_determinant_is_that_of_its_jacobian(layer, kind):
    x = data(kind)
    _, log_det = layer(x)
    for index, one in enumerate(x):
        matrix = jacobian(lambda v: layer(v[None])[0].flatten(), one).flatten(1)
        assert log_det[index].item() == pytest.approx(torch.linalg.slogdet(matrix)[1].item())


@pytest.mark.parametrize("kind", LAYERS)
def test_the_gradient_of_the_inverse_is_the_inverse_of_the_gradient(layer, kind):
    x = data(kind, 1)
    y = layer(x)[0].detach()
    forth = jacobian(lambda v: layer(v)[0].flatten(), x).flatten(1)
    back = jacobian(lambda v: layer.inverse(v).flatten(), y).flatten(1)
    torch.testing.assert_close(back @ forth, torch.eye(len(back), dtype=torch.float64))


@pytest.mark.parametrize("elementwise", [Affine(), LogisticMixture(3)], ids=["affine", "mixture"])
def test_the_inverse_knows_how_it_depends_on_its_parameters(elementwise):
    """Against differences: what a network gets to learn from samples."""
    raw = torch.randn(1, elementwise.count, 1, 1, 1, dtype=torch.float64, requires_grad=True)
    y = torch.randn(1, 1, 1, 1, dtype=torch.float64)
    (found,) = torch.autograd.grad(elementwise.inverse(y, raw).sum(), raw)
    step = 1e-6
    for number in range(elementwise.count):
        moved = torch.zeros_like(raw)
        moved[:, number] = step
        with torch.no_grad():
            up, down = (elementwise.inverse(y, raw + sign * moved).sum() for sign in (1, -1))
        expected = (up - down) / (2 * step)
        assert found[0, number].item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-7)


def test_a_logistic_of_one_component_is_affine():
    """logit of a logistic's distribution function is (x - mean) / scale."""
    raw = torch.tensor([0.3, -0.2, 0.0, 0.7, 0.4], dtype=torch.float64).view(1, 5, 1, 1, 1)
    x = torch.linspace(-3, 3, 7, dtype=torch.float64).view(1, 1, 1, 7)
    y, _ = LogisticMixture(1)(x, raw)
    bounded = [2 * math.tanh(value / 2) for value in (0.3, 0.4)]
    expected = (x - 0.7) / math.exp(bounded[1]) * math.exp(bounded[0]) - 0.2
    torch.testing.assert_close(y, expected)


@flows
@precisions
def test_a_flow_is_undone_by_its_inverse(name, dtype, tolerance):
    flow = small.build(name, dtype, spread=0.1)
    x = small.images(flow)
    latents, log_det = flow.transform(x)
    assert log_det.shape == (2,)
    assert (flow.inverse(latents) - x).abs().max() < tolerance


@pytest.mark.slow
@pytest.mark.parametrize("name", ["denseflow", "glow", "glow_mixture", "realnvp"])
def test_it_still_is_after_training(name):
    torch.manual_seed(0)
    flow = small.SMALL[name]()
    data = small.textures(64, flow.channels, 4)
    course = small.train(flow, data, 60)
    assert course[-1] > course[0] + 0.2
    for dtype, tolerance in PRECISIONS:
        x, flow = data[:8].to(dtype), flow.to(dtype)
        assert (flow.inverse(flow.transform(x)[0]) - x).abs().max() < tolerance


@without_noise
def test_the_log_determinant_is_that_of_the_jacobian(name):
    flow = small.build(name, torch.float64)
    x = small.images(flow, cells=(1, 2))

    def flat(one):
        return torch.cat([part.flatten() for part in flow.transform(one[None])[0]])

    _, log_det = flow.transform(x)
    for index, one in enumerate(x):
        matrix = jacobian(flat, one).flatten(1)
        assert log_det[index].item() == pytest.approx(torch.linalg.slogdet(matrix)[1].item())


@without_noise
def test_log_prob_is_the_change_of_variables(name):
    flow = small.build(name, torch.float64)
    x = small.images(flow)
    latents, log_det = flow.transform(x)
    z = torch.cat([part.flatten(1) for part in latents], 1)
    normal = MultivariateNormal(z.new_zeros(z.shape[1]), torch.eye(z.shape[1]).double())
    torch.testing.assert_close(flow.log_prob(x), normal.log_prob(z) + log_det)


@pytest.mark.slow
def test_a_density_integrates_to_one_on_a_plane():
    """Two channels of one pixel; the chain has every layer that such a flow can have."""
    torch.manual_seed(2)
    kinds = [Affine(), LogisticMixture(3), Affine()]
    layers = []
    for elementwise in kinds:
        layers += [ActNorm(2), Invertible1x1(2), coupling("channel", 2, elementwise)]
    chain = Chain(layers).double().eval()
    with torch.no_grad():
        for parameter in chain.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    axis = torch.linspace(-16, 16, 801, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)[:, :, None, None]
    with torch.no_grad():
        z, log_det = chain(points)
    log_p = -0.5 * z.square().flatten(1).sum(1) - math.log(2 * math.pi) + log_det
    assert (log_p.exp().sum() * (axis[1] - axis[0]) ** 2).item() == pytest.approx(1, abs=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["glow", "realnvp"])
def test_the_density_of_a_whole_flow_integrates_to_one(name):
    """Four dimensions, by importance sampling from the box in which a narrow density lies."""
    flow = small.build(name, torch.float64, spread=0.1)
    with torch.no_grad():
        if name == "glow":  # Real NVP's logits hold all of it within 0.06 of 0..1
            flow.levels[0].layers[1].log_scale.add_(1.2)
        low, high = (-1.0, 2.0) if name == "glow" else (-0.055, 1.055)
        x = low + (high - low) * torch.rand(400_000, 1, 2, 2, dtype=torch.float64)
        values = flow.log_prob(x).exp() * (high - low) ** 4
    error = values.std() / len(values) ** 0.5
    assert error < 0.02
    assert values.mean().item() == pytest.approx(1, abs=max(0.01, 4 * error.item()))


@pytest.mark.slow
def test_a_known_gaussian_is_learned_and_sampled():
    """To 0.02 nats of its entropy; samples have its moments."""
    torch.manual_seed(0)
    mean = torch.tensor([0.4, 0.5, 0.6, 0.5])
    factor = 0.05 * torch.tensor(
        [[1.0, 0, 0, 0], [0.8, 0.6, 0, 0], [-0.5, 0.3, 0.7, 0], [0.2, -0.6, 0.3, 0.9]]
    )
    truth = MultivariateNormal(mean, scale_tril=factor)
    flow = small.SMALL["glow"]()
    optimiser = torch.optim.Adam(flow.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 600)
    for _ in range(600):
        loss = -flow.log_prob(truth.sample((256,)).view(-1, 1, 2, 2)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    flow.eval()
    points = truth.sample((20_000,))
    with torch.no_grad():
        found = flow.log_prob(points.view(-1, 1, 2, 2))
        drawn = flow.sample(20_000, 2, 2).flatten(1)
    divergence = (truth.log_prob(points) - found).mean()
    assert -0.005 < divergence < 0.02
    torch.testing.assert_close(drawn.mean(0), mean, rtol=0, atol=0.003)
    torch.testing.assert_close(drawn.T.cov(), factor @ factor.T, rtol=0, atol=2e-4)


@flows
def test_every_parameter_gets_a_gradient_from_density_and_from_samples(name):
    flow = small.build(name, spread=0.1)
    image = (255 * small.images(flow)).to(torch.uint8)
    flow.bits_per_dim(image).sum().backward()
    missing = [key for key, p in flow.named_parameters() if p.grad is None or not p.grad.any()]
    assert not missing
    flow.zero_grad()
    (flow.sample(2, *image.shape[2:]) * torch.randn(image.shape)).sum().backward()
    for key, parameter in flow.named_parameters():
        if "dequantiser" not in key and "links" not in key:  # samples drop the noise
            assert parameter.grad is not None, key
            assert parameter.grad.any(), key
