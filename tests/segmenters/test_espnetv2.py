"""ESPNetv2 against its published outputs, its shapes, and its refusals."""

import json
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from roadanomaly.errors import DataError, FeatureError, OptionError
from roadanomaly.segmenters.espnetv2 import PUBLISHED_NAMES, WIDTHS, ESPNetv2

REFERENCE = json.loads(Path(__file__).with_name("espnetv2_reference.json").read_text())["models"]
TOLERANCE = 2e-3
CLASSES = ("road", "sky", "car")


def data(path):
    root = os.environ.get("ROADANOMALY_DATA")
    if not root:
        pytest.skip("ROADANOMALY_DATA, the data root, is not set")
    if not (Path(root) / path).exists():
        pytest.skip(f"the data root holds no {path}")
    return Path(root) / path


def weight_file(name):
    return data(f"weights/espnetv2_cityscapes/{name}")


def images(*size, count=1, seed=0):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def small():
    torch.manual_seed(0)
    return ESPNetv2(scale=0.5, classes=CLASSES).eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCE)
def test_published_weights_give_the_published_logits(name):
    known = REFERENCE[name]
    network = ESPNetv2(known["scale"], weights=str(weight_file(name))).eval()
    assert sum(p.numel() for p in network.parameters()) == known["parameters"]
    for path, expected in known["images"].items():
        image = cv2.cvtColor(cv2.imread(str(data(path))), cv2.COLOR_BGR2RGB)
        image = torch.from_numpy(cv2.resize(image, (1024, 512))).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            all_logits = network.all_logits((image - network.mean) / network.std)
            seen = network(image).image_logits()
        every = functional.interpolate(
            all_logits, size=(512, 1024), mode="bilinear", align_corners=True
        )
        rows, columns = torch.tensor(expected["points"]).T
        found = every[0, :, rows, columns].T.numpy()
        np.testing.assert_allclose(found, expected["logits"], atol=TOLERANCE, rtol=0)
        np.testing.assert_allclose(every.mean((0, 2, 3)), expected["mean"], atol=TOLERANCE, rtol=0)
        torch.testing.assert_close(seen, every[:, :19], atol=1e-4, rtol=0)
        histogram = torch.bincount(seen.argmax(1).flatten(), minlength=19)
        moved = (histogram - torch.tensor(expected["histogram"])).abs().sum()
        assert moved <= 100  # pixels of 524,288 whose two best logits are equal to 2e-3


def test_a_published_file_brings_its_background_output():
    weight_file("espnetv2_s_0.5_city_1024x512.pth")
    network = ESPNetv2(0.5, weights="espnetv2_s_0.5_city_1024x512.pth")
    assert network.outputs == 20
    assert network(images(32, 32)).logits.shape[1] == 19
    rebuilt = ESPNetv2(**network.options())
    rebuilt.load_state_dict(network.state_dict(), strict=True)


