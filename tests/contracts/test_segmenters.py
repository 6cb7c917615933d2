"""What every segmenter of the catalogue keeps."""

from __future__ import annotations

import json

import pytest
import torch

from roadanomaly.errors import FeatureError
from roadanomaly.segmenters import SEGMENTERS

CLASSES = ("road", "sidewalk", "building", "sky", "car")
SMALL = {"espnetv2": {"scale": 0.5}}
"""Options that make an entry small; the others are built as they are."""

pytestmark = pytest.mark.parametrize("name", SEGMENTERS)


@pytest.fixture
def segmenter(name):
    if name == "smp":
        pytest.importorskip("segmentation_models_pytorch")
    return SEGMENTERS.build(name, {**SMALL.get(name, {}), "classes": CLASSES}).eval()


def images(*size, count=1):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_any_size_goes_in_and_comes_out(segmenter):
    for size in ((64, 96), (37, 53)):
        found = segmenter(images(*size, count=2), list(segmenter.features))
        assert found.size == size
        assert all(side % segmenter.divisor == 0 for side in found.padded)
        assert all(0 <= p - s < segmenter.divisor for p, s in zip(found.padded, size, strict=True))
        assert found.logits.shape[:2] == (2, len(CLASSES))
        assert found.image_logits().shape == (2, len(CLASSES), *size)
        assert found.classes().max() < len(CLASSES)
        assert list(found.features) == list(segmenter.features)
        for key, info in segmenter.features.items():
            rows, columns = (side // info.stride for side in found.padded)
            assert found.features[key].shape == (2, info.channels, rows, columns)


def test_features_are_those_asked_for(segmenter):
    assert segmenter.default_feature in segmenter.features
    assert segmenter(images(32, 32)).features == {}
    first = next(iter(segmenter.features))
    with pytest.raises(FeatureError, match=f"no feature '{first}x'; did you mean `{first}`"):
        segmenter(images(32, 32), [first + "x"])


@torch.inference_mode()
def test_plain_options_rebuild_it(segmenter, name):
    options = json.loads(json.dumps(segmenter.options()))
    assert set(options) <= set(SEGMENTERS.options(name))
    again = SEGMENTERS.build(name, options).eval()
    again.load_state_dict(segmenter.state_dict(), strict=True)
    assert again.classes == CLASSES
    assert torch.equal(again(images(48, 64)).logits, segmenter(images(48, 64)).logits)


@torch.inference_mode()
def test_equal_input_gives_equal_output_and_stays_as_it_was(segmenter):
    image = images(48, 64)
    before = image.clone()
    assert torch.equal(segmenter(image).logits, segmenter(image).logits)
    assert torch.equal(image, before)


def test_gradients_reach_the_first_and_the_last_layer(segmenter):
    segmenter(images(32, 32)).image_logits().square().mean().backward()
    parameters = list(segmenter.parameters())
    for parameter in (parameters[0], parameters[-1]):
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()
