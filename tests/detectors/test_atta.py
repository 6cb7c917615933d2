"""ATTA: what it measures, what it mixes and moves, and that nothing of a frame is left."""

from __future__ import annotations

import copy
import re
import shlex

import numpy as np
import pytest
import torch
from torch import nn

import roadanomaly
from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.confidence.energy import Energy
from roadanomaly.detectors.hybrid.atta import SHIFT, Atta
from roadanomaly.detectors.hybrid.self_training import Odds, odds_of, self_training_loss
from roadanomaly.errors import KindError, OptionError, UserError
from roadanomaly.model import Model
from roadanomaly.runtimes.export import write_onnx
from roadanomaly.segmenters.batch_norms import divergence, kept, mixing, norms_of
from roadanomaly.training.fit_config import FitConfig
from tests.contracts import toy
from tests.contracts.tiny import network

ENERGY = {"detector": {"name": "energy"}}


def images(count, seed=0, size=(32, 48)):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def adapting(segmenter, **options) -> Model:
    """Return a model that was fitted on noise, and adapts to all that it meets."""
    model = Model(segmenter.eval(), Atta(ENERGY, **{"threshold": -50.0, **options}))
    detector = model.detector
    with torch.inference_mode():
        detector.update(detector.look(segmenter, 0.2 * images(4)), None, "divergence")
        detector.finish("divergence")
    return model


@pytest.mark.parametrize("name", ["atta", "views"])
def test_a_head_that_was_not_given_is_asked_for_in_forms_that_work(name, tmp_path):
    with pytest.raises(OptionError, match="needs the option `head`, which was not given") as found:
        roadanomaly.detector(name)
    run, detector = re.findall(r"`(--detector\.head[^`]+)`", str(found.value))
    segmenter = roadanomaly.segmenter("espnetv2", scale=0.5).eval()
    Model(segmenter, roadanomaly.detector("energy")).save(tmp_path)
    parser = new_parser("fit", "", "")
    parser.add_class_arguments(FitConfig, skip={"size"})
    for form in (detector, run.replace("FOLDER", str(tmp_path))):
        words = ["--data.name", "streets", "--detector.name", name, *shlex.split(form)]
        spec = parse(parser, words).detector
        assert type(DETECTORS.from_spec(spec).head.detector) is Energy


def test_a_head_in_another_form_is_told_the_same():
    with pytest.raises(OptionError, match=r"Got value: runs/a\. `head` is `{run: FOLDER}`"):
        roadanomaly.detector("atta", head="runs/a")


class ToyBare(toy.ToyNormed):
    """The normed toy network without a parameter after its map."""

    def classify(self, feature):
        return 12 * feature[:, :3] - 2


@pytest.fixture
def segmenter():
    torch.manual_seed(0)
    return network("espnetv2")


@pytest.fixture
def layers():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4)).eval()
    for norm in norms_of(net):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    return net


def test_the_divergence_is_that_of_torch_distributions(layers):
    image = images(2)
    expected, first = 0.0, layers[0](image)
    for norm, entering in ((layers[1], first), (layers[3], layers[2](layers[1](first)))):
        rows = entering.detach().movedim(1, 0).flatten(1)
        batch = torch.distributions.Normal(rows.mean(1), rows.std(1, correction=0))
        was = torch.distributions.Normal(norm.running_mean, norm.running_var.sqrt())
        expected += float(torch.distributions.kl_divergence(batch, was).sum())
    found = divergence(norms_of(layers), lambda: layers(image))
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_a_whole_share_normalises_by_the_batch_alone(layers):
    image, norms = images(2), norms_of(layers)
    plain = layers(image)
    with kept(norms), mixing(norms, torch.tensor(1.0)):
        found = layers(image)
    torch.testing.assert_close(found, copy.deepcopy(layers).train()(image), rtol=1e-3, atol=1e-4)
    with kept(norms), mixing(norms, torch.tensor(0.0)):
        assert torch.equal(layers(image), plain)


def test_statistics_come_back_to_the_bit_also_after_a_failure(layers):
    before = {key: value.clone() for key, value in layers.state_dict().items()}
    norms = norms_of(layers)
    with pytest.raises(RuntimeError), kept(norms), mixing(norms, torch.tensor(0.7)):
        layers(images(1)[:, :2])
    assert all(torch.equal(value, before[key]) for key, value in layers.state_dict().items())
    assert not any(module._forward_pre_hooks for module in layers.modules())


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 1])
def test_every_frame_meets_the_network_as_it_was(segmenter, steps):
    model = adapting(segmenter, steps=steps, lr=0.01)
    before = {key: value.clone() for key, value in model.networks.state_dict().items()}
    first, second = images(2, 5)
    alone = model.score(second[None])[0]
    model.score(first[None])
    again = model.score(second[None])[0]
    assert torch.equal(alone, again)
    after = model.networks.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert all(one.grad is None for one in model.networks.parameters())


@pytest.mark.slow
def test_it_adapts_where_the_domain_is_another_and_nowhere_else(segmenter):
    plain = Model(segmenter, roadanomaly.detector("energy"))
    usual, other = 0.2 * images(1, 9), images(1, 9)
    model = adapting(segmenter, threshold=20.0, slope=5.0, steps=0)
    shifts = [model.head.look(segmenter, one).features[SHIFT].item() for one in (usual, other)]
    assert shifts[0] < 0.01
    assert shifts[1] > 0.99
    changed = [(model.score(one)[0] - plain.score(one)[0]).abs().max() for one in (usual, other)]
    assert changed[0] < 0.1 * changed[1]


