"""Generators: shapes and ranges, the published sizes, what labels do, what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from roadanomaly.errors import DataError, OptionError
from roadanomaly.generators import GENERATORS
from roadanomaly.generators.base import one_hot, resize_labels
from roadanomaly.generators.spade import Modulation
from roadanomaly.generators.store import load_generator, save_generator
from roadanomaly.types import IGNORE, NEGATIVE

SMALL = {
    "pix2pixhd": {"name": "pix2pixhd", "classes": 5, "width": 4, "downs": 2, "blocks": 1},
    "spade": {"name": "spade", "classes": 5, "width": 4, "ups": 3, "hidden": 6},
    "spade_instance": {"name": "spade", "width": 4, "ups": 2, "hidden": 6, "norm": "instance"},
}


def build(case, **changes):
    options = {**SMALL[case], **changes}
    return GENERATORS.build(options.pop("name"), options)


@pytest.fixture
def labels():
    found = torch.randint(0, 5, (2, 32, 48), dtype=torch.uint8)
    found[0, :5, :7] = IGNORE
    return found


def test_every_entry_has_a_small_case():
    assert {one["name"] for one in SMALL.values()} == set(GENERATORS)


@pytest.mark.parametrize("case", SMALL)
def test_labels_become_images(case, labels):
    generator = build(case).eval()
    image = generator(labels)
    assert image.shape == (2, 3, 32, 48)
    assert image.dtype == torch.float32
    assert 0 <= image.min() < image.max() <= 1
    torch.testing.assert_close(generator(labels[1:]), image[1:])


@pytest.mark.parametrize("case", SMALL)
def test_void_is_drawn_as_a_class_of_its_own(case, labels):
    generator = build(case).eval()
    void, first = labels.clone(), labels.clone()
    void[1, 8:20, 8:30], first[1, 8:20, 8:30] = IGNORE, 0
    assert not torch.allclose(generator(void)[1], generator(first)[1])
    assert torch.equal(generator(void)[0], generator(first)[0])
    negative = void.masked_fill(void == IGNORE, NEGATIVE)
    assert torch.equal(generator(negative), generator(void))


@pytest.mark.parametrize("case", SMALL)
def test_recomputed_activations_change_nothing(case, labels):
    gradients, statistics = [], []
    for save_memory in (False, True):
        torch.manual_seed(1)
        generator = build(case, save_memory=save_memory).train()
        generator(labels).square().sum().backward()
        gradients.append([p.grad for p in generator.parameters()])
        kept = generator.named_buffers()
        statistics.append([one for name, one in kept if one.is_floating_point()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed, rtol=1e-4, atol=1e-5)
    for plain, recomputed in zip(*statistics, strict=True):
        torch.testing.assert_close(plain, recomputed)


@pytest.mark.parametrize(("name", "millions"), [("pix2pixhd", 182.55), ("spade", 93.05)])
def test_default_sizes_are_the_published_ones(name, millions):
    """With the 36 input channels of the authors' Cityscapes models.

    GAN Compression (Li et al., CVPR 2020, table 1) counts 93.0 million for SPADE; the other is the
    sum over the layers that the paper's appendix lists.
    """
    with torch.device("meta"):
        generator = GENERATORS.build(name, {"classes": 35})
    found = sum(p.numel() for p in generator.parameters()) / 1e6
    assert found == pytest.approx(millions, abs=0.06)


def test_modulation_normalises_then_scales_and_shifts():
    modulation = Modulation(3, 4, 5, "batch").train()
    x, layout = torch.randn(2, 3, 8, 12), one_hot(torch.randint(0, 3, (2, 16, 24)), 3)
    small = layout[..., 1::2, 1::2]  # the nearest neighbour of a centre between two pixels
    first, second = modulation.shared, modulation.scale_shift
    hidden = functional.conv2d(small, first.weight, first.bias, padding=1).relu()
    scale, shift = functional.conv2d(hidden, second.weight, second.bias, padding=1).split(3, 1)
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    expected = (x - mean) / (variance + 1e-5).sqrt() * (1 + scale) + shift
    torch.testing.assert_close(modulation(x, layout), expected, rtol=1e-4, atol=1e-5)


def test_one_hot():
    layout = one_hot(torch.tensor([[[0, 2], [IGNORE, NEGATIVE]]], dtype=torch.uint8), 3)
    assert layout.argmax(1).tolist() == [[[0, 2], [3, 3]]]
    assert torch.equal(layout.sum(1), torch.ones(1, 2, 2))
    for beyond in (3, 4, 251):
        with pytest.raises(OptionError, match=f"a label is {beyond}, but the generator knows 3"):
            one_hot(torch.tensor([[[0, IGNORE, beyond]]], dtype=torch.uint8), 3)


def test_labels_are_resized_by_their_nearest_neighbour():
    labels = torch.arange(16, dtype=torch.uint8).reshape(1, 4, 4)
    assert resize_labels(labels, (2, 2)).tolist() == [[[5, 7], [13, 15]]]
    grown = resize_labels(labels, (8, 8))
    assert torch.equal(grown[:, ::2, ::2], labels)
    assert torch.equal(grown[:, 1::2, 1::2], labels)


def test_synthesise_takes_any_size(labels):
    generator = build("spade").eval()
    assert generator.synthesise(labels[:, :29, :45]).shape == (2, 3, 32, 48)
    assert generator.synthesise(labels, (71, 90)).shape == (2, 3, 72, 88)
    assert generator.synthesise(labels[:, :3, :3]).shape == (2, 3, 16, 16)
    assert torch.equal(generator.synthesise(labels), generator(labels))


def test_synthesise_lets_gradients_pass(labels):
    generator = build("pix2pixhd")
    generator.synthesise(labels).mean().backward()
    assert all(p.grad is not None for p in generator.parameters())


@pytest.mark.parametrize("size", [(30, 48), (32, 50), (8, 48), (0, 8)])
def test_a_size_that_does_not_fit_is_refused(size):
    with pytest.raises(OptionError, match="multiples of 8"):
        build("spade")(torch.zeros(1, *size, dtype=torch.uint8))


def test_a_label_that_is_no_class_is_refused(labels):
    labels[0, 20, 20] = 6
    with pytest.raises(OptionError, match="a label is 6, but the generator knows 5"):
        build("spade")(labels)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("spade", {"ups": 0}),
        ("spade", {"ups": 8}),
        ("spade", {"middle": -1}),
        ("spade", {"classes": 1}),
        ("spade", {"norm": "group"}),
        ("pix2pixhd", {"blocks": 0}),
        ("pix2pixhd", {"downs": 7}),
    ],
)
def test_options_out_of_range_are_refused(name, options):
    with pytest.raises(OptionError, match=next(iter(options))):
        GENERATORS.build(name, options)


@pytest.mark.parametrize("case", SMALL)
def test_a_generator_comes_back(case, tmp_path, labels):
    generator = build(case).train()
    generator(labels)  # moves the running statistics
    generator.names = ("road", "sky")
    save_generator(generator, tmp_path / "run" / "generator", {"step": 7})
    again = load_generator(tmp_path / "run")
    assert again.options() == generator.options()
    assert again.names == ("road", "sky")
    assert not again.training
    assert torch.equal(again(labels), generator.eval()(labels))


@pytest.mark.parametrize("part", ["weights.safetensors", "generator.json"])
def test_a_broken_generator_is_named(part, tmp_path):
    save_generator(build("spade"), tmp_path)
    (tmp_path / part).write_bytes(b"{broken")
    with pytest.raises(DataError, match="the generator at"):
        load_generator(tmp_path)


def test_no_generator_is_said(tmp_path):
    with pytest.raises(DataError, match="train generator"):
        load_generator(tmp_path)


def test_batch_norm_is_the_published_default():
    norms = [m for m in build("spade").modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not any(isinstance(m, nn.BatchNorm2d) for m in build("spade_instance").modules())
