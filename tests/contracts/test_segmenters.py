"""What every segmenter of the catalogue keeps."""

from __future__ import annotations

import json

import pytest
import torch

from roadanomaly.errors import FeatureError
from roadanomaly.segmenters import SEGMENTERS
from roadanomaly.types import IGNORE, NEGATIVE
from tests.contracts.cover import networks_fast
from tests.contracts.tiny import CLASSES, NETWORKS, network

every = pytest.mark.parametrize("name", networks_fast(NETWORKS))
STEP = 0.003
"""Learning rate that every small network bears."""

those_that_learn = pytest.mark.parametrize(
    "name", networks_fast(n for n in NETWORKS if NETWORKS[n].trainable)
)


@pytest.fixture
def segmenter(name):
    return network(name)


def images(*size, count=1):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0))


def test_every_entry_of_the_catalogue_is_here():
    assert {tiny.name for tiny in NETWORKS.values()} == set(SEGMENTERS)


@every
@torch.inference_mode()
def test_any_size_goes_in_and_comes_out(segmenter):
    for size in ((64, 96), (37, 53), (96, 64)):
        offered = {**segmenter.features, **segmenter.on_request}
        found = segmenter(images(*size, count=2), list(offered))
        assert found.size == size
        assert found.logits.shape[:2] == (2, len(CLASSES))
        assert found.image_logits().shape == (2, len(CLASSES), *size)
        assert torch.isfinite(found.image_logits()).all()
        assert found.classes().max() < len(CLASSES)
        assert list(found.features) == list(offered)
        entered = segmenter.input_size or found.padded
        if segmenter.input_size is None:
            assert all(side % segmenter.divisor == 0 for side in found.padded)
            assert all(
                0 <= p - s < segmenter.divisor for p, s in zip(found.padded, size, strict=True)
            )
        for key, info in offered.items():
            rows, columns = (side // info.stride for side in entered)
            assert found.features[key].shape == (2, info.channels, rows, columns)


@every
@torch.inference_mode()
def test_it_answers_what_it_says(segmenter, name):
    found = segmenter(images(48, 64, count=2))
    assert ("masks" in segmenter.answers) == NETWORKS[name].masks
    assert segmenter.trainable == NETWORKS[name].trainable
    assert bool(segmenter.features) == NETWORKS[name].features
    assert found.kind in segmenter.answers
    if "masks" in segmenter.answers:
        assert segmenter.answers == ("evidence", "masks")
        batch, queries, classes = found.masks.classes.shape
        assert (batch, classes) == (2, len(CLASSES) + 1)
        assert found.masks.masks.shape == (2, queries, *found.logits.shape[-2:])
        assert found.logits.min() >= 0
    else:
        assert segmenter.answers == ("logits",)
        assert found.masks is None


@every
def test_features_are_those_asked_for(segmenter):
    assert segmenter(images(64, 64)).features == {}
    if not segmenter.features:
        with pytest.raises(FeatureError, match="offers no features"):
            segmenter(images(64, 64), ["decoder"])
        return
    assert segmenter.default_feature in segmenter.features
    first = next(iter(segmenter.features))
    with pytest.raises(FeatureError, match=f"no feature '{first}xy'; "):
        segmenter(images(64, 64), [first + "xy"])


@pytest.mark.slow
@every
@torch.inference_mode()
def test_plain_options_rebuild_it(segmenter, name):
    options = json.loads(json.dumps(segmenter.options()))
    assert set(options) <= set(SEGMENTERS.options(NETWORKS[name].name))
    again = SEGMENTERS.build(NETWORKS[name].name, options).eval()
    again.load_state_dict(segmenter.state_dict(), strict=True)
    assert again.classes == CLASSES
    assert again.features == segmenter.features
    assert again.on_request == segmenter.on_request
    assert again.classified == segmenter.classified
    assert torch.equal(again(images(48, 64)).logits, segmenter(images(48, 64)).logits)


@every
@torch.inference_mode()
def test_equal_input_gives_equal_output_stays_as_it_was_and_is_alone_as_in_a_batch(segmenter):
    batch = images(45, 70, count=2)
    before = batch.clone()
    together = segmenter(batch).image_logits()
    assert torch.equal(segmenter(batch).image_logits(), together)
    assert torch.equal(batch, before)
    alone = torch.cat([segmenter(image[None]).image_logits() for image in batch])
    torch.testing.assert_close(alone, together, atol=1e-4, rtol=1e-4)


@every
@torch.inference_mode()
def test_the_classifier_alone_gives_the_logits_of_its_map(segmenter, name):
    image = images(45, 70, count=2)
    assert bool(segmenter.classified) == NETWORKS[name].classified
    if not segmenter.classified:
        with pytest.raises(FeatureError, match="has no classifier that can be asked alone"):
            segmenter.classify(torch.zeros(1, 8, 4, 4))
        return
    found = segmenter(image, [segmenter.classified])
    alone = segmenter.classify(found.features[segmenter.classified])
    torch.testing.assert_close(alone, found.logits, rtol=0, atol=1e-6)


def labels(count=2):
    """Blocks of classes, and a row of blocks of what is no class."""
    label = torch.randint(
        0, len(CLASSES), (count, 4, 6), generator=torch.Generator().manual_seed(1)
    )
    label = label.to(torch.uint8)
    label[:, 0, :4] = torch.tensor([252, 253, NEGATIVE, IGNORE])
    return label.repeat_interleave(16, 1).repeat_interleave(16, 2)


@pytest.mark.slow
@those_that_learn
@pytest.mark.parametrize("void", [False, True])
def test_its_loss_reaches_every_parameter_that_learns(segmenter, void):
    """Where nothing has a class too: processes that train together must agree on what moves."""
    label = torch.full((2, 64, 96), IGNORE, dtype=torch.uint8) if void else labels()
    losses = segmenter.loss(segmenter(images(64, 96, count=2)), label)
    assert all(one.dim() == 0 and torch.isfinite(one) for one in losses.values())
    sum(losses.values()).backward()
    learning = {key: one for key, one in segmenter.named_parameters() if one.requires_grad}
    assert learning
    assert [key for key, one in learning.items() if one.grad is None] == []
    assert all(torch.isfinite(one.grad).all() for one in learning.values())
    if void:
        assert all(one.item() == 0 for one in losses.values())
        assert all((one.grad == 0).all() for one in learning.values())


@pytest.mark.slow
@those_that_learn
def test_five_steps_lower_its_loss(segmenter):
    """In inference mode, so that dropout and batch statistics do not blur the comparison."""
    image, label = images(64, 96, count=2), labels()
    moved = [one for one in segmenter.parameters() if one.requires_grad]
    optimiser = torch.optim.SGD(moved, lr=STEP)
    losses = []
    for _ in range(6):
        torch.manual_seed(0)
        optimiser.zero_grad()
        loss = sum(segmenter.loss(segmenter(image), label).values())
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[5] < losses[0]