def test_a_step_moves_the_last_layer_by_the_rate_of_adam():
    segmenter = toy.ToyNormed().eval()
    model = adapting(segmenter, threshold=1e9, lr=1e-3)
    still = adapting(segmenter, threshold=1e9, steps=0)
    batch = toy.planted(toy.inliers(1, 3), 0.25)
    moved, plain = (one.head.look(segmenter, batch.image) for one in (model, still))
    size = plain.logits.shape[-2:]
    change = (moved.logits - plain.logits).detach()[0].flatten(1).T.numpy()
    feature = (
        segmenter(batch.image, ("colour",)).features["colour"][0].detach().flatten(1).T.numpy()
    )
    design = np.concatenate([feature, np.ones((size[0] * size[1], 1))], 1)
    found, *_ = np.linalg.lstsq(design, change, rcond=None)
    np.testing.assert_allclose(design @ found, change, atol=1e-5)
    steps = np.abs(design @ found).max()
    assert 0 < steps <= 1e-3 * (np.abs(design).sum(1).max()) * 1.01


def test_it_adapts_a_frozen_network_alike_and_leaves_it_frozen():
    torch.manual_seed(0)
    model, image = adapting(toy.ToyNormed(), lr=0.01), images(2, 5)
    frozen, still = copy.deepcopy(model), adapting(toy.ToyNormed(), steps=0)
    frozen.networks.requires_grad_(False)
    before = {key: value.clone() for key, value in frozen.networks.state_dict().items()}
    expected, found = model.score(image)[0], frozen.score(image)[0]
    assert torch.equal(found, expected)
    assert (found - still.score(image)[0]).abs().max() > 0.01
    assert not any(one.requires_grad for one in frozen.networks.parameters())
    after = frozen.networks.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_two_clear_groups_are_parted_between_them():
    rng = np.random.default_rng(0)
    score = torch.from_numpy(np.concatenate([rng.normal(0, 1, 20000), rng.normal(12, 1, 1000)]))
    odds = odds_of(score.float())
    assert 3 < odds.middle.item() < 9
    assert odds.spread.item() == pytest.approx(float(score.std()), rel=0.05)
    alike = torch.full((8, 8), 3.0)
    assert (odds_of(alike).chance(alike) == 0.5).all()


def test_the_loss_is_that_of_the_paper_and_pulls_both_apart():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 3, 6, 5, generator=generator).requires_grad_()
    score = (4 * torch.randn(1, 6, 5, generator=generator)).requires_grad_()
    loss = self_training_loss(score, logits, Odds(torch.tensor(0.5), torch.tensor(2.0)), (0.3, 0.6))
    g = torch.sigmoid((score.detach().double() - 0.5) / 2)
    p = logits.detach().double().softmax(1)
    ordinary, strange = g < 0.3, g > 0.6
    terms = []
    for y, x in torch.nonzero(ordinary[0]).tolist():
        terms.append(-sum(v * np.log(v * (1 - g[0, y, x])) for v in p[0, :, y, x]))
    ratio = ordinary.sum() / strange.sum()
    terms += [-ratio * np.log(g[0, y, x]) for y, x in torch.nonzero(strange[0]).tolist()]
    assert loss.item() == pytest.approx(float(sum(terms)) / len(terms), rel=1e-4)
    loss.backward()
    assert (score.grad[ordinary] > 0).all()
    assert (score.grad[strange] < 0).all()
    unsure = Odds(torch.tensor(0.5), torch.tensor(1e9))
    assert self_training_loss(score, logits, unsure, (0.3, 0.6)).item() == 0


def test_the_loss_has_the_slopes_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 3, 6, 5, generator=generator).double().requires_grad_()
    score = (4 * torch.randn(1, 6, 5, generator=generator)).double().requires_grad_()
    odds = Odds(torch.tensor(0.5).double(), torch.tensor(2.0).double())

    def loss(score, logits):
        return self_training_loss(score, logits, odds, (0.3, 0.6))

    assert torch.autograd.gradcheck(loss, (score, logits))


@pytest.mark.parametrize(
    "options", [{"slope": 0.0}, {"lr": 0.0}, {"steps": -1}, {"sure": [0.6, 0.3]}, {"sure": [0.5]}]
)
def test_options_out_of_range(options):
    with pytest.raises(OptionError, match="atta: "):
        Atta(ENERGY, **options)


def test_what_it_cannot_adapt_is_refused_with_the_reason():
    with pytest.raises(KindError, match=r"no layer that keeps any .*convolutional network"):
        Model(toy.ToySegmenter(), Atta(ENERGY))
    with pytest.raises(KindError, match="`odin` asks for more"):
        Atta({"detector": {"name": "odin"}})
    with pytest.raises(OptionError, match="atta: a head is"):
        Atta({"detektor": {}})
    with pytest.raises(KindError, match=r"one window after the other.*without `sliding`"):
        Model(network("sliding"), Atta(ENERGY, steps=0))
    with pytest.raises(KindError, match=r"`ToyBare` has no parameters: set `steps: 0`"):
        Model(ToyBare(), Atta(ENERGY))
    Model(ToyBare(), Atta(ENERGY, steps=0))


def test_a_graph_cannot_hold_it(tmp_path):
    model = adapting(toy.ToyNormed())
    with pytest.raises(UserError, match=r"passes of the network.*gradients"):
        write_onnx(model, tmp_path / "model.onnx", (20, 28))
