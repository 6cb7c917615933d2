"""What a user of a flow meets: units, sizes, precision, clamping, refusal, memory."""

from __future__ import annotations

import math

import pytest
import torch

from roadanomaly.errors import OptionError, UserError
from roadanomaly.flows import FLOWS, DenseFlow, Glow, RealNVP
from roadanomaly.flows.actnorm import ActNorm
from roadanomaly.flows.coupling import mask
from roadanomaly.flows.dequantise import UniformDequantiser, VariationalDequantiser
from tests.flows import small

flows = pytest.mark.parametrize("name", small.SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOWS)
def test_the_defaults_build_a_flow_of_colour_images(name):
    flow = FLOWS.build(name)
    assert flow.channels == 3
    x = torch.rand(1, 3, flow.stride, 2 * flow.stride)
    with torch.no_grad():
        latents, log_det = flow.transform(x)
    assert sum(one.numel() for one in latents) >= x.numel()
    assert log_det.shape == (1,)
    again = FLOWS.build(name, flow.options())
    assert again.options() == flow.options()


@flows
def test_samples_of_any_size_lie_in_0_to_1(name):
    flow = small.build(name)
    with torch.no_grad():
        for cells in ((1, 1), (3, 2)):
            size = [cell * flow.stride for cell in cells]
            drawn = flow.sample(3, *size)
            assert drawn.shape == (3, flow.channels, *size)
            assert drawn.min() >= 0
            assert drawn.max() <= 1
    assert not drawn.requires_grad
    assert flow.sample(1, flow.stride, flow.stride).requires_grad


def test_the_clamp_lets_gradients_pass():
    flow = small.build("glow", spread=0.0)
    drawn = flow.sample(64, 4, 4)
    outside = (drawn == 0) | (drawn == 1)
    assert outside.any()
    (drawn * outside).sum().backward()
    assert flow.levels[0].layers[1].shift.grad.abs().sum() > 0


def test_a_generator_decides_the_samples():
    flow = small.build("glow")
    with torch.no_grad():
        one, two, other = (
            flow.sample(2, 4, 4, generator=torch.Generator().manual_seed(seed))
            for seed in (1, 1, 2)
        )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_bits_per_dim_are_the_density_of_the_dequantised_image():
    image = torch.randint(0, 256, (4, 1, 4, 4), dtype=torch.uint8)
    uniform = Glow(1, levels=1, steps=1, hidden=4).eval()
    torch.manual_seed(1)
    found = uniform.bits_per_dim(image)
    torch.manual_seed(1)
    x = (image.float() + torch.rand(4, 1, 4, 4)) / 256
    expected = (8 * 16 * math.log(2) - uniform.log_prob(x)) / (16 * math.log(2))
    torch.testing.assert_close(found, expected)


@pytest.mark.slow
def test_the_probabilities_of_all_grey_levels_sum_to_one():
    """Summed over all images of one channel and one varying pixel: bits are of a distribution.

    The bound holds for each image, so the sum of `2^-bits` stays below 1 and near it.
    """
    torch.manual_seed(0)
    flow = Glow(1, levels=1, steps=1, hidden=4).eval()
    with torch.no_grad():
        flow.levels[0].layers[1].log_scale.fill_(math.log(4.0))
    pairs = torch.cartesian_prod(*[torch.arange(0, 256, 16)] * 4).to(torch.uint8).view(-1, 1, 2, 2)
    with torch.no_grad():
        mass = torch.zeros(len(pairs))
        for _ in range(8):
            noise = torch.randint(0, 16, pairs.shape, dtype=torch.uint8)
            mass += (-4 * math.log(2) * flow.bits_per_dim(pairs + noise)).exp() / 8
    inside = 0.5 * (1 + math.erf(2 / math.sqrt(2))) - 0.5 * (1 + math.erf(-2 / math.sqrt(2)))
    assert (mass.sum() * 16**4).item() == pytest.approx(inside**4, rel=0.03)


def test_variational_noise_has_the_density_that_it_says(monkeypatch):
    """`ln q(noise) = ln N(z) - ln |det dnoise/dz|`, with autograd's Jacobian."""
    dequantiser = VariationalDequantiser(1, hidden=8).double().eval()
    with torch.no_grad():
        for parameter in dequantiser.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    image = torch.randint(0, 256, (1, 1, 2, 4)).double()

    def noise(z):
        monkeypatch.setattr(torch, "randn_like", lambda _: z)
        return dequantiser(image)

    z = torch.randn(1, 4, 1, 2).double()
    drawn, log_q = noise(z)
    assert drawn.min() > 0
    assert drawn.max() < 1
    matrix = torch.autograd.functional.jacobian(lambda v: noise(v)[0], z).reshape(8, 8)
    expected = torch.distributions.Normal(0, 1).log_prob(z).sum() - torch.linalg.slogdet(matrix)[1]
    assert log_q.item() == pytest.approx(expected.item())
    _, zeros = UniformDequantiser()(image)
    assert zeros.tolist() == [0]


def test_the_first_batch_in_training_mode_starts_the_normalisation():
    layer = ActNorm(3)
    x = 5 + 3 * torch.randn(8, 3, 6, 6)
    assert torch.equal(layer.eval()(x)[0], x)
    y, _ = layer.train()(x)
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(y.std((0, 2, 3), correction=0), torch.ones(3), rtol=0, atol=1e-4)
    before = layer.shift.clone()
    layer(x + 100)
    assert torch.equal(layer.shift, before)
    constant = ActNorm(3).train()
    assert torch.isfinite(constant(torch.full((2, 3, 4, 4), 0.5))[0]).all()