@pytest.mark.parametrize(("scale", "parameters"), [(0.5, 80342), (1.0, 234010), (2.0, 789242)])
def test_parameter_count_is_the_published_one(scale, parameters):
    network = ESPNetv2(scale, background=True)
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize("scale", WIDTHS)
def test_features_have_the_declared_shapes(scale):
    network = ESPNetv2(scale, classes=CLASSES).eval()
    found = network(images(64, 96, count=2), features=list(network.features)).features
    assert list(found) == list(network.features)
    for name, info in network.features.items():
        assert found[name].shape == (2, info.channels, 64 // info.stride, 96 // info.stride)
    assert network.default_feature in network.features


@pytest.mark.parametrize("size", [(37, 53), (360, 480), (16, 16), (1, 1)])
def test_any_size_gives_logits_at_image_size(small, size):
    with torch.inference_mode():
        segmentation = small(images(*size))
    assert segmentation.image_logits().shape == (1, 3, *size)
    assert segmentation.features == {}
    assert segmentation.image_logits().isfinite().all()


def test_an_image_alone_scores_as_in_a_batch(small):
    batch = images(48, 64, count=3)
    with torch.inference_mode():
        together = small(batch).logits
        alone = torch.cat([small(image[None]).logits for image in batch])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_padding_leaves_an_image_of_a_fitting_size_alone(small):
    image = images(48, 64)
    with torch.inference_mode():
        maps, _ = small.maps((image - small.mean) / small.std, ())
        torch.testing.assert_close(small(image).logits, maps)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_reach_every_parameter_that_learns(training):
    torch.manual_seed(1)
    network = ESPNetv2(0.5, classes=CLASSES).train(training)
    network(images(64, 96, count=2)).logits.square().sum().backward()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
        else:
            assert name.endswith("unit.act.weight"), name


def test_options_rebuild_an_equal_network(small):
    rebuilt = ESPNetv2(**small.options()).eval()
    rebuilt.load_state_dict(small.state_dict(), strict=True)
    image = images(37, 53)
    assert torch.equal(small(image).logits, rebuilt(image).logits)


def test_own_weights_load_again(small, tmp_path):
    torch.save({"state_dict": small.state_dict()}, tmp_path / "own.pth")
    again = ESPNetv2(0.5, classes=CLASSES, weights=str(tmp_path / "own.pth")).eval()
    image = images(32, 32)
    assert torch.equal(small(image).logits, again(image).logits)
    assert not again.background


def test_an_unknown_scale_names_the_allowed_ones():
    with pytest.raises(OptionError, match=r"1\.25.*0\.5, 1\.0, 1\.5, 2\.0"):
        ESPNetv2(scale=1.25)


def test_weights_of_another_scale_name_theirs(small, tmp_path):
    torch.save(small.state_dict(), tmp_path / "small.pth")
    with pytest.raises(OptionError, match=r"is of scale 0\.5, but `scale` is 2\.0"):
        ESPNetv2(2.0, classes=CLASSES, weights=str(tmp_path / "small.pth"))


def test_weights_for_other_classes_name_their_count(small, tmp_path):
    torch.save(small.state_dict(), tmp_path / "three.pth")
    with pytest.raises(DataError, match="has 3 outputs, but for 19 classes it must have 19 or 20"):
        ESPNetv2(0.5, weights=str(tmp_path / "three.pth"))
    with pytest.raises(DataError, match="must have 4 "):
        ESPNetv2(0.5, classes=CLASSES, weights=str(tmp_path / "three.pth"), background=True)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match=r"holds no ESPNetv2.*found conv\.weight"):
        ESPNetv2(0.5, weights=str(tmp_path / "other.pth"))


def test_a_missing_tensor_is_named(small, tmp_path):
    state = small.state_dict()
    del state["skips.1.gate.weight"]
    torch.save(state, tmp_path / "hole.pth")
    with pytest.raises(DataError, match=r"missing: skips\.1\.gate\.weight; unknown: none"):
        ESPNetv2(0.5, classes=CLASSES, weights=str(tmp_path / "hole.pth"))


def test_an_unknown_feature_names_the_nearest(small):
    with pytest.raises(FeatureError, match="did you mean `decoder8`"):
        small(images(16, 16), features=("decoder9",))


def test_every_pattern_of_the_name_table_is_used():
    path = weight_file("espnetv2_s_0.5_city_1024x512.pth")
    names = list(torch.load(path, map_location="cpu", weights_only=True))
    for pattern, replacement in PUBLISHED_NAMES:
        renamed = [re.sub(pattern, replacement, name) for name in names]
        assert renamed != names, pattern
        names = renamed
    names = {name.replace("*", str(i)) for name in names for i in range(5)}
    assert names == set(ESPNetv2(0.5, background=True).state_dict())


@pytest.mark.slow
def test_an_exported_network_gives_the_same_logits_without_adaptive_pooling(small):
    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = small

        def forward(self, image):
            return self.network(image).logits

    image = images(80, 112)
    with torch.no_grad():
        program = torch.export.export(Logits().eval(), (image,))
        called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
        assert not any("adaptive" in name for name in called)
        torch.testing.assert_close(
            program.module()(image), small(image).logits, atol=1e-5, rtol=1e-4
        )
