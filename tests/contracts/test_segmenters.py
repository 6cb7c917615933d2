"""What every segmenter of the catalogue keeps."""

from __future__ import annotations

import json

import pytest
import torch

from roadanomaly.detectors.losses import closed_set_cross_entropy
from roadanomaly.errors import FeatureError
from roadanomaly.segmenters import SEGMENTERS
from roadanomaly.types import IGNORE, Batch
from tests.contracts.tiny import CLASSES, NETWORKS, network

every = pytest.mark.parametrize("name", NETWORKS)
those_that_learn = pytest.mark.parametrize("name", [n for n in NETWORKS if NETWORKS[n].trainable])


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
        found = segmenter(images(*size, count=2), list(segmenter.features))
        assert found.size == size
        assert found.logits.shape[:2] == (2, len(CLASSES))
        assert found.image_logits().shape == (2, len(CLASSES), *size)
        assert torch.isfinite(found.image_logits()).all()
        assert found.classes().max() < len(CLASSES)
        assert list(found.features) == list(segmenter.features)
        entered = segmenter.input_size or found.padded
        if segmenter.input_size is None:
            assert all(side % segmenter.divisor == 0 for side in found.padded)
            assert all(
                0 <= p - s < segmenter.divisor for p, s in zip(found.padded, size, strict=True)
            )
        for key, info in segmenter.features.items():
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


@every
@torch.inference_mode()
def test_plain_options_rebuild_it(segmenter, name):
    options = json.loads(json.dumps(segmenter.options()))
    assert set(options) <= set(SEGMENTERS.options(NETWORKS[name].name))
    again = SEGMENTERS.build(NETWORKS[name].name, options).eval()
    again.load_state_dict(segmenter.state_dict(), strict=True)
    assert again.classes == CLASSES
    assert again.features == segmenter.features
    assert torch.equal(again(images(48, 64)).logits, segmenter(images(48, 64)).logits)


@every
@torch.inference_mode()
def test_equal_input_gives_equal_output_and_stays_as_it_was(segmenter):
    image = images(48, 64)
    before = image.clone()
    assert torch.equal(segmenter(image).logits, segmenter(image).logits)
    assert torch.equal(image, before)


@every
@torch.inference_mode()
def test_an_image_alone_is_segmented_as_in_a_batch(segmenter):
    batch = images(45, 70, count=3)
    together = segmenter(batch).image_logits()
    alone = torch.cat([segmenter(image[None]).image_logits() for image in batch])
    torch.testing.assert_close(alone, together, atol=1e-4, rtol=1e-4)


@those_that_learn
def test_gradients_reach_the_first_layer_and_most_others(segmenter):
    """Not all: some networks hold heads that serve their own training alone."""
    segmenter(images(64, 64)).image_logits().square().mean().backward()
    parameters = [one for one in segmenter.parameters() if one.requires_grad]
    reached = [one for one in parameters if one.grad is not None]
    assert parameters[0].grad is not None
    assert len(reached) >= 0.8 * len(parameters)
    assert all(torch.isfinite(one.grad).all() for one in reached)


@those_that_learn
def test_three_steps_lower_its_cross_entropy(segmenter):
    """In inference mode, so that dropout and batch statistics do not blur the comparison."""
    image = images(64, 96, count=2)
    label = torch.randint(0, len(CLASSES), (2, 4, 6), generator=torch.Generator().manual_seed(1))
    label = label.repeat_interleave(16, 1).repeat_interleave(16, 2).to(torch.uint8)
    label[:, :8] = IGNORE
    batch = Batch(image, label, ("a", "b"))
    moved = [one for one in segmenter.parameters() if one.requires_grad]
    optimiser = torch.optim.Adam(moved, lr=1e-3)
    losses = []
    for _ in range(4):
        optimiser.zero_grad()
        loss = closed_set_cross_entropy(segmenter(image), batch)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[3] < losses[0]