def test_half_precision_is_computed_in_single():
    flow = small.build("glow")
    x = small.images(flow).bfloat16()
    expected = flow.log_prob(x.float())
    with torch.autocast("cpu", torch.bfloat16):
        found = flow.log_prob(x)
        drawn = flow.sample(1, 4, 4)
    assert found.dtype == drawn.dtype == torch.float32
    assert torch.equal(found, expected)
    with pytest.raises(TypeError, match=r"float32 or float64 parameters, not torch\.float16"):
        flow.half().log_prob(x)


def test_saving_memory_changes_no_number():
    plain, saving = small.build("glow"), small.build("glow_saving_memory")
    saving.load_state_dict(plain.state_dict())
    x = small.images(plain)
    gradients = []
    for flow in (plain, saving):
        torch.manual_seed(5)
        (flow.log_prob(x).sum() + flow.sample(2, 4, 4).square().sum()).backward()
        gradients.append([p.grad for p in flow.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_saving_memory_keeps_less_between_the_passes():
    """Bytes that autograd holds for the backward pass, counted as they are stored."""

    def stored(flow, steps_of):
        seen = {}

        def pack(tensor):
            seen[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            steps_of(flow)
        return sum(seen.values())

    made = [Glow(3, levels=2, steps=6, hidden=32, save_memory=save) for save in (False, True)]
    for work in (
        lambda f: f.sample(2, 32, 32).sum(),
        lambda f: f.log_prob(torch.rand(2, 3, 32, 32)),
    ):
        plain, saving = (stored(flow.eval(), work) for flow in made)
        assert saving < plain / 2


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda f: f.log_prob(torch.rand(1, 1, 6, 7)), OptionError, "multiples of 2, such as 6x8"),
        (lambda f: f.sample(1, 0, 4), OptionError, "multiples of 2, such as 2x4"),
        (lambda f: f.log_prob(torch.rand(1, 3, 4, 4)), OptionError, r"takes \(B, 1, H, W\)"),
        (lambda f: f.log_prob(torch.rand(1, 4, 4)), OptionError, r"not \(1, 4, 4\)"),
        (lambda f: f.log_prob(torch.zeros(1, 1, 4, 4).byte()), TypeError, "takes floats in 0..1"),
        (lambda f: f.bits_per_dim(torch.rand(1, 1, 4, 4)), TypeError, "takes uint8 images"),
    ],
)
def test_wrong_images_are_refused(call, error, words):
    with pytest.raises(error, match=words):
        call(small.build("glow"))


def test_wrong_images_are_refused_before_a_dequantiser_sees_them():
    flow = DenseFlow(units=(1,), modules=(1,), width=8, depth=1, network_growth=4)
    with pytest.raises(OptionError, match="multiples of 2, such as 6x8"):
        flow.bits_per_dim(torch.zeros(1, 3, 6, 7).byte())
    with pytest.raises(OptionError, match=r"takes \(B, 3, H, W\)"):
        flow.bits_per_dim(torch.zeros(1, 1, 8, 8).byte())


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("glow", {"hidden": -8}, "glow: `hidden` must be at least 1, not -8"),
        ("glow", {"steps": 0}, "glow: `steps` must be at least 1, not 0"),
        ("realnvp", {"bottleneck": -1}, "realnvp: `bottleneck` must be at least 0, not -1"),
        ("denseflow", {"width": 1}, "denseflow: `width` must be at least 2, not 1"),
        ("denseflow", {"depth": 0}, "denseflow: `depth` must be at least 1, not 0"),
    ],
)
def test_sizes_that_hold_nothing_are_refused(name, options, words):
    with pytest.raises(OptionError, match=words):
        FLOWS.build(name, options)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Glow(levels=0), "1 level"),
        (lambda: Glow(mask="chanel"), "did you mean `channel`"),
        (lambda: RealNVP(mixture=-1), "`mixture` must be 0"),
        (lambda: Glow(dequantise="uniformly"), "did you mean `uniform`"),
        (lambda: mask("cycle", 3, 0), "needs 4 channels"),
    ],
)
def test_wrong_options_are_refused(build, words):
    with pytest.raises(UserError, match=words):
        build()


def test_cycle_reads_each_quarter_once_and_moves_the_next():
    pairs = [(mask("cycle", 8, n).read.start, mask("cycle", 8, n).moved.start) for n in range(5)]
    assert pairs == [(0, 2), (2, 4), (4, 6), (6, 0), (0, 2)]


def test_a_checkerboard_moves_every_other_pixel():
    board = mask("checkerboard", 2, 1).moving(torch.zeros(1, 2, 2, 3))[0, 0]
    assert board.tolist() == [[0, 1, 0], [1, 0, 1]]
    halves = mask("horizontal", 2, 0).moving(torch.zeros(1, 2, 3, 1))[0, 0]
    assert halves[:, 0].tolist() == [1, 1, 0]


@flows
def test_what_the_levels_add_is_the_density(name):
    flow = small.build(name, torch.float64)
    x = small.images(flow)
    torch.manual_seed(0)
    expected = flow.log_prob(x)
    torch.manual_seed(0)
    parts = flow.level_log_probs(x)
    assert parts.shape == (2, len(flow.latent_shapes(*x.shape[-2:])))
    torch.testing.assert_close(parts.sum(1), expected)
